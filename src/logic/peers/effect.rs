//! What the core of membership wishes to be done, what peers say to each other about it, and its times.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Address, Doubt, Peer, PeerEvent};

/// The times of membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long a node looks for another of its name before it announces itself.
    pub settle: Duration,
    /// How long a newcomer waits for the answer of a node of its own name. A former life that hangs for longer has lost its name; to
    /// a later one, which may be cut off, the newcomer gives way.
    pub rival: Duration,
    /// Silence after which a peer is suspected: three heartbeats of the link may be missed, and with a heartbeat's age and a look
    /// every 50 ms it comes within the promised second, on a loaded machine too (`docs/failure-detection.md` has the figures).
    pub suspect: Duration,
    /// The same for a peer that gives signs of life at the slower pace, because others watch it.
    pub suspect_slow: Duration,
    /// How many peers watch a node: they get its signs of life at full pace. One that does not hang itself will do; of several,
    /// those that start, end or hang at the same time leave some.
    pub watchers: usize,
    /// Silence after which a peer is down although the network still shows it.
    pub silent: Duration,
    /// The first repetition of a greeting; later ones come after longer pauses, up to `greet_max`.
    pub greet: Duration,
    /// The longest pause between greetings.
    pub greet_max: Duration,
    /// How long the link to a peer that is down is kept, with what waits in it.
    pub keep: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            settle: Duration::from_millis(200),
            rival: Duration::from_millis(1500),
            suspect: Duration::from_millis(700),
            suspect_slow: Duration::from_millis(2800),
            watchers: 4,
            silent: Duration::from_secs(10),
            greet: Duration::from_millis(200),
            greet_max: Duration::from_secs(2),
            keep: Duration::from_secs(60),
        }
    }
}

/// The first message between two peers, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's protocol.
    pub protocol: u16,
    /// The sender's release, for people.
    pub release: String,
    /// The sender's group.
    pub group: String,
    /// The sender.
    pub peer: Peer,
    /// Where the sender's inbox is.
    pub address: String,
    /// Where the sender listens, for people.
    pub place: String,
    /// What the sender calls its end of the link.
    pub link: u64,
    /// What the sender believes the receiver calls its end; 0 when it does not know.
    pub yours: u64,
    /// An answer is asked for.
    pub answer: bool,
    /// The sender has not announced itself: it asks a node of its own name whether it is alive.
    pub joining: bool,
}

/// The answer to a newcomer whose name is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Who has the name.
    pub by: Peer,
    /// Where it listens, for people.
    pub place: String,
}

/// What [`super::Peers`] wishes to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make a link for this incarnation, known here by this number.
    Open {
        /// The number.
        link: u64,
        /// To whom.
        peer: Peer,
        /// Where its inbox is.
        address: Address,
    },
    /// Send a greeting.
    Greet {
        /// Where to.
        address: Address,
        /// What it says.
        hello: Hello,
    },
    /// Tell a newcomer that its name is taken.
    Refuse {
        /// Where to.
        address: Address,
        /// What it says.
        refusal: Refusal,
    },
    /// The peer's end of the link is known now, or known under a new number, or reachable again.
    Bind {
        /// Our number.
        link: u64,
        /// Their number.
        theirs: u64,
    },
    /// The link is not needed any more; what waits in it is lost.
    Close {
        /// Our number.
        link: u64,
    },
    /// Give signs of life at the slower pace on a link, or at full pace.
    Pace {
        /// Our number.
        link: u64,
        /// At the slower one.
        slow: bool,
    },
    /// Tell a peer that somebody whom this node watches is silent.
    Doubt {
        /// Whom to tell.
        address: Address,
        /// Our number of the link to it.
        link: u64,
        /// What.
        doubt: Doubt,
    },
    /// Make us visible: our name is free.
    Announce,
    /// Our name is in use: do not start.
    NameInUse(Refusal),
    /// Tell whoever watches.
    Tell(PeerEvent),
}
