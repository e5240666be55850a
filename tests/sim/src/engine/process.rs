//! One process in the world of engines: the cores of membership and of links, and around them what the shells in `io::engine` do.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use enact::{
    logic::{
        link::{Assembler, Header, InvalidRecord, Lane, Limits, Link},
        peers::{Address, Effect, PROTOCOL, Peer, Peers, Role, Sighting, Times},
    },
    words::{NodeName, Time},
};

use crate::{agenda::Micros, clock::LocalClock};

/// The link to one incarnation of another process.
pub(super) struct Wire {
    pub(super) peer: Peer,
    pub(super) address: Address,
    pub(super) link: Link,
    assemblers: [Assembler; 2],
    n_resets: u64,
    /// When the last frame came, as membership is told with each tick.
    pub(super) heard: Option<Time>,
    /// Of what came since the link began anew, so many bytes wait for the services behind.
    pub(super) backlog_bytes: [usize; 2],
    /// The outbox is asleep until then.
    pub(super) wakes_at: Micros,
}

impl Wire {
    /// What came before the link was reset is no beginning of what comes now, and takes none of its room.
    fn begin_anew(&mut self) {
        if self.n_resets != self.link.n_resets() {
            self.n_resets = self.link.n_resets();
            self.assemblers = Lane::ALL.map(Assembler::new);
            self.backlog_bytes = [0; 2];
        }
    }

    /// The services have dealt with what came.
    pub(super) fn consumed(&mut self, arrived: &Arrived) {
        if arrived.n_resets == self.n_resets {
            self.backlog_bytes[arrived.lane as usize] -= arrived.n_bytes;
            self.link.consumed(arrived.lane, arrived.n_bytes);
        }
    }
}

/// A payload that came over a link, and the messages that it completed.
pub(super) struct Arrived {
    pub(super) link: u64,
    n_resets: u64,
    pub(super) lane: Lane,
    n_bytes: usize,
    pub(super) messages: Vec<Bytes>,
}

/// What others are to this process, as it was told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    pub(super) is_up: bool,
    pub(super) is_suspected: bool,
    /// The network told that it is gone, or that it left.
    pub(super) is_gone: bool,
    /// The network does not show it any more, and nothing has come from it since.
    pub(super) is_out_of_sight: bool,
    /// By our clock: the last sign of life that counts for sure, and the last that may count.
    pub(super) heard: Time,
    pub(super) heard_at_most: Time,
    /// By true time: since when it has been up, as far as we know.
    pub(super) up_since: Micros,
}

/// A process.
pub(super) struct Process {
    /// Its machine, and the machine that it is named after: the same, unless somebody is mistaken.
    pub(super) machine: usize,
    pub(super) named: usize,
    pub(super) sighting: Sighting,
    pub(super) peers: Peers,
    pub(super) wires: BTreeMap<u64, Wire>,
    /// What waits for the services, by who sent it. It outlives links: what was acknowledged is delivered.
    pub(super) backlogs: BTreeMap<Address, VecDeque<Arrived>>,
    pub(super) views: BTreeMap<Address, View>,
    pub(super) clock: LocalClock,
    pub(super) is_alive: bool,
    pub(super) is_announced: bool,
    pub(super) hangs_until: Micros,
    pub(super) last_tick: Time,
    /// Since then it has ticked in time.
    pub(super) awake_since: Micros,
    pub(super) limits: Limits,
}

impl Process {
    pub(super) fn new(
        (number, machine, named): (usize, usize, usize),
        name: NodeName,
        clock: LocalClock,
        (times, limits): (Times, Limits),
        now: Micros,
    ) -> Process {
        let peer = Peer { name: name.clone(), incarnation: number as u64 + 1, role: Role::Node };
        let address = Address(format!("{name}#{number}").into());
        let sighting = Sighting { address, protocol: PROTOCOL, group: "sim".to_owned(), peer };
        let local = clock.show(now);
        Process {
            machine,
            named,
            peers: Peers::new(sighting.clone(), "0".to_owned(), "sim".to_owned(), times, local),
            sighting,
            wires: BTreeMap::new(),
            backlogs: BTreeMap::new(),
            views: BTreeMap::new(),
            clock,
            is_alive: true,
            is_announced: false,
            hangs_until: 0,
            last_tick: local,
            awake_since: now,
            limits,
        }
    }

    /// Makes a link.
    pub(super) fn open(&mut self, number: u64, peer: Peer, address: Address, now: Time) {
        let wire = Wire {
            peer,
            address,
            link: Link::new(number, self.limits, now),
            assemblers: Lane::ALL.map(Assembler::new),
            n_resets: 0,
            heard: None,
            backlog_bytes: [0; 2],
            wakes_at: Micros::MAX,
        };
        self.wires.insert(number, wire);
    }

    /// The link to an address.
    pub(super) fn wire_to(&self, address: &Address) -> Option<u64> {
        self.wires.iter().find(|(_, wire)| wire.address == *address).map(|(number, _)| *number)
    }

    /// Time passes for membership.
    pub(super) fn tick(&mut self, now: Time) -> Vec<Effect> {
        let mut effects = self.listen();
        self.peers.tick(now, &mut effects);
        effects
    }

    /// Tells membership what came over links.
    pub(super) fn listen(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (number, wire) in &self.wires {
            if let Some(heard) = wire.heard {
                self.peers.heard(*number, heard, wire.link.hears_slowly(), &mut effects);
            }
        }
        effects
    }

    /// A frame of a link. Gives the link's number when it was taken.
    pub(super) fn receive(&mut self, now: Time, frame: &Bytes) -> Result<Option<u64>, InvalidRecord> {
        let Ok(header) = Header::read(frame) else { return Ok(None) };
        let Some(wire) = self.wires.get_mut(&header.to) else { return Ok(None) };
        let mut ready = Vec::new();
        wire.begin_anew();
        if !wire.link.receive(now, &header, frame.slice(Header::LEN..), &mut ready) {
            return Ok(None);
        }
        wire.heard = Some(now);
        for (lane, payload) in ready {
            let (n_bytes, mut messages) = (payload.len(), Vec::new());
            wire.backlog_bytes[lane as usize] += n_bytes;
            wire.assemblers[lane as usize].read(payload, |message| messages.push(message))?;
            let arrived = Arrived { link: header.to, n_resets: wire.n_resets, lane, n_bytes, messages };
            self.backlogs.entry(wire.address.clone()).or_default().push_back(arrived);
        }
        Ok(Some(header.to))
    }
}
