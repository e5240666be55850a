//! Two members and a large change between them.

use super::*;
use crate::{
    logic::gossip::{Adoption, Outcome, Push, Replica, RevisionId, Timing},
    model::{Edit, Instance, testing::name},
    words::{AttributeName, InstancePath, Namespace, TypeName, TypeRef},
};

const NOW: Time = Time(1_000_000_000_000);

/// Two members that know each other; all that was said to each and not yet delivered.
struct Pair {
    members: Vec<Protocol>,
    said: [Vec<GroupMessage>; 2],
    /// What each was given to run, and how often it was told that its model has changed.
    given: [Option<Snapshot>; 2],
    n_changed: [usize; 2],
}

fn node(idx: usize) -> NodeName {
    name(["a", "b"][idx])
}

impl Pair {
    fn new() -> Pair {
        let timing = Timing { whole_max: 50, ..Timing::default() };
        let member = |idx: usize| {
            let replica = Replica::new(node(idx), timing.ahead_max);
            Protocol::new(name("g"), replica, (node(idx), 1), timing.clone(), NOW)
        };
        let members = vec![member(0), member(1)];
        let mut pair = Pair { members, said: Default::default(), given: Default::default(), n_changed: [0; 2] };
        for idx in 0..2 {
            pair.tell(idx, |protocol, effects| protocol.peer_up(NOW, &node(1 - idx), effects));
        }
        pair.deliver_all();
        let group: crate::words::GroupName = name("g");
        let mut edits =
            vec![Edit::AddInstance { path: InstancePath::Group(group.clone()), instance: Instance::default() }];
        for node in [node(0), node(1)] {
            edits.push(Edit::AddNode { name: node.clone(), instance: Instance::default(), host: None });
            edits.push(Edit::Attach { node, group: group.clone() });
        }
        pair.push(&edits);
        pair.deliver_all();
        pair
    }

