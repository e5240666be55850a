//! How the group is: status, types, why, doctor, metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;

use super::{Server, history, not_found, stopped};
use crate::{
    io::{
        clock::Stopwatch,
        engine::{Lane, Role},
    },
    logic::gossip::{Adoption, Member, Presence, RevisionId, Snapshot},
    model::{Kind, Model},
    runtime::node::{
        api::{
            ApiError, ChannelStatus, Convergence, Counters, Finding, InstanceState, InstanceStatus, NodeState,
            NodeStatus, OfferedType, Poisoned, Severity, Status, Why, WhyStep, poisoned_text,
        },
        local::{self, LocalStatus},
    },
    words::{ChannelName, InstancePath, Name, NodeName},
};

/// How long another node has to say how it is; one that is busy or hangs must not hold the answer back.
const LOCAL_LIMIT: Duration = Duration::from_millis(800);

/// What a node said of itself, and how long the question took.
type Told = BTreeMap<NodeName, (LocalStatus, Duration)>;

impl Server {
    /// The other nodes that are up.
    pub(super) fn nodes_up(&self) -> BTreeSet<NodeName> {
        let peers = self.world.router.peers();
        peers.into_iter().filter(|peer| peer.role == Role::Node).map(|peer| peer.name).collect()
    }

    /// How the group is.
    pub(super) async fn status(self: &Rc<Self>) -> Result<Status, ApiError> {
        let snapshot = self.group.current();
        let members = self.group.members().await.map_err(stopped)?;
        let told = self.ask_all().await;
        let model = &snapshot.model;
        let mut names: BTreeSet<&NodeName> = model.nodes.keys().collect();
        names.extend(told.keys());
        let nodes: Vec<NodeStatus> =
            names.into_iter().map(|name| self.node_status(&snapshot, name, &members, &told)).collect();
        let attached: Vec<&NodeStatus> = nodes.iter().filter(|node| model.nodes.contains_key(&node.name)).collect();
        let newest = history::name(snapshot.id());
        let n_converged = attached
            .iter()
            .filter(|node| node.state == NodeState::Ready && node.revision.as_ref() == Some(&newest))
            .count();
        let waiting = attached.iter().filter(|node| node.state != NodeState::Ready).map(|node| waits(node)).collect();
        Ok(Status {
            group: self.group.name().clone(),
            group_type: model.groups.get(self.group.name()).and_then(|group| group.instance.type_ref.clone()),
            revision: newest,
            convergence: Convergence { n_converged, n_nodes: attached.len(), waiting, elapsed_ms: None },
            channels: model.channels.keys().map(|name| channel_status(model, name, &told)).collect(),
            nodes,
        })
    }

    /// Asks every node how it is, this one too. Who does not answer in time is missing.
    async fn ask_all(self: &Rc<Self>) -> Told {
        let asked = self.nodes_up().into_iter().map(|node| async move {
            let watch = Stopwatch::start();
            let answer = self.world.router.ask(&node, local::SERVICE, Lane::Control, Bytes::new(), LOCAL_LIMIT).await;
            let status = serde_json::from_slice::<LocalStatus>(&answer.ok()?).ok()?;
            Some((node, (status, watch.elapsed())))
        });
        let mut told: Told = join_all(asked).await.into_iter().flatten().collect();
        let own = local::status(&self.world, &self.options.version, &self.listen).await;
        told.insert(self.world.me.clone(), (own, Duration::ZERO));
        told
    }

