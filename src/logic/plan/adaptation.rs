//! Adaptations: the steps that a plan is made of. Each says everything needed to do it and to undo it.

use std::{fmt, sync::Arc};

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use crate::{
    model::{Binding, ComponentId, DeployUnit, Dictionary, Shared, TypeDefinition},
    words::{AttributeName, InstancePath, NodeName, PortName, TypeRef, UnitRef},
};

/// Which incarnation of an instance a step is about; shared by all the steps about it. Two instances that follow each other under one name (an upgrade, a
/// replacement) are two subjects; a step whose subject is not the one that is there has nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// Where it is.
    pub path: InstancePath,
    /// What it is.
    pub type_ref: TypeRef,
    /// Who it is; 0 for everything but components.
    pub id: ComponentId,
}

/// An instance as a node has to make it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blueprint {
    /// Where, what and who.
    pub subject: Arc<Subject>,
    /// The values as this node sees them, its own fragment's over the instance's. For an instance that is to be started,
    /// [`Adaptation::UpdateDictionary`] steps follow that say the same values one by one.
    pub values: Dictionary,
    /// Ports that receive.
    #[serde(deserialize_with = "crate::model::bounded::set")]
    pub provided: OrdSet<PortName>,
    /// Ports that send.
    #[serde(deserialize_with = "crate::model::bounded::set")]
    pub required: OrdSet<PortName>,
}

/// Where a new instance has its state from.
///
/// State travels like this. `RemoveInstance` takes the snapshot of the stopped instance and keeps it on the disk of its node,
/// marked with the type version that wrote it. `AddInstance` restores: from the node's own disk ([`StateFrom::Kept`],
/// [`StateFrom::Upgrade`]) or from the source node of a move, which it asks, with a deadline. The source answers once its
/// `RemoveInstance` is done, and keeps the snapshot until the target has fetched it or a newer one supersedes it. No two nodes
/// can wait for each other: removals rank before additions, and no removal waits for another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateFrom {
    /// It has none: it is new, or of a kind that keeps none.
    Nothing,
    /// The snapshot that this node keeps for the component, if there is one: after a restart, or when a removal is undone.
    Kept,
    /// The snapshot that the removal of its predecessor under the same identity left, written by this type.
    Upgrade {
        /// The type that wrote the snapshot.
        from: TypeRef,
    },
    /// The snapshot that the source node of a move keeps.
    Move {
        /// The node that it lived on.
        from: NodeName,
    },
}

/// What becomes of the state of a removed instance, once the plan is done. Until then its snapshot is kept for the undoing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HandOver {
    /// Forgotten: the instance is gone for good.
    Forget,
    /// Taken by the successor that the same plan adds here.
    Upgrade {
        /// The type that takes over.
        to: TypeRef,
    },
    /// Fetched by the node that the instance moves to.
    Move {
        /// The node that it will live on.
        to: NodeName,
    },
    /// Not even taken: an addition is undone, and what was kept before must stay.
    Discard,
}

/// One end of a channel: a binding, and what the channel must know of the port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Which port hangs on which channel. The port's node says whether the end is local.
    pub binding: Binding,
    /// Whose port it is, wherever the component lives.
    pub id: ComponentId,
    /// Whether the port receives (a provided port); else it sends.
    pub receives: bool,
    /// The structural hash of what the port takes; 0 for anything.
    pub schema: u64,
}

/// How a person sees a step: as an addition, a removal, a change, a replacement, a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mark {
    /// `+`
    Add,
    /// `-`
    Remove,
    /// `~`
    Change,
    /// `-/+`: another type or another instance under the same name.
    Replace,
    /// `>`: comes from or goes to another node.
    Move,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mark::Add => "+",
            Mark::Remove => "-",
            Mark::Change => "~",
            Mark::Replace => "-/+",
            Mark::Move => ">",
        })
    }
}

