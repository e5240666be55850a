//! Who is alive, as a value: told what the network shows and what peers say, it decides who is up, suspected, down, or refused.
//!
//! A node first looks whether its name is free (**joining**), then announces itself (**member**). Whoever is seen is greeted;
//! a greeting that is answered makes a peer **up**. The network says who vanished; frames are signs of life, and a peer without
//! any for a while is **suspected**. The link to a peer that is down is kept for some time, so that nothing is lost when a cut
//! heals: [`Effect::Close`] ends it.

mod effect;
mod peer;
mod watch;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod many;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use effect::{Effect, Hello, Refusal, Times};
pub use peer::{Address, DownReason, Peer, PeerEvent, RefuseReason, Role, Sighting};
pub use watch::Doubt;

use crate::words::Time;

/// The wire protocol. Two nodes of different protocols refuse each other with the reason; raise it when frames change.
pub const PROTOCOL: u16 = 4;

/// Strangers remembered so that each is told of once; beyond it the memory starts afresh, and somebody may be told of again.
const REFUSED_MAX: usize = 1024;

/// Peers that have greeted before the network shows them: a matter of milliseconds, so few at a time. More of them, who may be
/// made up by a stranger, have to greet again.
const UNSEEN_MAX: usize = 64;

/// Peers that the network shows and that are not up: far more than start at once. A link to each costs a thread, and a stranger can
/// make up any number of them. Those beyond are let in when others of them are gone, or by greeting.
const SILENT_MAX: usize = 1024;

/// Others of our name that are remembered while we join: one is enough to be refused.
const RIVALS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Joining { until: Time },
    Member,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Seen, not introduced.
    Seen,
    Up {
        suspected: bool,
    },
    Down {
        since: Time,
    },
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    /// The network shows it.
    visible: bool,
    state: State,
    link: u64,
    theirs: Option<u64>,
    heard: Time,
    /// It gives signs of life at the slower pace.
    beats_slowly: bool,
    /// It is given them at the slower pace.
    hears_slowly: bool,
    greet_at: Time,
    greet_pause: Duration,
}

/// Another of our own name that the network shows while we join.
#[derive(Debug)]
struct Rival {
    peer: Peer,
    /// When it was first seen.
    seen: Time,
}

impl Entry {
    fn suspect(&mut self, effects: &mut Vec<Effect>) {
        self.state = State::Up { suspected: true };
        effects.push(Effect::Tell(PeerEvent::Suspected(self.peer.clone())));
    }
}

/// Everybody we know of.
#[derive(Debug)]
pub struct Peers {
    me: Sighting,
    release: String,
    place: String,
    times: Times,
    phase: Phase,
    entries: BTreeMap<Address, Entry>,
    /// Others of our own name: only while joining.
    rivals: BTreeMap<Address, Rival>,
    refused: BTreeSet<String>,
    next_link: u64,
    ticked: Time,
}

impl Peers {
    /// Knows nobody yet. `release` and `place` (where we listen) are for people.
    pub fn new(me: Sighting, release: String, place: String, times: Times, now: Time) -> Peers {
        let phase = match me.peer.role {
            Role::Node => Phase::Joining { until: now + times.settle },
            // A console makes its name up; nobody else has it.
            Role::Console => Phase::Joining { until: now },
        };
        let (entries, rivals, refused) = Default::default();
        Peers { me, release, place, times, phase, entries, rivals, refused, next_link: 1, ticked: now }
    }

    /// The network shows somebody.
    pub fn saw(&mut self, now: Time, them: Sighting, effects: &mut Vec<Effect>) {
        if them.address == self.me.address || !self.is_ours(&them, effects) {
            return;
        }
        if them.peer.name == self.me.peer.name {
            return self.saw_our_name(now, them, effects);
        }
        if self.me.peer.role == Role::Console && them.peer.role == Role::Console {
            return;
        }
        let silent = || self.entries.values().filter(|entry| !matches!(entry.state, State::Up { .. })).count();
        if !self.entries.contains_key(&them.address) && silent() >= SILENT_MAX {
            return;
        }
        let entry = self.entry(now, them.address.clone(), them.peer, effects);
        entry.visible = true;
        if self.phase == Phase::Member {
            self.greet(now, &them.address, true, effects);
        }
    }