    fn node_status(&self, newest: &Snapshot, name: &NodeName, members: &[Member], told: &Told) -> NodeStatus {
        let model = &newest.model;
        let member = members.iter().find(|member| member.node == *name);
        let (local, rtt) = told.get(name).map(|(local, rtt)| (Some(local), Some(*rtt))).unwrap_or_default();
        let is_up = *name == self.world.me || self.nodes_up().contains(name);
        let is_local = *name == self.world.me;
        let instances = instances(model, name, local);
        let is_partial = instances.iter().any(|instance| {
            matches!(instance.state, InstanceState::Failed | InstanceState::Restarting | InstanceState::Unresolved)
        });
        let absent = !is_up || member.is_some_and(|member| member.presence == Presence::Absent && !is_local);
        let status = member.and_then(|member| member.status.as_ref());
        let outcome = newest.id().and_then(|id| status.and_then(|status| status.outcome(id)));
        let not_adopted = outcome.map(not_adopted).unwrap_or_default();
        let poisoned = newest.id().zip(outcome).and_then(poisoned);
        let state = match local {
            _ if absent => NodeState::Absent,
            None => NodeState::Suspected,
            Some(local) if local.is_degraded => NodeState::Degraded,
            Some(local) if local.adapting.is_some() => NodeState::Adapting,
            Some(_) if poisoned.is_some() => NodeState::Poisoned,
            Some(_) if is_partial || !not_adopted.is_empty() => NodeState::Partial,
            Some(_) => NodeState::Ready,
        };
        let first_cause = instances.iter().find(|instance| !instance.cause.is_empty());
        NodeStatus {
            name: name.clone(),
            state,
            cause: match first_cause {
                _ if !not_adopted.is_empty() => not_adopted,
                Some(instance) => format!("{}: {}", instance.name, instance.cause),
                None => String::new(),
            },
            revision: match &poisoned {
                Some(poisoned) => poisoned.runs.clone(),
                None => status.and_then(|status| status.revision.as_ref()).map(|id| history::name(Some(id))),
            },
            poisoned,
            host: model.nodes.get(name).and_then(|node| node.host.clone()),
            local: is_local,
            rtt_us: rtt.filter(|_| !is_local).map(|rtt| rtt.as_micros() as u64),
            load: local.and_then(|local| local.load),
            up_ms: local.map(|local| local.up_ms),
            version: local.map(|local| local.version.clone()),
            listen: local.map(|local| local.listen.clone()).unwrap_or_default(),
            instances,
        }
    }

    /// The types that nodes of the group can run.
    pub(super) async fn types(&self) -> Result<Vec<OfferedType>, ApiError> {
        let model = self.group.current().model;
        let mut up = self.nodes_up();
        up.insert(self.world.me.clone());
        Ok(model
            .types
            .values()
            .map(|definition| OfferedType {
                definition: Arc::new((**definition).clone()),
                units: definition
                    .units
                    .iter()
                    .filter_map(|id| model.units.get(id))
                    .map(|unit| Arc::new((**unit).clone()))
                    .collect(),
                nodes: if self.world.catalog.get(&definition.id).is_some() {
                    up.iter().cloned().collect()
                } else {
                    Vec::new()
                },
            })
            .collect())
    }

    /// Why an instance is in its state.
    pub(super) async fn why(&self, path: &InstancePath) -> Result<Why, ApiError> {
        let model = self.group.current().model;
        let wanted = model.instance(path).ok_or_else(|| not_found(format!("the model has no instance \"{path}\"")))?;
        let instances = self.world.instances.borrow();
        let slot = instances.at(path);
        let mut steps = vec![WhyStep {
            holds: wanted.started.then_some(true),
            text: format!("the model wants it {}", if wanted.started { "started" } else { "stopped" }),
            below: Vec::new(),
        }];
        let known = wanted.type_ref.as_ref().is_some_and(|type_ref| self.world.catalog.get(type_ref).is_some());
        let type_text = wanted.type_ref.as_ref().map_or_else(|| "no type".to_owned(), ToString::to_string);
        steps.push(WhyStep {
            holds: Some(known),
            text: format!("type {type_text} is in this node's binary"),
            below: Vec::new(),
        });
        if let Some(slot) = slot {
            let text = if slot.cause.is_empty() {
                format!("it is {}", crate::runtime::node::instances::word(slot.state))
            } else {
                format!("it is {}: {}", crate::runtime::node::instances::word(slot.state), slot.cause)
            };
            steps.push(WhyStep { holds: Some(slot.cause.is_empty()), text, below: Vec::new() });
            if slot.n_restarts > 0 {
                let text = format!("it was started again {} times", slot.n_restarts);
                steps.push(WhyStep { holds: None, text, below: Vec::new() });
            }
        }
        let state = slot.map_or(InstanceState::Absent, |slot| local::state_of(slot.state));
        let is_failed = state == InstanceState::Failed;
        Ok(Why {
            path: path.to_string(),
            type_ref: wanted.type_ref.clone(),
            state,
            since: slot.map(|slot| slot.since),
            cause: slot.map_or_else(|| "it does not run on this node".to_owned(), |slot| slot.cause.to_string()),
            steps,
            help: if is_failed {
                format!("mend the cause, then `stop {path}` and `start {path}`")
            } else {
                String::new()
            },
        })
    }