/// One step of a plan. Every step is idempotent: doing it twice, or where its subject is not there, changes nothing more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Adaptation {
    /// Stops an instance. Its state stays with it; messages for it are kept by the channels.
    StopInstance(Arc<Subject>),
    /// Takes a port off a channel that runs here.
    RemoveBinding(End),
    /// Takes the state of a stopped instance and removes it.
    RemoveInstance {
        /// What to make again when this is undone.
        blueprint: Blueprint,
        /// What becomes of its state.
        hand_over: HandOver,
    },
    /// Forgets a type.
    RemoveTypeDef(Shared<TypeDefinition>),
    /// Unloads a unit of code.
    RemoveDeployUnit(Shared<DeployUnit>),
    /// Loads a unit of code.
    AddDeployUnit(Shared<DeployUnit>),
    /// Learns a type, or what has changed about it.
    AddTypeDef {
        /// The definition.
        definition: Shared<TypeDefinition>,
        /// The definition that it replaces.
        before: Option<Shared<TypeDefinition>>,
    },
    /// Makes an instance, not started, with its state.
    AddInstance {
        /// What to make.
        blueprint: Blueprint,
        /// Where its state comes from.
        state: StateFrom,
    },
    /// Hangs a port on a channel that runs here.
    AddBinding(End),
    /// Notes a value, as this node sees it; a running instance is told by the `UpdateInstance` that follows.
    UpdateDictionary {
        /// Whose value.
        subject: Arc<Subject>,
        /// The node, when its fragment holds the value; `None` for a value of the whole instance.
        fragment: Option<NodeName>,
        /// Which value.
        attribute: AttributeName,
        /// What it was.
        before: Option<Arc<str>>,
        /// What it becomes.
        after: Option<Arc<str>>,
    },
    /// Tells a running instance its values (and a channel, that its ends have changed). Says all the values, so that undoing
    /// it tells the instance the old ones.
    UpdateInstance {
        /// Whom.
        subject: Arc<Subject>,
        /// The values before, as this node sees them.
        before: Dictionary,
        /// The values after.
        after: Dictionary,
    },
    /// Starts an instance. Of the node that plans: it was wanted stopped and is wanted running again.
    StartInstance(Arc<Subject>),
    /// Stops the node that plans: the last step of all.
    StopSelf(Arc<Subject>),
}

/// The place of a step in the order of execution; steps of one rank may run together unless the plan says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the adaptations")]
pub enum Rank {
    StopInstance,
    RemoveBinding,
    RemoveInstance,
    RemoveTypeDef,
    RemoveDeployUnit,
    AddDeployUnit,
    AddTypeDef,
    AddInstance,
    AddBinding,
    UpdateDictionary,
    UpdateInstance,
    StartInstance,
    StopSelf,
}

impl Rank {
    /// How many there are.
    pub(super) const N: usize = Rank::StopSelf as usize + 1;
}

impl Adaptation {
    /// The place in the order of execution.
    pub fn rank(&self) -> Rank {
        match self {
            Adaptation::StopInstance(_) => Rank::StopInstance,
            Adaptation::RemoveBinding(_) => Rank::RemoveBinding,
            Adaptation::RemoveInstance { .. } => Rank::RemoveInstance,
            Adaptation::RemoveTypeDef(_) => Rank::RemoveTypeDef,
            Adaptation::RemoveDeployUnit(_) => Rank::RemoveDeployUnit,
            Adaptation::AddDeployUnit(_) => Rank::AddDeployUnit,
            Adaptation::AddTypeDef { .. } => Rank::AddTypeDef,
            Adaptation::AddInstance { .. } => Rank::AddInstance,
            Adaptation::AddBinding(_) => Rank::AddBinding,
            Adaptation::UpdateDictionary { .. } => Rank::UpdateDictionary,
            Adaptation::UpdateInstance { .. } => Rank::UpdateInstance,
            Adaptation::StartInstance(_) => Rank::StartInstance,
            Adaptation::StopSelf(_) => Rank::StopSelf,
        }
    }

