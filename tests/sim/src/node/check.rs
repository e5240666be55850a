//! What must hold in the world of nodes: at each look, and when all is well again.

use std::collections::BTreeSet;

use enact::{
    logic::{gossip::Adoption, link},
    model::{Model, change},
    runtime::node::api::{ErrorCode, NodeVerdict},
    words::{ComponentName, InstancePath, NodeName},
};

use super::{
    Event, World,
    parts::{IN_ORDER, Ledger},
    person::Told,
    wishes::node,
};
use crate::{
    agenda::MS,
    run,
    trace::{Checked, Violation, hold},
};

/// A push is answered by each node so soon: a plan's steps within their limits, those of the plan before it, and their undoing.
const ANSWER_MAX_MS: u64 = 15_000;

/// A machine whose name is still taken, since nobody noticed its crash, is started again.
const TRY_AGAIN_MS: u64 = 300;

/// What is wanted running on a node, each with its value.
fn wanted_on(model: &Model, node: &NodeName) -> Vec<(ComponentName, i64)> {
    let Some(here) = model.nodes.get(node) else { return Vec::new() };
    let started = here.components.iter().filter(|(_, part)| part.instance.started);
    started
        .map(|(name, part)| {
            (name.clone(), part.instance.get("value").and_then(|text| text.parse().ok()).unwrap_or_default())
        })
        .collect()
}

