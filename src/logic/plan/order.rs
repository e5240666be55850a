//! The order of a plan: ranks first, then who waits for whom within a rank.
//!
//! Receivers start before the channel, the channel before the senders, so that no message is sent to what is not there; they
//! stop the other way round. A port marked `no_dependency` waits for nobody, and neither do cycles: where components wait for
//! each other, as few of the waits as possible are dropped.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use petgraph::{
    algo::{greedy_feedback_arc_set, toposort},
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};
use serde::{Deserialize, Serialize};

use super::{
    adaptation::{Adaptation, Rank},
    diff::diff,
};
use crate::{
    model::Model,
    words::{ChannelName, InstancePath, NodeName, UnitRef},
};

/// What one node has to do to go from one model to another. The plan that a person is shown is the value that is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Whose plan it is.
    pub node: NodeName,
    /// The steps; their ranks never fall.
    pub steps: Vec<Adaptation>,
    /// Pairs of places (first, then) within one rank: `then` waits for `first`. A place behind the last step is a gate, where
    /// steps meet at something that stays as it is (senders wait for receivers at a channel that runs already).
    pub waits: Vec<(u32, u32)>,
    /// How many gates there are.
    pub n_gates: u32,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Who waits for whom, in Graphviz's language; one box for each rank.
    pub fn to_dot(&self) -> String {
        let mut text = format!("digraph \"{}\" {{\n  rankdir=LR; node [shape=box];\n", self.node);
        for (idx, same) in self.steps.chunk_by(|a, b| a.rank() == b.rank()).enumerate() {
            text += &format!("  subgraph cluster_{idx} {{ label=\"{}\";\n", same[0].name());
            let first = self.steps.partition_point(|step| step.rank() < same[0].rank());
            for (place, step) in same.iter().enumerate() {
                text += &format!("    s{} [label=\"{} {}\"];\n", first + place, step.mark(), step.path());
            }
            text += "  }\n";
        }
        for gate in 0..self.n_gates as usize {
            text += &format!("  s{} [shape=point];\n", self.steps.len() + gate);
        }
        for (first, then) in &self.waits {
            text += &format!("  s{first} -> s{then};\n");
        }
        text + "}\n"
    }

    /// Whether it can be carried out: ranks never fall, and waits stay within a rank and within the plan. A plan that was not
    /// made here (read from a disk, sent by a peer) has to be asked.
    pub fn is_sound(&self) -> bool {
        let n_steps = self.steps.len();
        let n_places = n_steps as u64 + u64::from(self.n_gates);
        self.steps.is_sorted_by_key(Adaptation::rank)
            && self.waits.iter().all(|&(first, then)| {
                let is_step = |place: u32| (place as usize) < n_steps;
                let rank = |place: u32| self.steps[place as usize].rank();
                u64::from(first.max(then)) < n_places
                    && (is_step(first) || is_step(then))
                    && (!is_step(first) || !is_step(then) || rank(first) == rank(then))
            })
    }
}

/// What `node` has to do to go from `running` to `wanted`, ordered.
pub fn plan(running: &Model, wanted: &Model, node: &NodeName) -> Plan {
    order(diff(running, wanted, node), running, wanted, node)
}

/// Orders adaptations by rank, and within a rank by the bindings of the model that they start in or end in.
pub fn order(mut steps: Vec<Adaptation>, running: &Model, wanted: &Model, node: &NodeName) -> Plan {
    steps.sort_by_key(Adaptation::rank);
    let mut graph = Graph::default();
    for _ in &steps {
        graph.edges.add_node(());
    }
    graph.units(&steps);
    graph.bindings(&steps, Rank::StopInstance, running);
    graph.bindings(&steps, Rank::StartInstance, wanted);
    graph.channels_last(&steps, running);
    graph.cut_cycles();
    let plan = graph.into_plan(steps, node);
    debug_assert!(plan.is_sound(), "ranks fall, or a wait leads nowhere");
    plan
}

/// Steps (and behind them gates) by place, with an edge from who goes first to who waits.
#[derive(Default)]
struct Graph {
    edges: DiGraph<(), ()>,
    /// The edges once more: the graph itself would go through all that waits for a channel to find out whether one does.
    known: HashSet<(usize, usize)>,
}

impl Graph {
    fn wait(&mut self, first: usize, then: usize) {
        if first != then && self.known.insert((first, then)) {
            self.edges.add_edge(NodeIndex::new(first), NodeIndex::new(then), ());
        }
    }

