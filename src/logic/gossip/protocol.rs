//! The `Gossip` protocol of one member, without clock, network and disk: told what happens, it says what to do.
//!
//! A push goes to all at once. Heartbeats carry a digest; who sees another digest twice asks, and gets what it misses. A member
//! that starts asks before anything else, and is *synced* when someone has answered, or when nobody is there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Adoption, Answer, Board, Conflict, Full, GroupMessage, Heartbeat, Learned, Push, PushRefused, Pushed, Replica,
    Report, RevisionId, Snapshot, Stamp, StateDigest, Unbelievable,
    ahead::{Ahead, Held},
    clocks::Clocks,
    replica::Delta,
    revise::Made,
};
use crate::words::{GroupName, NodeName, Time};

/// The times of a group.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Between two heartbeats. What a lost delta costs, at worst twice.
    pub heartbeat: Duration,
    /// How long a member that starts waits for somebody to appear. Discovery takes some 10 ms; a busy machine, longer.
    pub alone_after: Duration,
    /// How long a member that starts waits for those who are there to answer.
    pub answer_within: Duration,
    /// How far ahead a stamp may be.
    pub ahead_max: Duration,
    /// How long removals are remembered. Who stays away longer takes the others' state as it is.
    pub horizon: Duration,
    /// A revision that writes more registers than this is sent to each node in two: first what concerns the node, then the whole.
    pub whole_max: u32,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat: Duration::from_millis(250),
            alone_after: Duration::from_millis(1500),
            answer_within: Duration::from_secs(10),
            ahead_max: Duration::from_secs(1),
            horizon: Duration::from_secs(24 * 3600),
            whole_max: 2000,
        }
    }
}

/// An asked member that has not answered for so many heartbeats is asked again.
const ASK_AGAIN_HEARTBEATS: u32 = 4;

/// So many members that have not heard what this node knows now hear from it with one heartbeat, of more the others with the next
/// ones. Fifty members that all tell each other four times a second would keep a core busy.
const HEARD_MAX: usize = 8;

/// Of those who have, so many: who has missed something hears of it from as many in the end.
const HEARD_AGAIN: usize = 2;

/// So often each is told what this node knows before it counts as one who has heard: who differs twice asks.
const TOLD_MIN: u8 = 2;

/// So many members are asked at once by one that starts: the first answer will do, but some may be as new.
const JOIN_ASKS_MAX: usize = 3;