impl World<'_> {
    /// What holds whatever happens. Looked at every [`super::LOOK_MS`].
    pub(super) fn look(&mut self) -> Checked {
        if let Some(violation) = run::noted_panic() {
            return Err(violation);
        }
        self.look_at_ends()?;
        for (at, group) in self.groups() {
            let current = group.current();
            self.trace.mix(current.digest.0 as u64);
            let model = self.seen.entry(current.digest).or_insert_with(|| current.model.clone());
            hold!(
                *model == current.model,
                "equal digests mean equal models",
                "what m{at} shows differs in {:?}",
                change::diff(model, &current.model)
            );
        }
        self.look_at_what_is_heard()?;
        self.look_at_what_runs()?;
        self.look_at_queues()?;
        self.look_at_pushes()?;
        self.mark(Ledger::n_begun());
        Ok(())
    }

    fn look_at_what_is_heard(&mut self) -> Checked {
        for (at, group) in self.groups() {
            self.moves.look(at, &group.current().model);
        }
        let mut faults = Ledger::faults().into_iter();
        match faults.find(|fault| fault.invariant != IN_ORDER || !self.moves_again(&fault.hearer)) {
            Some(fault) => Err(Violation { invariant: fault.invariant.to_owned(), detail: fault.detail }),
            None => Ok(()),
        }
    }

    /// Whether a component may have moved again before it had settled. For a node that could not carry a move out and turned back,
    /// it came, went, and comes again. The accidents last hardly longer than a move may take to settle: it does not matter when. In the end
    /// all moves have settled, and are forgotten.
    fn moves_again(&self, path: &str) -> bool {
        let turned_back = |told: &Told| {
            let nodes = told.outcome.iter().flatten().flat_map(|outcome| &outcome.nodes);
            let mut here = nodes.filter(|node| path.split_once('.').is_some_and(|(at, _)| at == node.node.as_str()));
            here.any(|node| !matches!(node.verdict, NodeVerdict::Adopted { .. }))
        };
        match self.moves.of(path) {
            0 => false,
            1 => self.book.borrow().values().any(turned_back),
            _ => true,
        }
    }

    fn look_at_ends(&mut self) -> Checked {
        for at in 0..self.machines.len() {
            let ended = self.machines[at].life.as_ref().and_then(|life| life.seat.borrow().ended.clone());
            let Some(ended) = ended else { continue };
            let is_rival = matches!(&ended, Err(why) if why.contains("already in the group"));
            hold!(
                is_rival || (ended.is_ok() && self.machines[at].is_stopping),
                "no node ends but those that were killed or asked to",
                "m{at}: {ended:?}"
            );
            self.machines[at].life = None;
            self.say(|| format!("m{at} has ended: {ended:?}"));
            self.agenda.plan(TRY_AGAIN_MS * MS, Event::Start(at));
        }
        Ok(())
    }

    fn look_at_what_runs(&mut self) -> Checked {
        for at in 0..self.machines.len() {
            let running = Ledger::running_on(&node(at));
            let names: BTreeSet<_> = running.iter().map(|(name, _)| name).collect();
            hold!(names.len() == running.len(), "nothing runs twice on one node", "on m{at}: {running:?}");
            hold!(
                self.machines[at].life.is_some() || running.is_empty(),
                "with a node die its components",
                "on m{at}: {running:?}"
            );
            self.trace.mix(running.len() as u64);
        }
        Ok(())
    }

    fn look_at_queues(&self) -> Checked {
        let limits = link::Limits::default();
        // One message more may wait on each lane.
        let most = limits.queue_bytes.iter().chain(&limits.window_bytes).sum::<usize>() as u64 * 2;
        for at in 0..self.machines.len() {
            let Some(router) = self.router(at) else { continue };
            for peer in router.stats().peers {
                hold!(peer.queued_bytes <= most, "no queue is over its bound", "m{at} to {}", peer.peer);
            }
        }
        Ok(())
    }

    /// Every push is taken or refused, and answered by each node.
    fn look_at_pushes(&mut self) -> Checked {
        let now = super::parts::since_the_beginning();
        let book = self.book.clone();
        for (number, told) in book.borrow().iter() {
            let was_killed = self.machines[told.at].n_lives != told.life || self.machines[told.at].life.is_none();
            let late = now.saturating_sub(told.asked).as_millis() as u64 > ANSWER_MAX_MS;
            match (&told.applied, &told.outcome) {
                (None, _) => {
                    hold!(!late || was_killed, "a push is taken or refused", "push {number} on m{}", told.at);
                }
                (Some(Err(error)), _) => {
                    let is_fine = matches!(
                        error.code,
                        ErrorCode::Invalid | ErrorCode::NotFound | ErrorCode::Refused | ErrorCode::Stale
                    ) || (error.code == ErrorCode::Unreachable);
                    hold!(is_fine, "a push is taken or refused", "push {number} on m{}: {error:?}", told.at);
                }
                (Some(Ok(_)), None) => {
                    hold!(!late || was_killed, "a push is answered for each node", "push {number} on m{}", told.at);
                }
                (Some(Ok(_)), Some(Err(error))) => hold!(
                    was_killed || self.machines[told.at].is_stopping,
                    "a push is answered for each node",
                    "push {number} on m{}: {error:?}",
                    told.at
                ),
                (Some(Ok(_)), Some(Ok(outcome))) => {
                    let undecided =
                        |verdict: &NodeVerdict| matches!(verdict, NodeVerdict::Waiting | NodeVerdict::Working { .. });
                    let waiting = outcome.nodes.iter().find(|node| undecided(&node.verdict));
                    hold!(waiting.is_none(), "a push is answered for each node", "push {number}: {waiting:?}");
                }
            }
        }
        Ok(())
    }

    /// After the last heal, within what is promised.
    pub(super) fn check_agreed(&mut self) -> Checked {
        let groups = self.groups();
        hold!(
            groups.len() == self.machines.len(),
            "everybody is there again",
            "only {:?} have joined",
            groups.keys().collect::<Vec<_>>()
        );
        let digests: Vec<_> = groups.values().map(|group| group.current().digest).collect();
        hold!(digests.iter().all(|digest| *digest == digests[0]), "all agree soon after the last heal", "{digests:?}");
        let model = groups[&0].current().model;
        let shows = |number: &usize| {
            let key = format!("p{number}");
            model.nodes.values().any(|node| node.instance.metadata.contains_key(key.as_str()))
        };
        for (number, told) in self.book.borrow().iter() {
            let is_acknowledged = matches!(&told.applied, Some(Ok(_)));
            hold!(
                !is_acknowledged || shows(number),
                "what was acknowledged is in the model",
                "push {number} on m{}: {}",
                told.at,
                told.script
            );
        }
        Ok(())
    }

    /// A node whose last adaptation failed runs the model that it ran before; any other one the newest. What supervision has given up is
    /// told.
    pub(super) async fn check_between_models(&mut self) -> Checked {
        for (at, group) in self.groups() {
            let members = group.members().await.unwrap_or_default();
            let Some(status) = members.iter().find(|own| own.node == node(at)).and_then(|own| own.status.clone())
            else {
                continue;
            };
            let newest = group.current();
            let answer = newest.id().and_then(|id| status.outcome(id));
            let is_taken_up = matches!(answer, Some(Adoption::Adopted { .. })) && status.digest == Some(newest.digest);
            hold!(
                newest.id().is_none()
                    || is_taken_up
                    || matches!(answer, Some(other) if !matches!(other, Adoption::Adopted { .. })),
                "a node takes up the newest model, or says why not",
                "m{at}: of {:?} it says {answer:?}; it runs {:?}",
                newest.id(),
                status.digest
            );
            let outcome = status.revision.as_ref().and_then(|revision| status.outcome(revision));
            let runs = match (outcome, status.digest) {
                // It says that it runs something in between.
                (Some(Adoption::Degraded { .. }), _) => continue,
                (_, Some(digest)) => self.seen.get(&digest).cloned(),
                (_, None) => Some(Model::default()),
            };
            // What was current for a moment only, between two looks.
            let Some(model) = runs else { continue };
            let (running, wanted) = (Ledger::running_on(&node(at)), wanted_on(&model, &node(at)));
            let is_told = |name: &ComponentName| {
                let path = InstancePath::Component(node(at), name.clone());
                status.report.listed(&path).is_some()
            };
            let missing: Vec<_> = wanted.iter().filter(|part| !running.contains(part) && !is_told(&part.0)).collect();
            let beyond: Vec<_> = running.iter().filter(|part| !wanted.contains(part)).collect();
            hold!(
                missing.is_empty() && beyond.is_empty(),
                "a node runs the old model or the new one",
                "m{at} runs {running:?}, wanted are {wanted:?}; {outcome:?}; {:?}",
                status.report
            );
        }
        Ok(())
    }

    /// Everybody has done what the repair asked for, and runs its part of the model.
    pub(super) async fn check_repaired(&mut self) -> Checked {
        self.check_agreed()?;
        let last = self.n_pushes - 1;
        if let Some(told) = self.book.borrow().get(&last) {
            hold!(
                matches!(&told.outcome, Some(Ok(_))),
                "what nobody keeps from being done is done",
                "the repair: {:?} {:?}",
                told.applied,
                told.outcome
            );
        }
        for (at, group) in self.groups() {
            let members = group.members().await.unwrap_or_default();
            let current = group.current();
            for member in &members {
                let status = member.status.as_ref();
                let outcome = status.and_then(|status| status.outcome(current.id()?));
                hold!(
                    member.in_step && matches!(outcome, Some(Adoption::Adopted { .. })),
                    "what nobody keeps from being done is done",
                    "m{at} knows of {}: in step {}, {outcome:?}",
                    member.node,
                    member.in_step
                );
            }
            let (running, wanted) = (Ledger::running_on(&node(at)), wanted_on(&current.model, &node(at)));
            let report = members.iter().find(|member| member.node == node(at)).and_then(|own| own.status.as_ref());
            hold!(
                running == wanted,
                "what runs on a node is its part of the model",
                "m{at} runs {running:?}, wanted are {wanted:?}; it says {:?}",
                report.map(|status| &status.report)
            );
        }
        Ok(())
    }

    /// Who is bound is heard, and nobody else.
    pub(super) fn check_heard(&mut self) -> Checked {
        let Some(group) = self.groups().remove(&0) else { return Ok(()) };
        let model = group.current().model;
        let ends = |sends: bool| {
            let bound = model.bindings.iter().filter(|binding| (binding.port.port.as_str() == "out") == sends);
            let is_started = |node: &NodeName, component: &ComponentName| {
                model.component(node, component).is_some_and(|part| part.instance.started)
            };
            bound
                .filter(|binding| is_started(&binding.port.node, &binding.port.component))
                .map(|binding| {
                    let port = &binding.port;
                    let part = format!("{}.{}", port.node, port.component);
                    (binding.channel.clone(), if sends { part } else { format!("{part}.{}", port.port) })
                })
                .collect::<Vec<_>>()
        };
        let mut wanted = BTreeSet::new();
        for (cable, receiver) in ends(false) {
            for (_, sender) in ends(true).iter().filter(|(other, _)| *other == cable) {
                wanted.insert((receiver.clone(), sender.clone()));
            }
        }
        let heard: BTreeSet<_> = Ledger::heard().into_iter().collect();
        hold!(
            heard == wanted,
            "who is bound is heard, and nobody else",
            "not heard: {:?}; heard all the same: {:?}",
            wanted.difference(&heard).collect::<Vec<_>>(),
            heard.difference(&wanted).collect::<Vec<_>>()
        );
        Ok(())
    }
}