    /// A unit is loaded after what it requires, and unloaded before.
    fn units(&mut self, steps: &[Adaptation]) {
        let mut places: BTreeMap<(Rank, &UnitRef), usize> = BTreeMap::new();
        for (place, step) in steps.iter().enumerate() {
            if let Adaptation::AddDeployUnit(unit) | Adaptation::RemoveDeployUnit(unit) = step {
                places.insert((step.rank(), &unit.id), place);
            }
        }
        for (place, step) in steps.iter().enumerate() {
            let (Adaptation::AddDeployUnit(unit) | Adaptation::RemoveDeployUnit(unit)) = step else { continue };
            for required in unit.requires.iter().filter_map(|id| places.get(&(step.rank(), id))) {
                match step {
                    Adaptation::AddDeployUnit(_) => self.wait(*required, place),
                    _ => self.wait(place, *required),
                }
            }
        }
    }

    /// Receivers, channels and senders that start (or stop) together.
    fn bindings(&mut self, steps: &[Adaptation], rank: Rank, model: &Model) {
        if model.bindings.is_empty() {
            return;
        }
        let mut channels: BTreeMap<&ChannelName, usize> = BTreeMap::new();
        for (place, step) in steps.iter().enumerate().filter(|(_, step)| step.rank() == rank) {
            if let Some(InstancePath::Channel(name)) = step.subject().map(|subject| &subject.path) {
                channels.insert(name, place);
            }
        }
        for (place, step) in steps.iter().enumerate().filter(|(_, step)| step.rank() == rank) {
            let Some(InstancePath::Component(node, name)) = step.subject().map(|subject| &subject.path) else {
                continue;
            };
            let mut bindings = model.bindings.of_component(node, name).peekable();
            if bindings.peek().is_none() {
                continue;
            }
            let Some(component) = model.component(node, name) else { continue };
            let definition = model.definition(&component.instance);
            for binding in bindings {
                let ports =
                    definition.iter().flat_map(|definition| definition.provided.iter().chain(&definition.required));
                if ports.into_iter().any(|port| port.name == binding.port.port && port.no_dependency) {
                    continue;
                }
                let edges = &mut self.edges;
                let channel = *channels.entry(&binding.channel).or_insert_with(|| {
                    // A gate: a place behind the last step.
                    edges.add_node(()).index()
                });
                let receives = component.provided.contains(&binding.port.port);
                match receives == (rank == Rank::StartInstance) {
                    true => self.wait(place, channel),
                    false => self.wait(channel, place),
                }
            }
        }
    }

    /// A channel goes after the components that hang on it: what these had not handled goes back to it, and from there to where they are.
    fn channels_last(&mut self, steps: &[Adaptation], running: &Model) {
        let removed = || {
            let removed = steps.iter().enumerate().filter(|(_, step)| step.rank() == Rank::RemoveInstance);
            removed.filter_map(|(place, step)| Some((place, &step.subject()?.path)))
        };
        let channels: BTreeMap<&ChannelName, usize> = removed()
            .filter_map(|(place, path)| match path {
                InstancePath::Channel(name) => Some((name, place)),
                _ => None,
            })
            .collect();
        if channels.is_empty() {
            return;
        }
        for (place, path) in removed() {
            let InstancePath::Component(node, name) = path else { continue };
            for binding in running.bindings.of_component(node, name) {
                if let Some(channel) = channels.get(&binding.channel) {
                    self.wait(place, *channel);
                }
            }
        }
    }

    fn cut_cycles(&mut self) {
        if self.edges.edge_count() > 0 && toposort(&self.edges, None).is_err() {
            let cut: BTreeSet<_> = greedy_feedback_arc_set(&self.edges).map(|edge| edge.id()).collect();
            self.edges.retain_edges(|_, edge| !cut.contains(&edge));
        }
    }

    fn into_plan(self, steps: Vec<Adaptation>, node: &NodeName) -> Plan {
        let n_gates = (self.edges.node_count() - steps.len()) as u32;
        let waits = self.edges.edge_references();
        let waits = waits.map(|edge| (edge.source().index() as u32, edge.target().index() as u32)).collect();
        Plan { node: node.clone(), steps, waits, n_gates }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Binding, Channel, Component, ComponentId, Instance, Kind, Node, PortDefinition, Shared, TypeDefinition,
    };