    /// What this node finds when it examines itself.
    pub(super) async fn doctor(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |what: &str, severity, found: String, help: &str| {
            findings.push(Finding { what: what.to_owned(), severity, found, help: help.to_owned() });
        };
        let stats = self.world.router.stats();
        let n_up = stats.peers.iter().filter(|peer| peer.up).count();
        let (severity, help) = match n_up {
            0 => (Severity::Warning, "start another node, or give `--join ADDRESS` where multicast does not reach"),
            _ => (Severity::Fine, ""),
        };
        find("peers", severity, format!("{n_up} connected"), help);
        let lost: u64 = stats.peers.iter().map(|peer| peer.lost).sum();
        if lost > 0 || stats.undeliverable > 0 {
            let found = format!("{lost} lost with dead peers, {} undeliverable", stats.undeliverable);
            find(
                "messages",
                Severity::Warning,
                found,
                "messages to a node that died are lost; queues that are full refuse",
            );
        }
        if stats.refused_frames > 0 {
            let found = format!("{} refused", stats.refused_frames);
            find(
                "frames",
                Severity::Warning,
                found,
                "somebody who is no node of this group sends here; see `enact logs`",
            );
        }
        match self.world.disk.store().path() {
            Some(path) => find("data", Severity::Fine, path.display().to_string(), ""),
            None => find(
                "data",
                Severity::Warning,
                "in memory".into(),
                "give --data DIR to keep history and states over restarts",
            ),
        }
        let n_condemned = self.world.placement.borrow().n_condemned();
        if n_condemned > 0 {
            let found = format!("{n_condemned} blocked for good by components");
            find("threads", Severity::Error, found, "restart the node; host such components with isolation = process");
        }
        if self.world.is_degraded.get() {
            find(
                "adaptation",
                Severity::Error,
                "the last one could not be undone".into(),
                "push a model: it is taken up from scratch",
            );
        }
        findings
    }

    /// Counters and gauges in Prometheus' text form.
    pub(in crate::runtime::node) async fn metrics(&self) -> String {
        let gauge =
            |name, help, labels: &[(&str, &str)], value: f64| self.options.metrics.gauge(name, help, labels).set(value);
        for (state, n) in self.world.instances.borrow().counts() {
            gauge("enact_instances", "Instances on this node by state.", &[("state", state)], n as f64);
        }
        let snapshot = self.group.current();
        let revision = snapshot.id().map_or(0, |id| id.number);
        gauge("enact_revision", "The newest revision that this node knows.", &[], revision as f64);
        gauge("enact_peers", "Nodes that are connected.", &[], self.nodes_up().len() as f64);
        gauge(
            "enact_up_seconds",
            "How long the node has been running.",
            &[],
            self.world.started.elapsed().as_secs_f64(),
        );
        let stats = self.world.router.stats();
        gauge("enact_undeliverable", "Messages that nothing here serves.", &[], stats.undeliverable as f64);
        // Consoles come and go under ever new names: labels of theirs would only grow. So do those of nodes that are long gone.
        let nodes = stats.peers.iter().filter(|peer| peer.peer.role == Role::Node);
        let shown = self.shown.replace(nodes.clone().map(|peer| peer.peer.name.clone()).collect());
        for gone in shown.difference(&self.shown.borrow()) {
            self.options.metrics.forget("peer", gone.as_str());
        }
        for peer in nodes {
            let labels = [("peer", peer.peer.name.as_str())];
            gauge("enact_sent", "Messages accepted for a peer.", &labels, peer.sent as f64);
            gauge("enact_received", "Messages that came from a peer.", &labels, peer.received as f64);
            gauge("enact_lost", "Messages lost with a dead peer.", &labels, peer.lost as f64);
        }
        self.options.metrics.render()
    }
}

