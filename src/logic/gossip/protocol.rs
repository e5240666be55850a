//! The `Gossip` protocol of one member, without clock, network and disk: told what happens, it says what to do.
//!
//! A push goes to all at once. Heartbeats carry a digest; who sees another digest twice asks, and gets what it misses. A member
//! that starts asks before anything else, and is *synced* when someone has answered, or when nobody is there.

mod heard;

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Adoption, Answer, Board, Conflict, GroupMessage, Heartbeat, Push, PushRefused, Pushed, Replica, Report, RevisionId,
    Snapshot, Stamp, StateDigest, Timing, Unbelievable,
    ahead::{Ahead, Held},
    clocks::Clocks,
    replica::Delta,
    revise::Made,
};
use crate::words::{GroupName, NodeName, Time};

/// So many members that have not heard what this node knows now hear from it with one heartbeat, of more the others with the next
/// ones. Fifty members that all tell each other four times a second would keep a core busy.
const HEARD_MAX: usize = 8;

/// Of those who have, so many: who has missed something hears of it from as many in the end. Among many, so many of all while one
/// change follows the other: what is news then is none with the next heartbeat.
const HEARD_AGAIN: usize = 2;

/// So many times as long as in calm it takes then until a node says to all what runs on it. Who pushed has its answer.
const QUIET_IN_CHANGE: usize = 4;

/// So often each is told what this node knows before it counts as one who has heard: who differs twice asks.
const TOLD_MIN: u8 = 2;

/// What the protocol wishes.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send to one.
    Send(NodeName, GroupMessage),
    /// Send to everyone who is connected.
    SendAll(GroupMessage),
    /// Keep these revisions before going on.
    Keep(Vec<Delta>),
    /// Keep everything anew: too much has changed for single revisions.
    KeepAll,
    /// The model changed: what the node is to run.
    Changed(Snapshot),
    /// The node may take up its part of a revision already. The model in the snapshot is complete for this node alone; the whole
    /// follows as [`Effect::Changed`].
    Ahead(Snapshot),
    /// Tell.
    Tell(News),
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A member connected.
    Up(NodeName),
    /// A member is gone.
    Down(NodeName),
    /// The member may start; who answered, if anybody.
    Synced(Option<NodeName>),
    /// A revision became known.
    Revised(Arc<super::Revision>),
    /// A member dealt with a revision.
    Answered(NodeName, RevisionId, Adoption),
    /// Everyone who is there runs the same.
    Converged(RevisionId),
    /// Two pushes collided.
    Collided(Box<Conflict>),
    /// What a peer said was refused: mostly because of a clock.
    Refused(NodeName, Unbelievable),
}

/// What we know of another member.
#[derive(Clone, Debug, Default)]
struct Peer {
    /// The digest in which it differs from us, and since when.
    differs: Option<StateDigest>,
    asked: Option<Time>,
    /// The life and version of its status that it has told us of.
    status: (u64, u64),
    /// What it was told last that this node knows and says of itself, and how often.
    told: (StateDigest, u64),
    n_told: u8,
    /// That its clock is wrong was told; and that it says what nobody can know.
    warned: bool,
    disbelieved: bool,
}

/// One member of a `Gossip` group.
#[derive(Clone, Debug)]
pub struct Protocol {
    pub(super) timing: Timing,
    pub(super) replica: Replica,
    pub(super) board: Board,
    peers: BTreeMap<NodeName, Peer>,
    pub(super) clocks: Clocks,
    started: Time,
    next_heartbeat: Time,
    pub(super) synced: bool,
    told_converged: Option<StateDigest>,
    /// The version of what this node said about itself to all.
    told_status: u64,
    /// How many heartbeats ago that was: as many as it takes until everyone hears something else.
    n_quiet: usize,
    /// With whom the next heartbeat begins, by place among the members.
    next_heard: usize,
    /// What this node knew at the last heartbeat.
    at_heartbeat: StateDigest,
    /// The revision made here whose whole waits until everyone has taken up its part.
    pub(super) held: Option<Held>,
    /// The revision whose part this node runs ahead of the whole.
    pub(super) ahead: Option<Ahead>,
    /// The heads of the target that this node dealt with last: whatever led to them is answered.
    pub(super) dealt: Vec<Stamp>,
}

