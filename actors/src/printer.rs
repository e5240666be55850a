//! Prints what it receives.

use std::io::Write;

use enact::prelude::*;

/// Prints what it receives on the node's standard output, and says how many lines it has printed.
#[derive(Component)]
#[component(version = "1.0.0")]
pub struct Printer {
    /// Put before every line.
    #[param(default = "")]
    prefix: String,
    /// Lines printed so far; kept over restarts, moves and upgrades.
    #[state]
    lines: u64,
}

#[component]
impl Printer {
    /// Any message is printed.
    #[input]
    fn input(&mut self, message: Value, ctx: &mut Ctx<Self>) {
        self.lines += 1;
        // A terminal or a pipe that went away must not end the node: the line is lost, and that is all.
        let _ = writeln!(std::io::stdout(), "{}> {}{message}", ctx.path(), self.prefix);
    }

    /// How many lines were printed so far.
    #[input]
    fn count(&mut self, _ask: ()) -> Result<u64> {
        Ok(self.lines)
    }
}