    /// The step's name, as Kevoree's.
    pub fn name(&self) -> &'static str {
        match self {
            Adaptation::StopInstance(_) | Adaptation::StopSelf(_) => "StopInstance",
            Adaptation::RemoveBinding(_) => "RemoveBinding",
            Adaptation::RemoveInstance { .. } => "RemoveInstance",
            Adaptation::RemoveTypeDef(_) => "RemoveTypeDef",
            Adaptation::RemoveDeployUnit(_) => "RemoveDeployUnit",
            Adaptation::AddDeployUnit(_) => "AddDeployUnit",
            Adaptation::AddTypeDef { .. } => "AddTypeDef",
            Adaptation::AddInstance { .. } => "AddInstance",
            Adaptation::AddBinding(_) => "AddBinding",
            Adaptation::UpdateDictionary { .. } => "UpdateDictionary",
            Adaptation::UpdateInstance { .. } => "UpdateInstance",
            Adaptation::StartInstance(_) => "StartInstance",
        }
    }

    /// What was done once the step is done, in words: `started ticker`, `bound ticker.tick to ticks`.
    pub fn done_text(&self) -> String {
        let end = |end: &End| {
            let Binding { port, channel } = &end.binding;
            (format!("{}.{}", port.component, port.port), channel.clone())
        };
        match self {
            Adaptation::StopInstance(subject) => format!("stopped {}", short(&subject.path)),
            Adaptation::StopSelf(_) => "stopped".to_owned(),
            Adaptation::StartInstance(subject) => format!("started {}", short(&subject.path)),
            Adaptation::AddInstance { blueprint, .. } => format!("made {}", short(&blueprint.subject.path)),
            Adaptation::RemoveInstance { blueprint, .. } => format!("removed {}", short(&blueprint.subject.path)),
            Adaptation::UpdateInstance { subject, .. } => format!("updated {}", short(&subject.path)),
            Adaptation::UpdateDictionary { subject, attribute, .. } => {
                format!("set {}.{attribute}", short(&subject.path))
            }
            Adaptation::AddBinding(bound) => {
                let (port, channel) = end(bound);
                format!("bound {port} to {channel}")
            }
            Adaptation::RemoveBinding(bound) => {
                let (port, channel) = end(bound);
                format!("took {port} off {channel}")
            }
            Adaptation::AddTypeDef { definition, .. } => format!("learnt {}", definition.id),
            Adaptation::RemoveTypeDef(definition) => format!("forgot {}", definition.id),
            Adaptation::AddDeployUnit(unit) => format!("loaded {} {}", unit.id.name, unit.id.version),
            Adaptation::RemoveDeployUnit(unit) => format!("unloaded {} {}", unit.id.name, unit.id.version),
        }
    }

    /// The instance that the step is about; none for bindings, types and units.
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Adaptation::StopInstance(subject)
            | Adaptation::StartInstance(subject)
            | Adaptation::StopSelf(subject)
            | Adaptation::UpdateDictionary { subject, .. }
            | Adaptation::UpdateInstance { subject, .. } => Some(subject),
            Adaptation::RemoveInstance { blueprint, .. } | Adaptation::AddInstance { blueprint, .. } => {
                Some(&blueprint.subject)
            }
            Adaptation::RemoveBinding(_)
            | Adaptation::AddBinding(_)
            | Adaptation::RemoveTypeDef(_)
            | Adaptation::AddTypeDef { .. }
            | Adaptation::RemoveDeployUnit(_)
            | Adaptation::AddDeployUnit(_) => None,
        }
    }

    /// The step that takes this one back. Undoing is idempotent too: it may be asked for a step that was never begun.
    pub fn inverse(&self) -> Adaptation {
        match self.clone() {
            Adaptation::StopInstance(subject) | Adaptation::StopSelf(subject) => Adaptation::StartInstance(subject),
            Adaptation::StartInstance(subject) => Adaptation::StopInstance(subject),
            Adaptation::RemoveBinding(end) => Adaptation::AddBinding(end),
            Adaptation::AddBinding(end) => Adaptation::RemoveBinding(end),
            Adaptation::RemoveInstance { blueprint, .. } => {
                Adaptation::AddInstance { blueprint, state: StateFrom::Kept }
            }
            Adaptation::AddInstance { blueprint, .. } => {
                Adaptation::RemoveInstance { blueprint, hand_over: HandOver::Discard }
            }
            Adaptation::RemoveTypeDef(definition) => Adaptation::AddTypeDef { definition, before: None },
            Adaptation::AddTypeDef { definition, before: Some(before) } => {
                Adaptation::AddTypeDef { definition: before, before: Some(definition) }
            }
            Adaptation::AddTypeDef { definition, before: None } => Adaptation::RemoveTypeDef(definition),
            Adaptation::RemoveDeployUnit(unit) => Adaptation::AddDeployUnit(unit),
            Adaptation::AddDeployUnit(unit) => Adaptation::RemoveDeployUnit(unit),
            Adaptation::UpdateDictionary { subject, fragment, attribute, before, after } => {
                Adaptation::UpdateDictionary { subject, fragment, attribute, before: after, after: before }
            }
            Adaptation::UpdateInstance { subject, before, after } => {
                Adaptation::UpdateInstance { subject, before: after, after: before }
            }
        }
    }

    /// What the step is about, as a path in Kevoree's notation: `/nodes[n]/components[c]`, `/mBindings[id]`.
    pub fn path(&self) -> String {
        match self {
            Adaptation::RemoveBinding(end) | Adaptation::AddBinding(end) => {
                format!("/mBindings[{}]", binding_id(&end.binding, end.receives))
            }
            Adaptation::RemoveTypeDef(definition) | Adaptation::AddTypeDef { definition, .. } => {
                type_path(&definition.id)
            }
            Adaptation::RemoveDeployUnit(unit) | Adaptation::AddDeployUnit(unit) => unit_path(&unit.id),
            Adaptation::UpdateDictionary { subject, fragment, attribute, .. } => {
                let instance = instance_path(&subject.path);
                match fragment {
                    Some(node) => format!("{instance}/fragmentDictionary[{node}]/values[{attribute}]"),
                    None => format!("{instance}/dictionary[0.0]/values[{attribute}]"),
                }
            }
            Adaptation::StopInstance(subject)
            | Adaptation::StartInstance(subject)
            | Adaptation::StopSelf(subject)
            | Adaptation::UpdateInstance { subject, .. } => instance_path(&subject.path),
            Adaptation::RemoveInstance { blueprint, .. } | Adaptation::AddInstance { blueprint, .. } => {
                instance_path(&blueprint.subject.path)
            }
        }
    }

    /// How a person sees the step by itself; a plan's summary also sees replacements.
    pub fn mark(&self) -> Mark {
        match self {
            Adaptation::RemoveInstance { hand_over: HandOver::Move { .. }, .. }
            | Adaptation::AddInstance { state: StateFrom::Move { .. }, .. } => Mark::Move,
            Adaptation::RemoveInstance { hand_over: HandOver::Upgrade { .. }, .. }
            | Adaptation::AddInstance { state: StateFrom::Upgrade { .. }, .. } => Mark::Replace,
            Adaptation::RemoveBinding(_)
            | Adaptation::RemoveInstance { .. }
            | Adaptation::RemoveTypeDef(_)
            | Adaptation::RemoveDeployUnit(_) => Mark::Remove,
            Adaptation::AddInstance { .. }
            | Adaptation::AddBinding(_)
            | Adaptation::AddDeployUnit(_)
            | Adaptation::AddTypeDef { before: None, .. } => Mark::Add,
            Adaptation::StopInstance(_)
            | Adaptation::AddTypeDef { .. }
            | Adaptation::UpdateDictionary { .. }
            | Adaptation::UpdateInstance { .. }
            | Adaptation::StartInstance(_)
            | Adaptation::StopSelf(_) => Mark::Change,
        }
    }
}