impl Protocol {
    /// A member with what it had kept.
    pub fn new(group: GroupName, replica: Replica, board_of: (NodeName, u64), timing: Timing, now: Time) -> Protocol {
        let (me, incarnation) = board_of;
        let clocks = Clocks::new(timing.ahead_max);
        Protocol {
            timing,
            replica,
            board: Board::new(group, me, incarnation),
            peers: BTreeMap::new(),
            clocks,
            started: now,
            next_heartbeat: now,
            synced: false,
            told_converged: None,
            told_status: 0,
            n_quiet: 0,
            next_heard: 0,
            at_heartbeat: StateDigest::default(),
            held: None,
            ahead: None,
            dealt: Vec::new(),
        }
    }

    /// What it knows.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// What the members say about themselves.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Whether the member may start what the model wants.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// A wanted model.
    ///
    /// # Errors
    /// See [`PushRefused`].
    pub fn push(&mut self, now: Time, push: Push, effects: &mut Vec<Effect>) -> Result<Pushed, PushRefused> {
        if !self.synced {
            return Err(PushRefused::NotSynced);
        }
        let (pushed, made) = self.replica.revise(self.clocks.to_stamp(now), push, None)?;
        self.made(now, &pushed, made, effects);
        Ok(pushed)
    }

    /// Brings back the model of a revision, as a new one.
    ///
    /// # Errors
    /// See [`PushRefused`].
    pub fn rollback(
        &mut self,
        now: Time,
        to: &RevisionId,
        (by, from, message): (Arc<str>, Arc<str>, Arc<str>),
        effects: &mut Vec<Effect>,
    ) -> Result<Pushed, PushRefused> {
        if !self.synced {
            return Err(PushRefused::NotSynced);
        }
        let (pushed, made) = self.replica.rollback(self.clocks.to_stamp(now), to, by, from, message)?;
        self.made(now, &pushed, made, effects);
        Ok(pushed)
    }

    fn made(&mut self, now: Time, pushed: &Pushed, made: Option<Made>, effects: &mut Vec<Effect>) {
        let Some(made) = made else { return };
        self.hold(now, &made, &pushed.snapshot.model, effects);
        let (revision, writes) = made.delta;
        effects.push(Effect::Keep(vec![(Arc::clone(&revision), Arc::clone(&writes))]));
        effects.push(Effect::SendAll(GroupMessage::Delta { revision: Arc::clone(&revision), writes }));
        effects.push(Effect::Tell(News::Revised(revision)));
        effects
            .extend(pushed.conflicts.iter().cloned().map(|conflict| Effect::Tell(News::Collided(Box::new(conflict)))));
        // Its author is told that it is taken: it shows, and runs, though nobody may be left to send what this node runs ahead of.
        self.give_up();
        self.changed(effects);
    }

    /// A peer connected.
    pub fn peer_up(&mut self, now: Time, node: &NodeName, effects: &mut Vec<Effect>) {
        if !self.board.up(node) {
            return;
        }
        self.peers.insert(node.clone(), Peer::default());
        effects.push(Effect::Tell(News::Up(node.clone())));
        effects.push(Effect::Send(node.clone(), self.status()));
        // What our clock shows comes before anything that it has stamped.
        effects.push(Effect::Send(node.clone(), GroupMessage::Heartbeat(self.heartbeat(now, node))));
        self.ask(now, node, effects);
    }

    /// A peer is gone.
    pub fn peer_down(&mut self, node: &NodeName, effects: &mut Vec<Effect>) {
        self.peers.remove(node);
        if self.board.down(node) {
            effects.push(Effect::Tell(News::Down(node.clone())));
            self.converged(effects);
            self.release_when_taken_up(effects);
        }
    }

    /// What runs on this node. Told with a heartbeat.
    pub fn report(&mut self, report: Report) {
        self.board.report(report);
    }

    /// What this node says about itself.
    pub(super) fn status(&self) -> GroupMessage {
        GroupMessage::Status(Box::new(self.board.mine().clone()))
    }

    /// When [`Protocol::tick`] wants to be called next.
    pub fn next_tick(&self) -> Time {
        self.next_heartbeat
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if now < self.next_heartbeat {
            return;
        }
        self.next_heartbeat = now + self.timing.heartbeat;
        self.end_waits(now, effects);
        let peers: Vec<NodeName> = self.board.peers().cloned().collect();
        let digest = self.replica.digest();
        let changes = std::mem::replace(&mut self.at_heartbeat, digest) != digest && peers.len() > HEARD_MAX;
        let quiet_for = peers.len() / HEARD_MAX * if changes { QUIET_IN_CHANGE } else { 1 };
        if self.told_status != self.board.mine().version && self.n_quiet >= quiet_for {
            (self.told_status, self.n_quiet) = (self.board.mine().version, 0);
            effects.push(Effect::SendAll(self.status()));
        } else {
            self.n_quiet += 1;
        }
        for node in self.who_hears(&peers, changes) {
            effects.push(Effect::Send(node.clone(), GroupMessage::Heartbeat(self.heartbeat(now, &node))));
        }
        // First: what is told when this member is synced is what it knows then.
        self.forget_removals(self.clocks.to_stamp(now), effects);
        if !self.synced {
            let waited = now.since(self.started);
            let alone = peers.is_empty() && waited >= self.timing.alone_after;
            if alone || waited >= self.timing.answer_within {
                self.sync(None, effects);
            } else {
                peers.iter().for_each(|node| self.ask(now, node, effects));
            }
        }
    }