/// Why a node does not run what it was given, in words; empty when it does.
fn not_adopted(adoption: &Adoption) -> String {
    match adoption {
        Adoption::Adopted { .. } => String::new(),
        Adoption::RolledBack { step, cause } => format!("rolled back: {step}: {cause}"),
        Adoption::Refused { cause } => format!("refused: {cause}"),
        Adoption::Degraded { cause } => cause.clone(),
        Adoption::Poisoned { n_crashes, runs } => {
            poisoned_text(*n_crashes, runs.as_ref().map(|runs| history::name(Some(runs))).as_ref())
        }
    }
}

/// The newest revision, when a node leaves it alone because it crashed.
fn poisoned((newest, adoption): (&RevisionId, &Adoption)) -> Option<Poisoned> {
    let Adoption::Poisoned { n_crashes, runs } = adoption else { return None };
    let runs = runs.as_ref().map(|runs| history::name(Some(runs)));
    Some(Poisoned { revision: history::name(Some(newest)), n_crashes: *n_crashes, runs })
}

fn waits(node: &NodeStatus) -> String {
    let why = if node.cause.is_empty() { "is not ready" } else { &node.cause };
    format!("{} {why}", node.name)
}

/// What the model wants of a node's instances, with what the node says of them.
fn instances(model: &Model, name: &NodeName, local: Option<&LocalStatus>) -> Vec<InstanceStatus> {
    let known = |instance: &Name, kind| {
        let told = local.into_iter().flat_map(|local| &local.instances);
        told.into_iter().find(|status| status.name == *instance && status.kind == kind).cloned()
    };
    let Some(node) = model.nodes.get(name) else {
        return local.map(|local| local.instances.clone()).unwrap_or_default();
    };
    let component =
        |(component, value): (&crate::words::ComponentName, &crate::model::Shared<crate::model::Component>)| {
            let plain = Name::parse(component.as_str()).expect("a component's name is a name");
            let mut status =
                known(&plain, Kind::Component).unwrap_or_else(|| absent(plain, value.instance.type_ref.clone()));
            for binding in model.bindings.of_component(name, component) {
                let channels = if value.provided.contains(&binding.port.port) {
                    &mut status.receives_from
                } else {
                    &mut status.sends_to
                };
                if !channels.contains(&binding.channel) {
                    channels.push(binding.channel.clone());
                }
            }
            status
        };
    node.components.iter().map(component).collect()
}

fn absent(name: Name, type_ref: Option<crate::words::TypeRef>) -> InstanceStatus {
    InstanceStatus {
        name,
        kind: Kind::Component,
        type_ref,
        state: InstanceState::Absent,
        cause: String::new(),
        note: String::new(),
        sends_to: Vec::new(),
        receives_from: Vec::new(),
        counters: Counters::default(),
        n_restarts: 0,
    }
}

fn channel_status(model: &Model, name: &ChannelName, told: &Told) -> ChannelStatus {
    let channel = &model.channels[name];
    let (mut n_in, mut n_out) = (0, 0);
    for port in model.bindings.of_channel(name) {
        let receives = model.component(&port.node, &port.component).is_some_and(|c| c.provided.contains(&port.port));
        if receives { n_out += 1 } else { n_in += 1 }
    }
    let mut counters = Counters::default();
    let mut p99_us = None;
    let fragments = told.values().flat_map(|(local, _)| &local.channels).filter(|(channel, _)| channel == name);
    for (_, part) in fragments {
        let Some((part, part_p99_us)) = part else { continue };
        p99_us = p99_us.max(Some(*part_p99_us));
        counters.received += part.received;
        counters.sent += part.sent;
        counters.queued += part.queued;
        counters.lost += part.lost;
        counters.per_s += part.per_s;
    }
    let wanted = if channel.instance.started { InstanceState::Started } else { InstanceState::Stopped };
    // A channel is as well as the worst of its fragments.
    let crashed = told.iter().flat_map(|(node, (local, _))| local.crashed.iter().map(move |crashed| (node, crashed)));
    let crashed = crashed.filter(|(_, (channel, ..))| channel == name);
    let worst = crashed.max_by_key(|(_, (_, state, _))| *state == InstanceState::Failed);
    let (state, cause) =
        worst.map_or((wanted, String::new()), |(node, (_, state, cause))| (*state, format!("on {node}: {cause}")));
    ChannelStatus {
        name: name.clone(),
        type_ref: channel.instance.type_ref.clone(),
        state,
        cause,
        n_in,
        n_out,
        counters,
        p99_us,
    }
}