impl fmt::Display for Adaptation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.path())
    }
}

fn instance_path(path: &InstancePath) -> String {
    match path {
        InstancePath::Node(node) => format!("/nodes[{node}]"),
        InstancePath::Component(node, component) => format!("/nodes[{node}]/components[{component}]"),
        InstancePath::Channel(channel) => format!("/hubs[{channel}]"),
        InstancePath::Group(group) => format!("/groups[{group}]"),
    }
}

/// An instance as its own node calls it.
fn short(path: &InstancePath) -> String {
    match path {
        InstancePath::Component(_, component) => component.to_string(),
        other => other.to_string(),
    }
}

fn type_path(id: &TypeRef) -> String {
    format!("/packages[{}]/typeDefinitions[name={},version={}]", id.namespace, id.name, id.version)
}

fn unit_path(id: &UnitRef) -> String {
    let UnitRef { namespace, name, version, hashcode } = id;
    format!("/packages[{namespace}]/deployUnits[hashcode={hashcode},name={name},version={version}]")
}

/// The id that Kevoree gives a binding: a hash of the paths of channel and port.
fn binding_id(binding: &Binding, receives: bool) -> u32 {
    let Binding { port, channel } = binding;
    let side = if receives { "provided" } else { "required" };
    let text = format!("/hubs[{channel}]_/nodes[{}]/components[{}]/{side}[{}]", port.node, port.component, port.port);
    // As in JavaScript: 32 bits, wrapping, over UTF-16 units (all of them ASCII here).
    let hash =
        text.bytes().fold(0i32, |hash, byte| hash.wrapping_shl(5).wrapping_sub(hash).wrapping_add(i32::from(byte)));
    hash as u32 & 0xfff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{ChannelName, ComponentName, PortPath};

    fn end(port: &str, channel: &str, receives: bool) -> End {
        let parts: Vec<&str> = port.split('.').collect();
        End {
            binding: Binding {
                port: PortPath {
                    node: NodeName::parse(parts[0]).unwrap(),
                    component: ComponentName::parse(parts[1]).unwrap(),
                    port: PortName::parse(parts[2]).unwrap(),
                },
                channel: ChannelName::parse(channel).unwrap(),
            },
            id: ComponentId(1),
            receives,
            schema: 0,
        }
    }

    #[test]
    fn a_binding_has_the_id_that_kevoree_gives_it() {
        let of = |port, channel, receives| Adaptation::AddBinding(end(port, channel, receives)).path();
        assert_eq!(of("n0.k.input", "c", true), "/mBindings[64177533]");
        assert_eq!(of("n1.k.input", "c", true), "/mBindings[201557340]");
        assert_eq!(of("n0.src.out", "c", false), "/mBindings[254622308]");
    }
}