    /// Who hears from this node with this heartbeat: those who have not heard what it knows, and some of the others, in turn.
    fn who_hears(&mut self, peers: &[NodeName], changes: bool) -> Vec<NodeName> {
        let news_max = if changes { HEARD_AGAIN } else { HEARD_MAX };
        let current = (self.replica.digest(), self.told_status);
        let start = self.next_heard.checked_rem(peers.len()).unwrap_or(0);
        let (mut n_news, mut n_again, mut chosen) = (0, 0, Vec::new());
        for (nth, node) in peers.iter().enumerate().cycle().skip(start).take(peers.len()) {
            let Some(peer) = self.peers.get_mut(node) else { continue };
            if peer.told != current {
                (peer.told, peer.n_told) = (current, 0);
            }
            let is_news = peer.n_told < TOLD_MIN;
            let (n_chosen, max) = if is_news { (&mut n_news, news_max) } else { (&mut n_again, HEARD_AGAIN) };
            if *n_chosen < max {
                (*n_chosen, peer.n_told) = (*n_chosen + 1, peer.n_told + u8::from(is_news));
                self.next_heard = nth + 1;
                chosen.push(node.clone());
            }
        }
        chosen
    }

    fn heartbeat(&self, now: Time, to: &NodeName) -> Heartbeat {
        Heartbeat {
            digest: self.replica.digest(),
            floor: self.replica.registers().floor(),
            revision: self.replica.history().latest().map(|revision| revision.id.clone()),
            clock: now,
            incarnation: self.board.mine().incarnation,
            status: self.told_status,
            wants_status: self
                .peers
                .get(to)
                .is_some_and(|peer| !self.board.has_heard(to, peer.status.0, peer.status.1)),
        }
    }

    /// A message arrived.
    pub fn receive(&mut self, now: Time, from: &NodeName, message: GroupMessage, effects: &mut Vec<Effect>) {
        match message {
            GroupMessage::Heartbeat(heartbeat) => self.heard(now, from, &heartbeat, effects),
            GroupMessage::Delta { revision, writes } => {
                self.learn(now, from, &[(revision, writes)], true, effects);
            }
            GroupMessage::Ask { vector, digest, joining } => {
                // Who knows the same needs no more than to hear it; a newcomer waits for just that.
                if digest == self.replica.digest() && !joining {
                    return;
                }
                let answer = match self.replica.answer(&vector, digest) {
                    Answer::Missing(deltas) => GroupMessage::Missing { deltas, vector: self.replica.vector().clone() },
                    Answer::Full(full) => GroupMessage::Full(full),
                };
                effects.push(Effect::Send(from.clone(), answer));
                let ahead = |(origin, stamp)| self.replica.vector().get(origin).is_none_or(|known| known < stamp);
                if vector.iter().any(ahead) {
                    self.ask(now, from, effects);
                }
            }
            GroupMessage::Missing { deltas, vector } => {
                // It answers for what was known when it was asked, and only then says what is known now.
                let was_asked = self.peers.get_mut(from).is_some_and(|peer| peer.asked.take().is_some());
                if self.learn(now, from, &deltas, false, effects) && was_asked {
                    match self.replica.believe_vector(self.clocks.to_judge(now), &vector) {
                        Ok(()) => {
                            self.replica.caught_up(&vector);
                            self.sync(Some(from), effects);
                        }
                        Err(error) => self.warn(from, error, effects),
                    }
                }
            }
            GroupMessage::Full(full) => self.absorb(now, from, *full, effects),
            // Says nothing to this protocol.
            GroupMessage::Own(_) => {}
            GroupMessage::Part(part) => self.take_up(now, *part, effects),
            GroupMessage::Status(status) => {
                let node = status.node.clone();
                if let Some(news) = self.board.hear(*status, self.replica.model()) {
                    effects.extend(
                        news.into_iter().map(|(id, adoption)| Effect::Tell(News::Answered(node.clone(), id, adoption))),
                    );
                    self.converged(effects);
                    self.release_when_taken_up(effects);
                }
            }
        }
    }
}