    /// A model of one node from bindings like `a.out x` and `b.in x`. Ports that begin with `i` receive.
    fn model(bindings: &[&str]) -> Model {
        let mut own = Node { instance: Instance::of("enact.Box/1".parse().unwrap()), ..Node::default() };
        let mut model = Model::default();
        for (idx, text) in bindings.iter().enumerate() {
            let (port, channel) = text.split_once(' ').unwrap();
            let port: crate::words::PortPath = format!("n.{port}").parse().unwrap();
            let mut component = own.components.get(&port.component).map_or_else(
                || Component {
                    id: ComponentId(idx as u64 + 1),
                    instance: Instance::of("enact.Part/1".parse().unwrap()),
                    ..Component::default()
                },
                |known| (**known).clone(),
            );
            let receives = port.port.as_str().starts_with('i');
            if receives { &mut component.provided } else { &mut component.required }.insert(port.port.clone());
            own.components.insert(port.component.clone(), Shared::new(component));
            let channel = ChannelName::parse(channel).unwrap();
            let instance = Instance::of("enact.Wire/1".parse().unwrap());
            model.channels.insert(channel.clone(), Shared::new(Channel { instance }));
            model.bindings.insert(Binding { port, channel });
        }
        model.nodes.insert(node(), Shared::new(own));
        model.indexed()
    }

    fn node() -> NodeName {
        NodeName::parse("n").unwrap()
    }

    /// Who starts, stops or goes before whom.
    fn waits(plan: &Plan, rank: Rank) -> Vec<String> {
        let is_of_rank = |place: &u32| plan.steps.get(*place as usize).is_none_or(|step| step.rank() == rank);
        let name = |place: u32| match plan.steps.get(place as usize).and_then(Adaptation::subject) {
            Some(subject) => subject.path.to_string(),
            None => "gate".to_owned(),
        };
        let waits = plan.waits.iter().filter(|(first, then)| is_of_rank(first) && is_of_rank(then));
        let mut waits: Vec<String> = waits.map(|(first, then)| format!("{} < {}", name(*first), name(*then))).collect();
        waits.sort();
        waits
    }

    #[test]
    fn receivers_start_before_channels_and_channels_before_senders_and_stop_the_other_way_round() {
        let all = model(&["a.out x", "b.in x"]);
        assert_eq!(waits(&plan(&Model::default(), &all, &node()), Rank::StartInstance), ["n.b < x", "x < n.a"]);
        let back = plan(&all, &Model::default(), &node());
        assert_eq!(waits(&back, Rank::StopInstance), ["n.a < x", "x < n.b"]);
        // What they had not handled goes back to their channel.
        assert_eq!(waits(&back, Rank::RemoveInstance), ["n.a < x", "n.b < x"]);
    }

    #[test]
    fn senders_wait_for_receivers_at_a_channel_that_runs_already() {
        let before = model(&["k.in x"]);
        let after = model(&["k.in x", "a.out x", "b.in x"]);
        let plan = plan(&before, &after, &node());
        let starts = waits(&plan, Rank::StartInstance);
        assert_eq!((starts, plan.n_gates), (vec!["gate < n.a".to_owned(), "n.b < gate".to_owned()], 1));
    }

    #[test]
    fn a_circle_of_components_loses_one_wait_only() {
        let circle = model(&["a.out x", "b.in x", "b.out y", "c.in y", "c.out z", "a.in z"]);
        let plan = plan(&Model::default(), &circle, &node());
        assert_eq!(waits(&plan, Rank::StartInstance).len(), 5, "{:?}", waits(&plan, Rank::StartInstance));
    }

    #[test]
    fn a_type_that_comes_after_its_instances_is_known_to_their_channels() {
        let before = model(&["a.out x", "b.in x"]);
        let takes = PortDefinition {
            name: "in".parse().unwrap(),
            optional: true,
            no_dependency: false,
            message: "Tick".into(),
            schema: 7,
            doc: "".into(),
            port_type: None,
        };
        let definition = TypeDefinition {
            id: "enact.Part/1".parse().unwrap(),
            kind: Kind::Component,
            is_abstract: false,
            units: Vec::new(),
            super_types: Vec::new(),
            attributes: None,
            provided: vec![takes],
            required: Vec::new(),
            metadata: Default::default(),
        };
        let mut after = before.clone();
        after.types.insert(definition.id.clone(), Shared::new(definition));
        let schemas = |from: &Model, to: &Model| {
            let steps = plan(from, to, &node()).steps;
            let added = steps.into_iter().filter_map(|step| match step {
                Adaptation::AddBinding(end) => Some((end.binding.port.to_string(), end.schema)),
                _ => None,
            });
            added.collect::<Vec<_>>()
        };
        assert_eq!(schemas(&before, &after), [("n.b.in".to_owned(), 7)]);
        assert_eq!(schemas(&after, &before), [("n.b.in".to_owned(), 0)]);
    }
}
