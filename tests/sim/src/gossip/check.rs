//! The invariants of the world of gossip.

use std::{collections::BTreeSet, sync::Arc};

use enact::{
    logic::gossip::{Effect, GroupMessage, News, Presence, Pushed, Replica, Revision, Snapshot, report::OUTCOMES_MAX},
    model::{
        Model,
        change::{self, Cell, Change, Register},
    },
    words::NodeName,
};

use super::{
    World,
    edits::{idx_of, node},
};
use crate::trace::{Checked, hold};

/// The kind of a heartbeat.
pub(super) const HEARTBEAT: u8 = 0;
/// How many kinds of messages there are.
pub(super) const N_KINDS: u64 = 7;

/// The kind of a message.
pub(super) fn kind(message: &GroupMessage) -> u8 {
    match message {
        GroupMessage::Heartbeat(_) => HEARTBEAT,
        GroupMessage::Delta { .. } => 1,
        GroupMessage::Ask { .. } => 2,
        GroupMessage::Missing { .. } => 3,
        GroupMessage::Full(_) => 4,
        GroupMessage::Status(_) => 5,
        GroupMessage::Own(_) => 7,
        GroupMessage::Part(_) => 6,
    }
}

/// A message in a few words.
pub(super) fn brief(message: &GroupMessage) -> String {
    match message {
        GroupMessage::Heartbeat(heartbeat) => format!("heartbeat {}", heartbeat.digest),
        GroupMessage::Delta { revision, .. } => format!("delta {}", revision.id),
        GroupMessage::Ask { digest, joining, .. } => format!("ask {digest} joining {joining}"),
        GroupMessage::Missing { deltas, .. } => {
            let ids: Vec<String> = deltas.iter().map(|(revision, _)| revision.id.to_string()).collect();
            format!("missing [{}]", ids.join(" "))
        }
        GroupMessage::Full(full) => format!("full with {} revisions", full.log.len()),
        GroupMessage::Status(status) => format!("status of {} v{}", status.node, status.version),
        GroupMessage::Own(_) => "own".to_owned(),
        GroupMessage::Part(part) => format!("part of {}", part.revision.id),
    }
}

/// What a push writes, in a few words.
pub(super) fn written(effects: &[Effect]) -> String {
    let kept = effects.iter().filter_map(|effect| if let Effect::Keep(deltas) = effect { Some(deltas) } else { None });
    let rows = kept.flatten().flat_map(|(_, writes)| writes.iter());
    let words = rows.map(|row| {
        let cells = row.cells.iter().map(|(register, cell)| format!("{register:?} = {cell:?}"));
        format!("{:?} {}", row.element, cells.collect::<Vec<_>>().join(", "))
    });
    words.collect::<Vec<_>>().join("; ")
}

/// The view follows the registers, and shows nothing that dangles.
pub(super) fn view(at: usize, replica: &Replica, snapshot: &Snapshot) -> Checked {
    let built = replica.registers().view();
    hold!(built == snapshot.model, "the view follows the registers", "m{at} shows {:?} for {built:?}", snapshot.model);
    hold!(
        snapshot.digest == replica.digest() && snapshot.model == *replica.model(),
        "a snapshot is what the replica knows",
        "m{at}: {} and {}",
        snapshot.digest,
        replica.digest()
    );
    shows(at, replica, &snapshot.model)?;
    model(at, &snapshot.model)
}

/// The model shows what each register by itself says to show.
fn shows(at: usize, replica: &Replica, model: &Model) -> Checked {
    // A model cannot tell who is not to run from who was never told to; that a dictionary is there follows from its values.
    let counts = |register: &Register, cell: &Cell| {
        *cell != Cell::Flag(false) && !matches!(register, Register::HasDictionary | Register::HasFragment(_))
    };
    let registers = replica.registers();
    let visible: Vec<_> = registers
        .iter()
        .filter_map(|(element, register, _)| Some((element, register, registers.visible(element, register)?)))
        .filter(|(_, register, cell)| counts(register, cell))
        .collect();
    let changes = change::diff(&Model::default(), model);
    let shown: Vec<_> = changes
        .iter()
        .filter_map(|change| Some((&change.element, &change.register, change.after.as_ref()?)))
        .filter(|(_, register, cell)| counts(register, cell))
        .collect();
    hold!(shown == visible, "the model shows what the registers say", "m{at} shows {shown:?} for {visible:?}");
    Ok(())
}