    /// The network does not show somebody any more.
    pub fn vanished(&mut self, now: Time, address: &Address, effects: &mut Vec<Effect>) {
        self.rivals.remove(address);
        let Some(entry) = self.entries.get_mut(address) else { return };
        entry.visible = false;
        match entry.state {
            State::Up { .. } => self.down(now, address, DownReason::Unreachable, effects),
            State::Seen => self.forget(address, effects),
            State::Down { .. } => {}
        }
    }

    /// A greeting came.
    pub fn greeted(&mut self, now: Time, hello: Hello, effects: &mut Vec<Effect>) {
        let address = Address(hello.address.as_str().into());
        let them = Sighting {
            address: address.clone(),
            protocol: hello.protocol,
            group: hello.group,
            peer: hello.peer.clone(),
        };
        if address == self.me.address || !self.is_ours(&them, effects) {
            return;
        }
        if them.peer.name == self.me.peer.name {
            if hello.joining && self.phase == Phase::Member {
                let refusal = Refusal { by: self.me.peer.clone(), place: self.place.clone() };
                effects.push(Effect::Refuse { address, refusal });
            }
            return;
        }
        if hello.joining || self.phase != Phase::Member {
            return;
        }
        let unseen = || self.entries.values().filter(|entry| !entry.visible).count();
        if !self.entries.contains_key(&address) && unseen() >= UNSEEN_MAX {
            return;
        }
        let entry = self.entry(now, address.clone(), them.peer, effects);
        if hello.yours != 0 && hello.yours != entry.link {
            // It believes in a link that we have forgotten: let it know.
            return self.greet(now, &address, true, effects);
        }
        if entry.theirs.is_some_and(|known| hello.link < known) {
            return; // an old greeting that was long under way
        }
        entry.heard = now;
        if entry.theirs != Some(hello.link) || !matches!(entry.state, State::Up { .. }) {
            entry.theirs = Some(hello.link);
            effects.push(Effect::Bind { link: entry.link, theirs: hello.link });
        }
        if hello.answer {
            self.greet(now, &address, false, effects);
        }
        self.up(now, &address, effects);
    }

