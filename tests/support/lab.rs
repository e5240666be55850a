//! Two machines for a test: network namespaces with a cable between them. Needs root and iproute2.

use std::process::{Command, Stdio};

/// Two namespaces and the cable. Gone when dropped.
pub(crate) struct Lab {
    spaces: [String; 2],
    cable: [String; 2],
}

impl Lab {
    /// The address of a side; the other reaches it while the cable is in.
    pub(crate) fn address(side: usize) -> String {
        format!("10.77.0.{}", side + 1)
    }

    /// Builds the lab; names are short and hold the process id, so that labs never meet. `None`, and a word why, where that is not
    /// possible.
    pub(crate) fn build(test: &str) -> Option<Lab> {
        let tag = format!("{test}{}", std::process::id());
        let lab = Lab {
            spaces: ["a", "b"].map(|side| format!("enact-{tag}-{side}")),
            cable: ["a", "b"].map(|side| format!("e{tag}{side}")),
        };
        let ([a, b], [left, right]) = (&lab.spaces, &lab.cable);
        let mut built = ip(&format!("netns add {a}")) && ip(&format!("netns add {b}"));
        built = built && ip(&format!("link add {left} netns {a} type veth peer name {right} netns {b}"));
        for (side, (space, cable)) in lab.spaces.iter().zip(&lab.cable).enumerate() {
            built = built && ip(&format!("-n {space} addr add {}/24 dev {cable}", Lab::address(side)));
            built =
                built && ip(&format!("-n {space} link set lo up")) && ip(&format!("-n {space} link set {cable} up"));
        }
        if !built {
            eprintln!("skipped: network namespaces need root and iproute2");
        }
        built.then_some(lab)
    }

    /// Puts the cable in (`up`) or pulls it (`down`).
    pub(crate) fn cable(&self, state: &str) {
        assert!(ip(&format!("-n {} link set {} {state}", self.spaces[0], self.cable[0])));
    }

    /// A command that runs on a side.
    pub(crate) fn command(&self, side: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.spaces[side]]).arg(program);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for space in &self.spaces {
            ip(&format!("netns del {space}"));
        }
    }
}

fn ip(arguments: &str) -> bool {
    let run = Command::new("ip").args(arguments.split_whitespace()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}
