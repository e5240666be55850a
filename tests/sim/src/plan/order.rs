//! Who starts before whom, said independently of how plans are ordered: a receiver before its channel, a channel before its
//! senders; stopping goes the other way round. Within a circle anything goes.

use std::collections::{BTreeMap, BTreeSet};

use enact::{
    logic::plan::{Adaptation, Plan, adaptation::Rank},
    model::Model,
    words::InstancePath,
};

use super::models::own_node;

/// Pairs of steps of a plan of which the first is to be over before the second begins.
pub(super) fn pairs(plan: &Plan, running: &Model, wanted: &Model) -> Vec<(u32, u32)> {
    let mut pairs = of_rank(plan, Rank::StartInstance, wanted);
    pairs.extend(of_rank(plan, Rank::StopInstance, running).into_iter().map(|(first, then)| (then, first)));
    pairs
}

/// As if everything in the rank were started.
fn of_rank(plan: &Plan, rank: Rank, model: &Model) -> Vec<(u32, u32)> {
    let mut steps: BTreeMap<&InstancePath, u32> = BTreeMap::new();
    for (idx, step) in plan.steps.iter().enumerate().filter(|(_, step)| step.rank() == rank) {
        if let Some(subject) = step.subject() {
            steps.insert(&subject.path, idx as u32);
        }
    }
    // From whom others wait for, to who waits: also over what does not take part in the rank.
    let mut after: BTreeMap<InstancePath, BTreeSet<InstancePath>> = BTreeMap::new();
    for binding in model.bindings.iter().filter(|binding| binding.port.node == own_node()) {
        let component = InstancePath::Component(own_node(), binding.port.component.clone());
        let channel = InstancePath::Channel(binding.channel.clone());
        let receives = binding.port.port.as_str() == "in";
        let (first, then) = if receives { (component, channel) } else { (channel, component) };
        let takes_part = |path: &InstancePath| !matches!(path, InstancePath::Component(..)) || steps.contains_key(path);
        if takes_part(&first) && takes_part(&then) {
            after.entry(first).or_default().insert(then);
        }
    }
    let mut pairs = Vec::new();
    for (first, step) in &steps {
        let reached = reach(&after, first);
        for then in reached.iter().filter(|then| *then != *first) {
            if let Some(other) = steps.get(then).filter(|_| !reach(&after, then).contains(*first)) {
                pairs.push((*step, *other));
            }
        }
    }
    // A circle is cut somewhere, which may part those before it from those behind.
    let is_in_circle = |path: &InstancePath| reach(&after, path).contains(path);
    if after.keys().any(is_in_circle) { Vec::new() } else { pairs }
}

fn reach(after: &BTreeMap<InstancePath, BTreeSet<InstancePath>>, from: &InstancePath) -> BTreeSet<InstancePath> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&InstancePath> = after.get(from).into_iter().flatten().collect();
    while let Some(path) = open.pop() {
        if reached.insert(path.clone()) {
            open.extend(after.get(path).into_iter().flatten());
        }
    }
    reached
}

/// What a step is about, where no other step may be at the same time.
pub(super) fn alone_at(step: &Adaptation) -> Option<String> {
    match step {
        // Values are noted one by one, side by side.
        Adaptation::UpdateDictionary { .. } => None,
        Adaptation::AddBinding(end) | Adaptation::RemoveBinding(end) => Some(format!("{:?}", end.binding)),
        step => step.subject().map(|subject| subject.path.to_string()),
    }
}