    /// A newcomer of our name was refused: that is us.
    pub fn refused(&mut self, refusal: Refusal, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Joining { .. }) {
            self.phase = Phase::Refused;
            effects.push(Effect::NameInUse(refusal));
        }
    }

    /// Somebody said goodbye.
    pub fn left(&mut self, now: Time, address: &Address, effects: &mut Vec<Effect>) {
        self.down(now, address, DownReason::Left, effects);
    }

    /// A frame came over a link, at this time: a sign of life. The peer gives them at the slower pace, or not.
    pub fn heard(&mut self, link: u64, at: Time, slow: bool, effects: &mut Vec<Effect>) {
        let Some(entry) = self.entries.values_mut().find(|entry| entry.link == link) else { return };
        entry.beats_slowly = slow;
        if at <= entry.heard {
            return;
        }
        entry.heard = at;
        if entry.state == (State::Up { suspected: true }) {
            entry.state = State::Up { suspected: false };
            effects.push(Effect::Tell(PeerEvent::Trusted(entry.peer.clone())));
        }
    }

    /// Somebody sent what is no frame. Told once.
    pub fn garbage(&mut self, who: &str, detail: String, effects: &mut Vec<Effect>) {
        self.refuse(who.to_owned(), who.to_owned(), RefuseReason::Garbage { detail }, effects);
    }

    /// Time has passed. To be called several times per [`Times::suspect`].
    pub fn tick(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let gap = now.since(self.ticked);
        self.ticked = now;
        if gap > self.times.suspect / 2 {
            // We were asleep ourselves: what we did not hear meanwhile says nothing about others. What we did hear is no later for it.
            self.entries.values_mut().for_each(|entry| entry.heard = (entry.heard + gap).min(now));
            // Nor had those of our own name a chance to say that they are there.
            self.rivals.values_mut().for_each(|rival| rival.seen = (rival.seen + gap).min(now));
        }
        self.tick_joining(now, effects);
        if self.phase != Phase::Member {
            return;
        }
        for address in self.entries.keys().cloned().collect::<Vec<_>>() {
            self.tick_entry(now, &address, effects);
        }
        self.choose_watchers(effects);
    }

    fn tick_joining(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Phase::Joining { until } = self.phase else { return };
        let may_answer = self.rivals.values().any(|rival| now < rival.seen + self.times.rival);
        if now < until || may_answer {
            for address in self.rivals.keys().cloned().collect::<Vec<_>>() {
                effects.push(self.greeting(address, 0, 0, true));
            }
            return;
        }
        // One that came later and does not answer, since the way to it is cut: as of two members of one name, the later life goes on.
        // Nobody would tell either of the other any more.
        if let Some((address, rival)) = self.rivals.iter().find(|(address, rival)| self.is_before(&rival.peer, address))
        {
            let refusal = Refusal { by: rival.peer.clone(), place: address.0.to_string() };
            self.phase = Phase::Refused;
            effects.push(Effect::NameInUse(refusal));
            return;
        }
        self.phase = Phase::Member;
        self.rivals.clear();
        effects.push(Effect::Announce);
        for address in self.entries.keys().cloned().collect::<Vec<_>>() {
            self.greet(now, &address, true, effects);
        }
    }

    fn tick_entry(&mut self, now: Time, address: &Address, effects: &mut Vec<Effect>) {
        let Some(entry) = self.entries.get_mut(address) else { return };
        let silence = now.since(entry.heard);
        let suspect = if entry.beats_slowly { self.times.suspect_slow } else { self.times.suspect };
        match entry.state {
            State::Up { .. } if silence > self.times.silent => {
                return self.down(now, address, DownReason::Unreachable, effects);
            }
            State::Up { suspected: false } if silence > suspect => {
                entry.suspect(effects);
                self.tell_doubt(now, address, effects);
                return;
            }
            State::Down { since } if !entry.visible && now.since(since) > self.times.keep => {
                return self.forget(address, effects);
            }
            State::Seen if !entry.visible && now.since(entry.heard) > self.times.keep => {
                return self.forget(address, effects);
            }
            _ => {}
        }
        // Who is not up but gives any sign is asked whether it is there.
        let heard_since = matches!(entry.state, State::Down { since } if entry.heard > since);
        let worth_it = !matches!(entry.state, State::Up { .. }) && (entry.visible || heard_since);
        if worth_it && now >= entry.greet_at {
            self.greet(now, address, true, effects);
        }
    }

    /// Whether a sighting is of our group and protocol; if not, it is told once.
    fn is_ours(&mut self, them: &Sighting, effects: &mut Vec<Effect>) -> bool {
        let reason = if them.protocol != self.me.protocol {
            RefuseReason::Protocol { theirs: them.protocol, ours: self.me.protocol }
        } else if them.group != self.me.group {
            RefuseReason::Group { theirs: them.group.clone(), ours: self.me.group.clone() }
        } else {
            return true;
        };
        self.refuse(them.address.0.to_string(), them.peer.name.to_string(), reason, effects);
        false
    }

    fn refuse(&mut self, key: String, who: String, reason: RefuseReason, effects: &mut Vec<Effect>) {
        if self.refused.len() >= REFUSED_MAX {
            self.refused.clear();
        }
        if self.refused.insert(key) {
            effects.push(Effect::Tell(PeerEvent::Refused { who, reason }));
        }
    }

    fn saw_our_name(&mut self, now: Time, them: Sighting, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Joining { .. } if self.rivals.len() >= RIVALS_MAX => {}
            Phase::Joining { .. } => {
                let rival = Rival { peer: them.peer, seen: now };
                self.rivals.insert(them.address.clone(), rival);
                effects.push(self.greeting(them.address, 0, 0, true));
            }
            // Two members of one name: they met after a cut, or started in the same moment. The later life goes on.
            Phase::Member if self.is_before(&them.peer, &them.address) => {
                self.phase = Phase::Refused;
                effects.push(Effect::Tell(PeerEvent::NameTaken { by: them.peer }));
            }
            Phase::Member | Phase::Refused => {}
        }
    }

    /// Whether this life began before that of another of its name.
    fn is_before(&self, them: &Peer, address: &Address) -> bool {
        (self.me.peer.incarnation, &self.me.address) < (them.incarnation, address)
    }

    fn entry(&mut self, now: Time, address: Address, peer: Peer, effects: &mut Vec<Effect>) -> &mut Entry {
        let (next_link, times) = (&mut self.next_link, &self.times);
        self.entries.entry(address.clone()).or_insert_with(|| {
            let link = *next_link;
            *next_link += 1;
            effects.push(Effect::Open { link, peer: peer.clone(), address });
            Entry {
                peer,
                visible: false,
                state: State::Seen,
                link,
                theirs: None,
                heard: now,
                beats_slowly: false,
                hears_slowly: false,
                greet_at: now,
                greet_pause: times.greet,
            }
        })
    }

    fn greeting(&self, address: Address, link: u64, yours: u64, answer: bool) -> Effect {
        let hello = Hello {
            protocol: self.me.protocol,
            release: self.release.clone(),
            group: self.me.group.clone(),
            peer: self.me.peer.clone(),
            address: self.me.address.0.to_string(),
            place: self.place.clone(),
            link,
            yours,
            answer,
            joining: matches!(self.phase, Phase::Joining { .. }),
        };
        Effect::Greet { address, hello }
    }

    fn greet(&mut self, now: Time, address: &Address, answer: bool, effects: &mut Vec<Effect>) {
        let Some(entry) = self.entries.get_mut(address) else { return };
        if answer {
            entry.greet_at = now + entry.greet_pause;
            entry.greet_pause = (entry.greet_pause * 2).min(self.times.greet_max);
        }
        let (link, yours) = (entry.link, entry.theirs.unwrap_or(0));
        effects.push(self.greeting(address.clone(), link, yours, answer));
    }

    fn up(&mut self, now: Time, address: &Address, effects: &mut Vec<Effect>) {
        let Some(entry) = self.entries.get(address) else { return };
        let (name, incarnation) = (entry.peer.name.clone(), entry.peer.incarnation);
        let others = self.entries.iter().filter(|(other, entry)| *other != address && entry.peer.name == name);
        let (mut older, mut newer_up) = (Vec::new(), false);
        for (other, entry) in others {
            match entry.peer.incarnation > incarnation {
                true => newer_up |= matches!(entry.state, State::Up { .. }),
                false => older.push(other.clone()),
            }
        }
        if newer_up {
            return; // a former life of a peer that is up: it will find out itself
        }
        for other in older {
            self.down(now, &other, DownReason::Replaced, effects);
            self.forget(&other, effects);
        }
        let Some(entry) = self.entries.get_mut(address) else { return };
        entry.greet_pause = self.times.greet;
        match entry.state {
            State::Up { suspected: false } => {}
            State::Up { suspected: true } => effects.push(Effect::Tell(PeerEvent::Trusted(entry.peer.clone()))),
            State::Seen | State::Down { .. } => effects.push(Effect::Tell(PeerEvent::Up(entry.peer.clone()))),
        }
        entry.state = State::Up { suspected: false };
    }

    fn down(&mut self, now: Time, address: &Address, reason: DownReason, effects: &mut Vec<Effect>) {
        let Some(entry) = self.entries.get_mut(address) else { return };
        if matches!(entry.state, State::Up { .. }) {
            effects.push(Effect::Tell(PeerEvent::Down { peer: entry.peer.clone(), reason }));
        }
        entry.state = State::Down { since: now };
        // A console comes back under another name: nothing needs to be kept for it.
        if reason == DownReason::Left || entry.peer.role == Role::Console {
            self.forget(address, effects);
        }
    }

    fn forget(&mut self, address: &Address, effects: &mut Vec<Effect>) {
        if let Some(entry) = self.entries.remove(address) {
            effects.push(Effect::Close { link: entry.link });
        }
    }
}