fn model(at: usize, model: &Model) -> Checked {
    let mut ids = BTreeSet::new();
    for (node, name, component) in model.components() {
        hold!(ids.insert(component.id), "a component lives in one place", "m{at} shows {node}.{name} elsewhere too");
        let is_whole = component.instance.type_ref.is_some();
        hold!(is_whole, "no component shows without its type", "m{at} shows {node}.{name} without one");
    }
    for binding in model.bindings.iter() {
        let has_both = model.component(&binding.port.node, &binding.port.component).is_some()
            && model.channels.contains_key(&binding.channel);
        hold!(has_both, "no binding dangles", "m{at} shows {binding:?}");
    }
    for (name, node) in &model.nodes {
        let dangles = node.groups.iter().find(|group| !model.groups.contains_key(*group));
        hold!(dangles.is_none(), "no attachment dangles", "m{at} shows {name} in {dangles:?}");
        let (mut host, mut n) = (node.host.as_ref(), 0);
        while let Some(above) = host {
            hold!(model.nodes.contains_key(above), "no host dangles", "m{at} shows {name} below {above}");
            n += 1;
            hold!(n <= model.nodes.len(), "hosts are no circle", "m{at} shows {name} in a circle");
            host = model.nodes[above].host.as_ref();
        }
    }
    for (name, scope) in &model.scopes {
        let dangles = scope.members.iter().find(|node| !model.nodes.contains_key(*node));
        hold!(dangles.is_none(), "no membership dangles", "m{at} shows {dangles:?} in {name}");
    }
    Ok(())
}

/// A push upon the present model shows exactly what was wanted.
pub(super) fn shows_what_was_wanted(at: usize, shown: &Model, wanted: &Model) -> Checked {
    let differs = change::diff(wanted, shown);
    hold!(
        differs.is_empty(),
        "a push upon the present model shows what was wanted",
        "m{at} shows otherwise: {differs:?}"
    );
    Ok(())
}

/// A push upon an older model: what its author changed shows, or the author is told what stands in its way.
pub(super) fn shows_or_is_named(at: usize, pushed: &Pushed, asked: &[Change], replica: &Replica) -> Checked {
    for Change { element, register, after, .. } in asked {
        let shows = replica.registers().visible(element, register) == after.as_ref();
        let is_named = pushed.conflicts.iter().any(|conflict| conflict.element == *element);
        hold!(
            shows || is_named,
            "what a push upon an older model changes shows, or a conflict names it",
            "m{at} pushed {:?}: {element:?} {register:?} is not {after:?}; told were {:?}",
            pushed.revision,
            pushed.conflicts
        );
    }
    Ok(())
}