/// Removals are forgotten in steps of this part of the horizon, so that members rarely differ in it.
const FLOOR_STEPS: u64 = 24;

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
        if self.told_status != self.board.mine().version && self.n_quiet >= peers.len() / HEARD_MAX {
            (self.told_status, self.n_quiet) = (self.board.mine().version, 0);
            effects.push(Effect::SendAll(self.status()));
        } else {
            self.n_quiet += 1;
        }
        for node in self.who_hears(&peers) {
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
    fn who_hears(&mut self, peers: &[NodeName]) -> Vec<NodeName> {
        let current = (self.replica.digest(), self.told_status);
        let start = self.next_heard.checked_rem(peers.len()).unwrap_or(0);
        let (mut n_news, mut n_again, mut chosen) = (0, 0, Vec::new());
        for (nth, node) in peers.iter().enumerate().cycle().skip(start).take(peers.len()) {
            let Some(peer) = self.peers.get_mut(node) else { continue };
            if peer.told != current {
                (peer.told, peer.n_told) = (current, 0);
            }
            let is_news = peer.n_told < TOLD_MIN;
            let (n_chosen, max) = if is_news { (&mut n_news, HEARD_MAX) } else { (&mut n_again, HEARD_AGAIN) };
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

    fn heard(&mut self, now: Time, from: &NodeName, heartbeat: &Heartbeat, effects: &mut Vec<Effect>) {
        if self.board.up(from) {
            self.peers.entry(from.clone()).or_default();
            effects.push(Effect::Tell(News::Up(from.clone())));
        }
        match self.clocks.shown(now, from, heartbeat.clock) {
            Ok(()) => self.fine(from),
            Err(error) => self.warn(from, error.into(), effects),
        }
        self.board.knows(from, heartbeat.digest);
        if heartbeat.wants_status {
            effects.push(Effect::Send(from.clone(), self.status()));
        }
        self.follow_floor(now, from, heartbeat, effects);
        let (mine, expects_more) = (self.replica.digest(), self.expects_more(now));
        let Some(peer) = self.peers.get_mut(from) else { return };
        peer.status = (heartbeat.incarnation, heartbeat.status);
        if heartbeat.digest == mine {
            peer.differs = None;
            self.converged(effects);
            return;
        }
        if expects_more {
            return;
        }
        // The first time it may simply be a delta under way.
        let again = peer.differs == Some(mine) || !self.synced;
        peer.differs = Some(mine);
        if again {
            self.ask(now, from, effects);
        }
    }

    fn ask(&mut self, now: Time, node: &NodeName, effects: &mut Vec<Effect>) {
        let patience = self.timing.heartbeat * ASK_AGAIN_HEARTBEATS;
        let is_asked = |peer: &Peer| peer.asked.is_some_and(|asked| now.since(asked) < patience && asked <= now);
        let n_asked = if self.synced { 0 } else { self.peers.values().filter(|peer| is_asked(peer)).count() };
        let Some(peer) = self.peers.get_mut(node).filter(|peer| !is_asked(peer)) else { return };
        if n_asked >= JOIN_ASKS_MAX {
            return;
        }
        peer.asked = Some(now);
        let (vector, digest) = (self.replica.vector().clone(), self.replica.digest());
        effects.push(Effect::Send(node.clone(), GroupMessage::Ask { vector, digest, joining: !self.synced }));
    }

    /// Learns revisions; false when one was refused.
    fn learn(
        &mut self,
        now: Time,
        from: &NodeName,
        deltas: &[Delta],
        fill_gaps: bool,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let before = self.replica.digest();
        let (mut learned, result) = self.replica.learn(self.clocks.to_judge(now), deltas);
        let new = std::mem::take(&mut learned.deltas);
        let gap = learned.gap;
        self.learned(before, learned, effects);
        // The node is at work already while this is written: who sent it has it on disk, so nothing waits for ours.
        if !new.is_empty() {
            effects.push(Effect::Keep(new));
        }
        if let Err(error) = result {
            self.warn(from, error, effects);
            return false;
        }
        if gap && fill_gaps && !self.expects_more(now) {
            self.ask(now, from, effects);
        }
        true
    }

    fn absorb(&mut self, now: Time, from: &NodeName, full: Full, effects: &mut Vec<Effect>) {
        if let Some(peer) = self.peers.get_mut(from) {
            peer.asked = None;
        }
        let (before, floor) = (self.replica.digest(), self.replica.registers().floor());
        match self.replica.absorb(self.clocks.to_judge(now), full) {
            Ok(learned) => {
                // What comes after is judged by the floor, also after a restart.
                if (self.replica.digest(), self.replica.registers().floor()) != (before, floor) {
                    effects.push(Effect::KeepAll);
                }
                self.learned(before, learned, effects);
                self.sync(Some(from), effects);
            }
            Err(error) => self.warn(from, error, effects),
        }
    }

    /// Tells what was learned. Where only removals were, the model is the same under another digest: the node is to say that it
    /// runs this one.
    fn learned(&mut self, before: StateDigest, learned: Learned, effects: &mut Vec<Effect>) {
        effects.extend(learned.revisions.into_iter().map(|revision| Effect::Tell(News::Revised(revision))));
        effects.extend(learned.conflicts.into_iter().map(|conflict| Effect::Tell(News::Collided(Box::new(conflict)))));
        if self.replica.digest() != before {
            self.changed(effects);
        }
    }

    fn warn(&mut self, from: &NodeName, error: Unbelievable, effects: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        let told = match error {
            Unbelievable::TooFarAhead(_) => &mut peer.warned,
            Unbelievable::Number { .. } | Unbelievable::Origins { .. } => &mut peer.disbelieved,
        };
        if !std::mem::replace(told, true) {
            effects.push(Effect::Tell(News::Refused(from.clone(), error)));
        }
    }

    /// A peer's clock is as it should be: when it is not again, that is told again.
    fn fine(&mut self, from: &NodeName) {
        if let Some(peer) = self.peers.get_mut(from) {
            peer.warned = false;
        }
    }

    pub(super) fn sync(&mut self, by: Option<&NodeName>, effects: &mut Vec<Effect>) {
        if !self.synced {
            self.synced = true;
            effects.push(Effect::Tell(News::Synced(by.cloned())));
            effects.push(Effect::Changed(self.replica.snapshot()));
        }
    }

    pub(super) fn converged(&mut self, effects: &mut Vec<Effect>) {
        let digest = self.replica.digest();
        let Some(latest) = self.replica.history().latest() else { return };
        if self.told_converged != Some(digest) && self.board.has_converged(self.replica.model(), digest) {
            self.told_converged = Some(digest);
            effects.push(Effect::Tell(News::Converged(latest.id.clone())));
        }
    }

    /// Forgets removals older than the horizon, when more than half of the members know the same: the others follow.
    fn forget_removals(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let step = u64::try_from(self.timing.horizon.as_micros()).unwrap_or(u64::MAX) / FLOOR_STEPS;
        let (Some(until), true) = (now.micros().checked_sub(step * FLOOR_STEPS), step > 0) else { return };
        let floor = Time(until / step * step);
        let is_due = floor > self.replica.registers().floor();
        if is_due && self.synced && self.board.majority_in_step(self.replica.model(), self.replica.digest()) {
            self.forget(floor, effects);
        }
    }

    /// A member has forgotten removals of which this one still knows: where that is all in which they differ, it forgets them, too.
    fn follow_floor(&mut self, now: Time, from: &NodeName, heartbeat: &Heartbeat, effects: &mut Vec<Effect>) {
        if heartbeat.floor <= self.replica.registers().floor() {
            return;
        }
        if let Err(error) = self.replica.check_time(self.clocks.to_judge(now), heartbeat.floor) {
            return self.warn(from, error.into(), effects);
        }
        if self.replica.digest_at(heartbeat.floor) == heartbeat.digest {
            self.forget(heartbeat.floor, effects);
        }
    }

    fn forget(&mut self, until: Time, effects: &mut Vec<Effect>) {
        let before = self.replica.digest();
        self.replica.forget_removals(until);
        effects.push(Effect::KeepAll);
        self.learned(before, Learned::default(), effects);
    }
}