    fn tell(&mut self, idx: usize, told: impl FnOnce(&mut Protocol, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        told(&mut self.members[idx], &mut effects);
        for effect in effects {
            match effect {
                Effect::Send(_, message) => self.said[1 - idx].push(message),
                Effect::SendAll(message) => {
                    let mut sends = Vec::new();
                    self.members[idx].spread(vec![(node(1 - idx), message)], &mut sends);
                    for effect in sends {
                        let Effect::Send(_, message) = effect else { panic!("what is spread is sent") };
                        self.said[1 - idx].push(message);
                    }
                }
                Effect::Changed(snapshot) => {
                    self.n_changed[idx] += 1;
                    self.given[idx] = Some(snapshot);
                }
                Effect::Ahead(snapshot) => self.given[idx] = Some(snapshot),
                Effect::Keep(_) | Effect::KeepAll | Effect::Tell(_) => {}
            }
        }
    }

    /// Delivers to a member what is of the wanted kind, and lets it adopt.
    fn deliver(&mut self, idx: usize, wanted: impl Fn(&GroupMessage) -> bool) {
        let (now, later) = std::mem::take(&mut self.said[idx]).into_iter().partition(|message| wanted(message));
        self.said[idx] = later;
        let now: Vec<GroupMessage> = now;
        for message in now {
            self.tell(idx, |protocol, effects| protocol.receive(NOW, &node(1 - idx), message, effects));
            if let Some(target) = self.given[idx].take() {
                self.tell(idx, |protocol, effects| protocol.adopted(&target, &Adoption::at_once(), effects));
                self.given[idx] = Some(target);
            }
        }
    }

    fn deliver_all(&mut self) {
        while self.said.iter().any(|said| !said.is_empty()) {
            (0..2).for_each(|idx| self.deliver(idx, |_| true));
        }
    }

    fn push(&mut self, edits: &[Edit]) -> RevisionId {
        self.push_at(0, edits)
    }

    fn push_at(&mut self, idx: usize, edits: &[Edit]) -> RevisionId {
        let mut wanted = self.members[idx].replica().model().clone();
        wanted.apply(edits).unwrap();
        let push =
            Push { wanted, base: None, compare_and_swap: false, by: "".into(), from: "".into(), message: "".into() };
        let mut pushed = None;
        self.tell(idx, |protocol, effects| pushed = Some(protocol.push(NOW, push, effects).unwrap()));
        pushed.and_then(|pushed| pushed.revision).unwrap()
    }

    fn outcome(&self, of: usize, revision: &RevisionId) -> Outcome {
        let outcomes = self.members[0].board().outcomes(revision, self.members[0].replica().model());
        outcomes.into_iter().find(|(found, _)| *found == node(of)).unwrap().1
    }
}

fn components(on: usize, n: usize) -> Vec<Edit> {
    let device = TypeRef {
        namespace: Namespace::parse("t").unwrap(),
        name: TypeName::parse("Device").unwrap(),
        version: "1".into(),
    };
    let add = |nth: usize| {
        let component: crate::words::ComponentName = name(&format!("c{nth}"));
        let id = crate::model::ComponentId::born(7, &InstancePath::Component(node(on), component.clone()), 0);
        let (provided, required) = (Vec::new(), Vec::new());
        Edit::AddComponent {
            node: node(on),
            name: component,
            id,
            instance: Instance::of(device.clone()),
            provided,
            required,
        }
    };
    (0..n).map(add).collect()
}

fn set(on: usize, value: &str) -> Edit {
    let path = InstancePath::Component(node(on), name("c3"));
    Edit::Set { path, fragment: None, attribute: name::<AttributeName>("x"), value: value.into() }
}

fn is_part(message: &GroupMessage) -> bool {
    matches!(message, GroupMessage::Part(_))
}

#[test]
fn a_large_push_runs_everywhere_before_the_whole_of_it_has_come() {
    let mut pair = Pair::new();
    let edits: Vec<Edit> = components(0, 50).into_iter().chain(components(1, 50)).collect();
    let large = pair.push(&edits);
    pair.deliver(1, is_part);
    let own = pair.given[1].clone().unwrap();
    assert_eq!(own.id(), Some(&large));
    assert_eq!((own.model.nodes[&node(1)].components.len(), own.model.nodes[&node(0)].components.len()), (50, 0));
    assert!(pair.members[1].is_ahead());
    assert_eq!(pair.outcome(1, &large), Outcome::Waiting);
    assert!(!pair.said[1].iter().any(|message| matches!(message, GroupMessage::Delta { .. })), "the whole waits");
    pair.deliver(0, |_| true);
    assert_eq!(pair.outcome(1, &large), Outcome::Done(Adoption::at_once()));
    pair.deliver_all();
    assert!(!pair.members[1].is_ahead());
    assert_eq!(pair.members[0].replica().digest(), pair.members[1].replica().digest());
    assert_eq!(pair.given[1].as_ref().unwrap().model, *pair.members[0].replica().model());
}

#[test]
fn what_is_pushed_while_the_whole_is_under_way_is_taken_up_after_it() {
    let mut pair = Pair::new();
    let large = pair.push(&components(1, 50));
    pair.deliver(1, is_part);
    let n_changed = pair.n_changed[1];
    let small = pair.push(&[set(1, "y")]);
    let is_small =
        |message: &GroupMessage| matches!(message, GroupMessage::Delta { revision, .. } if revision.id == small);
    pair.deliver(1, is_small);
    assert_eq!(pair.given[1].as_ref().unwrap().id(), Some(&large), "it came before the whole, which it needs");
    assert!(!pair.said[0].iter().any(|message| matches!(message, GroupMessage::Ask { .. })), "that is on its way");
    pair.deliver_all();
    let own = pair.given[1].clone().unwrap();
    assert_eq!(own.id(), Some(&small));
    assert_eq!(own.model.component(&node(1), &name("c3")).unwrap().instance.get("x"), Some("y"));
    assert_eq!(pair.n_changed[1] - n_changed, 1, "the model changes when all is there");
    assert_eq!(pair.members[0].replica().digest(), pair.members[1].replica().digest());
}

#[test]
fn a_push_on_a_node_that_runs_ahead_is_run_at_once_and_the_whole_is_answered_anew_when_it_comes() {
    let mut pair = Pair::new();
    let large = pair.push(&components(1, 50));
    pair.deliver(1, is_part);
    pair.deliver(0, |_| true);
    assert_eq!(pair.outcome(1, &large), Outcome::Done(Adoption::at_once()));
    let mine = pair.push_at(1, &[Edit::AddNode { name: name("c"), instance: Instance::default(), host: None }]);
    let own = pair.given[1].take().unwrap();
    assert_eq!((own.id(), &own.model), (Some(&mine), pair.members[1].replica().model()), "it is run without the part");
    assert!(!pair.members[1].is_ahead());
    pair.tell(1, |protocol, effects| protocol.adopted(&own, &Adoption::at_once(), effects));
    assert!(pair.members[1].board().mine().outcome(&large).is_none(), "what was given up is not said to run");
    pair.deliver_all();
    let own = pair.given[1].clone().unwrap();
    assert_eq!(own.model.nodes[&node(1)].components.len(), 50);
    assert!(own.model.nodes.contains_key(&name::<NodeName>("c")));
    assert_eq!(pair.outcome(1, &large), Outcome::Done(Adoption::at_once()));
    assert_eq!(pair.outcome(1, &mine), Outcome::Done(Adoption::at_once()));
}

#[test]
fn a_part_given_up_while_it_is_taken_up_is_answered_with_the_whole() {
    let mut pair = Pair::new();
    let large = pair.push(&components(1, 50));
    let part = std::mem::take(&mut pair.said[1]).into_iter().find(is_part).unwrap();
    pair.tell(1, |protocol, effects| protocol.receive(NOW, &node(0), part, effects));
    let target = pair.given[1].take().unwrap();
    pair.push_at(1, &[Edit::AddNode { name: name("c"), instance: Instance::default(), host: None }]);
    let n_said = pair.said[0].len();
    pair.tell(1, |protocol, effects| protocol.adopted(&target, &Adoption::at_once(), effects));
    assert!(pair.members[1].board().mine().outcome(&large).is_none(), "{:?}", &pair.said[0][n_said..]);
    pair.tell(0, |protocol, effects| protocol.tick(NOW + Timing::default().heartbeat, effects));
    pair.deliver_all();
    assert_eq!(pair.outcome(1, &large), Outcome::Done(Adoption::at_once()));
}

#[test]
fn a_part_for_which_no_whole_comes_is_taken_back() {
    let mut pair = Pair::new();
    let before = pair.members[1].replica().snapshot();
    pair.push(&components(1, 50));
    pair.deliver(1, is_part);
    assert_ne!(pair.given[1].as_ref().unwrap().digest, before.digest);
    pair.tell(1, |protocol, effects| protocol.tick(NOW + AHEAD_MAX, effects));
    assert_eq!(pair.given[1].as_ref().unwrap().model, before.model);
    assert!(!pair.members[1].is_ahead());
}

#[test]
fn who_goes_says_first_what_it_holds_back() {
    let mut pair = Pair::new();
    pair.push(&components(1, 50));
    pair.deliver(1, is_part);
    // The answer that would release the whole does not come in time.
    pair.said[0].clear();
    pair.tell(0, |protocol, effects| protocol.release(effects));
    pair.deliver(1, |_| true);
    assert!(!pair.members[1].is_ahead());
    assert_eq!(pair.members[0].replica().digest(), pair.members[1].replica().digest());
}