impl World<'_> {
    /// After each deed of a member.
    pub(super) fn check_member(&mut self, at: usize) -> Checked {
        let Some(protocol) = &self.members[at].protocol else { return Ok(()) };
        let replica = protocol.replica();
        if !self.book.looks(at, replica)? {
            return Ok(());
        }
        self.learned_at = self.agenda.now();
        // Only who forgets keeps something else than it was told.
        if self.book.forgets {
            let kept = self.members[at].kept_on_disk(at, &self.timing).digest();
            let knows = replica.digest();
            hold!(kept == knows, "what a member knows is on its disk", "m{at} knows {knows}, kept {kept}");
        }
        for other in (0..self.members.len()).filter(|other| *other != at) {
            let Some(theirs) = self.members[other].protocol.as_ref().map(enact::logic::gossip::Protocol::replica)
            else {
                continue;
            };
            if theirs.digest() == replica.digest() {
                let same =
                    theirs.model() == replica.model() && theirs.registers().iter().eq(replica.registers().iter());
                hold!(same, "equal digests mean equal models", "m{at} and m{other} differ in {}", replica.digest());
            }
        }
        Ok(())
    }

    /// Something was told that is to be true.
    pub(super) fn check_news(&mut self, at: usize, news: &News) -> Checked {
        let Some(protocol) = &self.members[at].protocol else { return Ok(()) };
        let board = protocol.board();
        match news {
            News::Converged(_) => {
                let (digest, attached) = (protocol.replica().digest(), board.attached(protocol.replica().model()));
                let is_there = |node: &&NodeName| board.is_up(node) && attached.contains(*node);
                for other in board.peers().filter(is_there).map(idx_of).chain([at]) {
                    let ran = self.book.ran(other, digest) || (other == at && !attached.contains(&node(at)));
                    hold!(
                        ran,
                        "convergence is told when all who are there run the same",
                        "m{at} tells it, m{other} does not"
                    );
                }
                Ok(())
            }
            News::Synced(Some(by)) => self.book.synced(at, idx_of(by), protocol.replica()),
            News::Synced(None) => {
                let waited = self.time(at).since(self.members[at].started);
                let alone = board.peers().next().is_none() && waited >= self.timing.alone_after;
                hold!(
                    alone || waited >= self.timing.answer_within,
                    "nobody starts before it has heard from the group",
                    "m{at} starts alone after {waited:?}"
                );
                Ok(())
            }
            News::Answered(of, revision, _) => {
                let is_within = idx_of(of) != at || self.members[at].answerable.contains(revision);
                hold!(is_within, "a node answers for what was in its target", "m{at} answers to {revision}");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// When all has been calm for long enough.
    pub(super) fn check_end(&self) -> Checked {
        let protocols: Vec<_> = self.members.iter().filter_map(|member| member.protocol.as_ref()).collect();
        hold!(protocols.len() == self.members.len(), "all run again", "{} of {}", protocols.len(), self.members.len());
        let first = protocols[0].replica();
        let ids = |replica: &Replica| replica.history().revisions().map(|r| r.id.clone()).collect::<Vec<_>>();
        for (idx, protocol) in protocols.iter().enumerate() {
            let replica = protocol.replica();
            hold!(
                replica.digest() == first.digest() && replica.model() == first.model(),
                "in the end all agree",
                "m{idx} knows {} of {:?}, m0 {} of {:?}",
                replica.digest(),
                ids(replica),
                first.digest(),
                ids(first)
            );
            hold!(ids(replica) == ids(first), "in the end there is one history", "m{idx}: {:?}", ids(replica));
            for member in protocol.board().members(replica.model(), replica.digest()) {
                if member.presence == Presence::Absent {
                    continue;
                }
                hold!(member.in_step, "in the end all see each other in step", "m{idx} does not see {}", member.node);
                let own = protocols[idx_of(&member.node)].board().mine();
                hold!(
                    member.status.as_ref() == Some(own),
                    "in the end everybody's last word is known",
                    "m{idx} knows of {}: {:?}, it says {own:?}",
                    member.node,
                    member.status
                );
            }
            let is_open = |revision: &&Arc<Revision>| protocol.board().mine().outcome(&revision.id).is_none();
            let open = replica.history().revisions().take(OUTCOMES_MAX).find(is_open);
            hold!(open.is_none(), "in the end each has answered to all", "m{idx} has not to {open:?}");
            if !self.adoption_fails && first.history().latest().is_some() {
                let runs = protocol.board().mine().digest;
                hold!(runs == Some(first.digest()), "in the end each runs the model", "m{idx} runs {runs:?}");
            }
        }
        // What is older than the horizon may go: who stayed away longer takes the others' state as it is.
        if self.book.forgets { Ok(()) } else { self.book.nothing_is_lost_in_silence(first) }
    }
}
