//! What a node knows of itself and tells the one that is asked for the group's status.

use std::{rc::Rc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    api::{Counters, InstanceState, InstanceStatus, Revision},
    instances::Slot,
    wiring,
    world::World,
};
use crate::{
    io::clock,
    logic::gossip,
    model::Kind,
    words::{ChannelName, InstancePath, Name, NodeName},
};

/// The router's service that answers with a [`LocalStatus`].
pub(super) const SERVICE: &str = "status";

/// How long an instance has to say what it has sent: it may be busy, and the status must not wait for it.
const OUTPUTS_LIMIT: Duration = Duration::from_millis(50);

/// The most instances whose outputs are asked for: a person reads a page, and a large node must answer too.
const OUTPUTS_ASKED_MAX: usize = 256;

/// What a node says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LocalStatus {
    /// Its name.
    pub(super) node: NodeName,
    /// The version of its binary.
    pub(super) version: String,
    /// How long it has been running.
    pub(super) up_ms: u64,
    /// Load of its machine, per core.
    pub(super) load: Option<f64>,
    /// Where it listens.
    pub(super) listen: Vec<String>,
    /// The revision that it is adopting, when it is at work.
    pub(super) adapting: Option<Revision>,
    /// Whether it could not undo a failed adaptation.
    pub(super) is_degraded: bool,
    /// Its instances.
    pub(super) instances: Vec<InstanceStatus>,
    /// What went through its fragments of channels; `None` from one that is too busy to say.
    pub(super) channels: Vec<(ChannelName, Option<(Counters, u64)>)>,
    /// Its fragments that crashed: how they are, and why.
    #[serde(default)]
    pub(super) crashed: Vec<(ChannelName, InstanceState, String)>,
}

/// What this node says of itself now.
pub(super) async fn status(world: &Rc<World>, version: &str, listen: &[String]) -> LocalStatus {
    let mut instances = Vec::new();
    let mut channels = Vec::new();
    let mut crashed = Vec::new();
    let (mut asked, mut births) = (Vec::new(), Vec::new());
    for slot in world.instances.borrow().in_order() {
        match &slot.subject.path {
            InstancePath::Channel(channel) => {
                channels.push((channel.clone(), slot.handle.clone(), slot.born));
                let state = state_of(slot.state);
                if matches!(state, InstanceState::Failed | InstanceState::Restarting) {
                    crashed.push((channel.clone(), state, slot.cause.to_string()));
                }
            }
            _ => {
                if asked.len() < OUTPUTS_ASKED_MAX {
                    asked.push((instances.len(), slot.handle.clone()));
                }
                births.push((slot.subject.path.clone(), slot.born));
                instances.push(instance_status(slot));
            }
        }
    }
    let asked = asked.into_iter().map(|(idx, handle)| async move { (idx, handle.outputs(OUTPUTS_LIMIT).await) });
    for (idx, outputs) in futures_util::future::join_all(asked).await {
        let Ok(outputs) = outputs else { continue };
        let of = |key: &str| {
            outputs.as_object().into_iter().flatten().filter_map(|(_, port)| port[key].as_u64()).sum::<u64>()
        };
        instances[idx].counters.sent = of("sent");
        instances[idx].counters.lost += of("dropped");
    }
    let counted = channels.into_iter().map(|(channel, handle, born)| async move {
        let counters = wiring::counters(&handle).await;
        (channel, born, counters)
    });
    let counted = futures_util::future::join_all(counted).await;
    let now = clock::now();
    let mut rates = world.rates.borrow_mut();
    rates.retain(|path| world.instances.borrow().at(path).is_some());
    for (instance, (path, born)) in instances.iter_mut().zip(&births) {
        let counters = &mut instance.counters;
        counters.per_s = rates.per_s(path, counters.received + counters.sent, *born, now);
    }
    let channels = counted.into_iter().map(|(channel, born, mut counters)| {
        if let Some((counters, _)) = &mut counters {
            counters.per_s = rates.per_s(&InstancePath::Channel(channel.clone()), counters.received, born, now);
        }
        (channel, counters)
    });
    let channels = channels.collect();
    drop(rates);
    let progress = world.progress.borrow().clone();
    LocalStatus {
        node: world.me.clone(),
        version: version.to_owned(),
        up_ms: world.started.elapsed().as_millis() as u64,
        load: clock::load_per_core(),
        listen: listen.to_vec(),
        adapting: (!progress.is_over && progress.n_steps > 0).then_some(Revision::new(progress.revision)),
        is_degraded: world.is_degraded.get(),
        instances,
        channels,
        crashed,
    }
}

/// How an instance of this node is.
pub(super) fn instance_status(slot: &Slot) -> InstanceStatus {
    let counts = slot.handle.counts();
    let sum = |of: fn(&crate::runtime::instance::Counts) -> u64| counts.iter().map(|(_, counts)| of(counts)).sum();
    InstanceStatus {
        name: last_name(&slot.subject.path),
        kind: kind_of(&slot.subject.path),
        type_ref: Some(slot.subject.type_ref.clone()),
        state: state_of(slot.state),
        cause: slot.cause.to_string(),
        note: String::new(),
        sends_to: Vec::new(),
        receives_from: Vec::new(),
        counters: Counters {
            received: sum(|counts| counts.received),
            sent: 0,
            queued: sum(|counts| u64::from(counts.depth)),
            lost: sum(|counts| counts.dropped + counts.refused),
            per_s: 0.0,
        },
        n_restarts: slot.n_restarts,
    }
}

/// The state in the words of the API.
pub(super) fn state_of(state: gossip::InstanceState) -> InstanceState {
    match state {
        gossip::InstanceState::Starting => InstanceState::Changing,
        gossip::InstanceState::Running => InstanceState::Started,
        gossip::InstanceState::Stopped => InstanceState::Stopped,
        gossip::InstanceState::Restarting => InstanceState::Restarting,
        gossip::InstanceState::Failed | gossip::InstanceState::Zombie => InstanceState::Failed,
    }
}

/// What an instance is called on its node.
pub(super) fn last_name(path: &InstancePath) -> Name {
    let text = match path {
        InstancePath::Node(node) => node.as_str(),
        InstancePath::Component(_, component) => component.as_str(),
        InstancePath::Channel(channel) => channel.as_str(),
        InstancePath::Group(group) => group.as_str(),
    };
    Name::parse(text).expect("a part of a path is a name")
}

/// What is at a path.
pub(super) fn kind_of(path: &InstancePath) -> Kind {
    match path {
        InstancePath::Node(_) => Kind::Node,
        InstancePath::Component(..) => Kind::Component,
        InstancePath::Channel(_) => Kind::Channel,
        InstancePath::Group(_) => Kind::Group,
    }
}
