//! A double of a running group: two nodes, a model, and answers as a node would give them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use imbl::{OrdMap, OrdSet};

use super::client::Client;
use crate::{
    logic::{plan, script},
    model::{
        Attribute, Binding, Channel, Component, ComponentId, DataType, DeployUnit, Group, Instance, Kind, Model, Node,
        PortDefinition, TypeDefinition, change,
        library::{Entry, Library},
    },
    runtime::node::api::{
        Answer, Api, ApiError, Applied, ChannelStatus, Convergence, Counters, ErrorCode, Event, Finding, HistoryEntry,
        Info, InstanceState, InstanceStatus, NodeOutcome, NodePlan, NodeState, NodeStatus, NodeVerdict, OfferedType,
        OutcomeReply, Page, PlanReply, Problem, Reply, Request, Revised, Revision, Severity, Status, TapRecord,
        Verdict, Wanted, What, Why, WhyStep,
    },
    words::{ComponentName, Name, NodeName, PortName, PortPath, Time, TypeRef, UnitRef},
};

pub(crate) fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

pub(crate) fn type_ref(name: &str, version: &str) -> TypeRef {
    TypeRef::new("enact", name, version).unwrap()
}

pub(crate) fn port(text: &str) -> PortPath {
    super::stream::port(text).unwrap()
}

fn attribute(name: &str, datatype: DataType, default: Option<&str>) -> Attribute {
    Attribute {
        name: name.parse().unwrap(),
        datatype,
        optional: false,
        state: false,
        fragment: false,
        default: default.map(Into::into),
        min: None,
        max: None,
        one_of: Vec::new(),
        secret: false,
        doc: "".into(),
    }
}

fn port_definition(name: &str) -> PortDefinition {
    PortDefinition {
        name: name.parse().unwrap(),
        optional: true,
        no_dependency: false,
        message: "Value".into(),
        schema: 0,
        doc: "".into(),
        port_type: None,
    }
}

/// A type with a description and one parameter of each sort.
pub(crate) fn ticker() -> TypeDefinition {
    let period = Attribute {
        min: Some("10ms".into()),
        max: Some("1h".into()),
        doc: "How long between two ticks.".into(),
        ..attribute("period", DataType::Duration, Some("3s"))
    };
    let token = Attribute { secret: true, optional: true, ..attribute("token", DataType::String, None) };
    TypeDefinition {
        id: type_ref("Ticker", "1.0.0"),
        kind: Kind::Component,
        is_abstract: false,
        units: vec![unit().id],
        super_types: Vec::new(),
        attributes: Some(vec![period, attribute("down", DataType::Boolean, Some("false")), token]),
        provided: Vec::new(),
        required: vec![port_definition("tick")],
        metadata: OrdMap::unit("description".into(), "Sends a number at a steady pace.".into()),
    }
}

fn bare(name: &str, kind: Kind) -> TypeDefinition {
    TypeDefinition {
        id: type_ref(name, "1.0.0"),
        kind,
        attributes: Some(Vec::new()),
        required: Vec::new(),
        metadata: OrdMap::new(),
        ..ticker()
    }
}

fn printer() -> TypeDefinition {
    TypeDefinition { provided: vec![port_definition("input")], ..bare("Printer", Kind::Component) }
}

fn unit() -> DeployUnit {
    let id = UnitRef {
        namespace: "enact".parse().unwrap(),
        name: "enact-actors".into(),
        version: "0.1.0".into(),
        hashcode: "".into(),
    };
    DeployUnit { id, url: "".into(), filters: OrdMap::unit("platform".into(), "rust".into()), requires: Vec::new() }
}

/// The types that both nodes offer.
fn offered() -> Vec<OfferedType> {
    let types = [
        ticker(),
        printer(),
        bare("Broadcast", Kind::Channel),
        bare("EnactNode", Kind::Node),
        bare("Gossip", Kind::Group),
    ];
    let offer = |definition| OfferedType {
        definition: Arc::new(definition),
        units: vec![Arc::new(unit())],
        nodes: vec![node("node1")],
    };
    types.into_iter().map(offer).collect()
}

fn library() -> Library {
    let mut library = Library::default();
    for offer in offered() {
        library.add(Entry::new((*offer.definition).clone(), vec![unit()]));
    }
    library
}

/// Two nodes in the group `sync`, nothing else.
pub(crate) fn empty_group() -> Model {
    let mut model = Model::default();
    for definition in [
        bare("EnactNode", Kind::Node),
        bare("Gossip", Kind::Group),
        bare("Broadcast", Kind::Channel),
        ticker(),
        printer(),
    ] {
        model.types.insert(definition.id.clone(), definition.into());
    }
    for name in ["node1", "node2"] {
        let mut value = Node { instance: Instance::of(type_ref("EnactNode", "1.0.0")), ..Node::default() };
        value.groups.insert("sync".parse().unwrap());
        model.nodes.insert(node(name), value.into());
    }
    model.groups.insert("sync".parse().unwrap(), Group { instance: Instance::of(type_ref("Gossip", "1.0.0")) }.into());
    model
}

fn ports(has_one: bool, name: &str) -> OrdSet<PortName> {
    has_one.then(|| PortName::parse(name).unwrap()).into_iter().collect()
}

/// Adds a component with its values.
pub(crate) fn with_component(model: &mut Model, at: &str, of: &str, id: u64, values: &[(&str, &str)]) {
    let (on, name) = at.split_once('.').unwrap();
    let mut instance = Instance::of(type_ref(of, "1.0.0"));
    instance.dictionary = Some(values.iter().map(|(name, value)| (name.parse().unwrap(), (*value).into())).collect());
    let component = Component {
        id: ComponentId(id),
        instance,
        provided: ports(of == "Printer", "input"),
        required: ports(of == "Ticker", "tick"),
    };
    let mut value = model.nodes.get(&node(on)).unwrap().clone();
    value.to_mut().components.insert(ComponentName::parse(name).unwrap(), component.into());
    model.nodes.insert(node(on), value);
    *model = model.clone().indexed();
}

/// Puts a port on a channel.
pub(crate) fn with_binding(model: &mut Model, at: &str, channel: &str) {
    model.bindings.insert(Binding { port: port(at), channel: channel.parse().unwrap() });
}

/// The group of the transcripts: a ticker on node1, a printer on node2, a channel between them.
pub(crate) fn ticking_group() -> Model {
    let mut model = empty_group();
    with_component(&mut model, "node1.ticker", "Ticker", 1, &[("period", "1s"), ("down", "false")]);
    with_component(&mut model, "node2.printer", "Printer", 2, &[]);
    model
        .channels
        .insert("ticks".parse().unwrap(), Channel { instance: Instance::of(type_ref("Broadcast", "1.0.0")) }.into());
    with_binding(&mut model, "node1.ticker.tick", "ticks");
    with_binding(&mut model, "node2.printer.input", "ticks");
    model
}

/// A group that keeps its revisions and answers at once.
pub(crate) struct Double {
    state: Mutex<State>,
}

struct State {
    revisions: Vec<Model>,
    by: Vec<(String, String)>,
    verdicts: VecDeque<NodeVerdict>,
    /// Somebody else applies before the next apply.
    overtaken: bool,
    sent: Vec<(PortPath, crate::words::Value)>,
}

impl Double {
    /// A group at r1 with this model (r0 is empty).
    pub(crate) fn new(model: Model) -> Arc<Double> {
        let state = State {
            revisions: vec![Model::default(), model],
            by: vec![("nobody".into(), "".into()), ("boot".into(), "the first model".into())],
            verdicts: VecDeque::new(),
            overtaken: false,
            sent: Vec::new(),
        };
        Arc::new(Double { state: Mutex::new(state) })
    }

    pub(crate) async fn client(self: &Arc<Self>) -> Client {
        Client::greet(Arc::clone(self) as Arc<dyn Api>).await.unwrap()
    }

    /// What node2 makes of the next revisions.
    pub(crate) fn answer_next(&self, verdict: NodeVerdict) {
        self.state.lock().unwrap().verdicts.push_back(verdict);
    }

    pub(crate) fn overtake(&self) {
        self.state.lock().unwrap().overtaken = true;
    }

    pub(crate) fn newest(&self) -> (u64, Model) {
        let state = self.state.lock().unwrap();
        (state.revisions.len() as u64 - 1, state.revisions.last().unwrap().clone())
    }

    pub(crate) fn sent(&self) -> Vec<(PortPath, crate::words::Value)> {
        self.state.lock().unwrap().sent.clone()
    }
}

fn not_found(what: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("there is no {what}"))
}

impl State {
    fn newest(&self) -> Revision {
        Revision::new(self.revisions.len() as u64 - 1)
    }

    fn model(&self, revision: &Revision) -> Result<&Model, ApiError> {
        self.revisions.get(revision.number as usize).ok_or_else(|| not_found(&format!("revision {revision}")))
    }

    /// Scripts are evaluated as a node does; `fail` is always wrong, and `ticking` is short for the ticking group.
    fn wanted(&self, wanted: &Wanted, base: &Model) -> Result<Model, ApiError> {
        match wanted {
            Wanted::Script { text, .. } if text.starts_with("fail") => {
                let problem = Problem {
                    code: "E0203".into(),
                    severity: Severity::Error,
                    message: "unknown parameter `perod` of Ticker 1.0.0".into(),
                    help: "did you mean `period`?".into(),
                    span: Some((5, 10)),
                };
                Err(ApiError { problems: vec![problem], ..ApiError::new(ErrorCode::Invalid, "1 error") })
            }
            Wanted::Script { text, .. } if text == "ticking" => Ok(ticking_group()),
            Wanted::Script { text, .. } => {
                let (parsed, wrong) = script::parse(text);
                let evaluated = script::evaluate(&parsed, base, &library(), &mut script::Variables::new(), 7);
                let invalid = |wrong: Vec<script::Diagnostic>| ApiError {
                    problems: wrong.iter().map(Problem::from).collect(),
                    ..ApiError::new(ErrorCode::Invalid, "the script is wrong")
                };
                if !wrong.is_empty() {
                    return Err(invalid(wrong));
                }
                evaluated.map(|evaluation| evaluation.model).map_err(invalid)
            }
            Wanted::Model(model) => Ok(model.0.clone()),
            Wanted::Edits(_) => Err(ApiError::new(ErrorCode::Refused, "the double knows no edits")),
            Wanted::Changes(changes) => {
                let mut model = base.clone();
                change::patch(&mut model, changes);
                Ok(model)
            }
            Wanted::Revision(revision) => self.model(revision).cloned(),
        }
    }

    fn plan(&self, wanted: &Wanted, base: Option<Revision>) -> Result<PlanReply, ApiError> {
        let base = base.unwrap_or_else(|| self.newest());
        let before = self.model(&base)?;
        let after = self.wanted(wanted, before)?;
        let plans = after.nodes.keys().map(|name| NodePlan {
            node: name.clone(),
            present: true,
            plan: plan::plan(before, &after, name),
        });
        Ok(PlanReply {
            group: "sync".parse().unwrap(),
            newest: self.newest(),
            changes: change::diff(before, &after),
            nodes: plans.filter(|plan| !plan.plan.is_empty()).collect(),
            n_nodes: after.nodes.len(),
            warnings: Vec::new(),
            base,
        })
    }

    fn apply(
        &mut self,
        wanted: &Wanted,
        base: Option<Revision>,
        swap: bool,
        by: String,
        message: String,
    ) -> Result<Applied, ApiError> {
        if std::mem::take(&mut self.overtaken) {
            let same = self.revisions.last().unwrap().clone();
            self.revisions.push(same);
            self.by.push(("eve".into(), "was faster".into()));
        }
        let from = base.unwrap_or_else(|| self.newest());
        if swap && from != self.newest() {
            let what = format!("made on {from}, the group is at {}", self.newest());
            return Err(ApiError::new(ErrorCode::Stale, what).help("plan again"));
        }
        let model = self.wanted(wanted, self.model(&from)?)?;
        self.revisions.push(model);
        self.by.push((by, message));
        Ok(Applied { revision: self.newest(), from, unchanged: false, warnings: Vec::new() })
    }

    fn outcome(&mut self, revision: Revision) -> OutcomeReply {
        let adopted =
            NodeVerdict::Adopted { n_steps: 3, elapsed_ms: 18, doing: "started ticker".into(), unresolved: Vec::new() };
        let second = self.verdicts.pop_front().unwrap_or_else(|| adopted.clone());
        let verdict = match &second {
            NodeVerdict::RolledBack { .. } => Some(Verdict::RolledBack),
            NodeVerdict::Poisoned { .. } => Some(Verdict::Poisoned),
            NodeVerdict::Working { .. } | NodeVerdict::Waiting => None,
            NodeVerdict::Adopted { unresolved, .. } if !unresolved.is_empty() => Some(Verdict::Unresolved),
            _ => Some(Verdict::Converged),
        };
        let nodes = vec![
            NodeOutcome { node: node("node1"), verdict: adopted },
            NodeOutcome { node: node("node2"), verdict: second },
        ];
        OutcomeReply { revision, n_reports: 1, nodes, verdict, elapsed_ms: 31, overwritten: Vec::new() }
    }

    fn history(&self, limit: usize) -> Vec<HistoryEntry> {
        let all = self.by.iter().enumerate().rev().take(limit).map(|(number, (by, message))| HistoryEntry {
            revision: Revision::new(number as u64),
            at: Time::from_ms(1_795_435_267_113),
            by: by.clone(),
            from: Revision::new(number.saturating_sub(1) as u64),
            what: message.clone(),
            result: "converged 31 ms".into(),
            verdict: Some(Verdict::Converged),
            overwritten: Vec::new(),
            kept: true,
        });
        all.collect()
    }
}

impl Api for Double {
    fn call(&self, request: Request) -> Answer<'_> {
        Box::pin(async move {
            let mut state = self.state.lock().unwrap();
            Ok(match request {
                Request::Hello => Reply::Info(Info {
                    node: node("node1"),
                    group: "sync".parse().unwrap(),
                    revision: state.newest(),
                    n_nodes: 2,
                    version: "0.1.0".into(),
                    listen: vec!["tcp/127.0.0.1:7700".into()],
                }),
                Request::Status => Reply::Status(status(state.newest())),
                Request::GetModel { revision } => {
                    let revision = revision.unwrap_or_else(|| state.newest());
                    let model = state.model(&revision)?.clone().into();
                    Reply::Model(Revised { revision, model })
                }
                Request::Types => Reply::Types(offered()),
                Request::Plan { wanted, base } => Reply::Plan(state.plan(&wanted, base)?),
                Request::Apply { wanted, base, compare_and_swap, message, by } => {
                    Reply::Applied(state.apply(&wanted, base, compare_and_swap, by, message)?)
                }
                Request::Outcome { revision, .. } => Reply::Outcome(state.outcome(revision)),
                Request::History { limit } => Reply::History(state.history(limit)),
                Request::Watch { .. } => {
                    let what = What::NodeSuspected { silent_ms: 1500 };
                    let event = Event { at: Time::from_ms(1_795_435_267_113), node: Some(node("node2")), what };
                    Reply::Events(Page { items: vec![event], next: 1, n_missed: 2 })
                }
                Request::Logs { .. } => Reply::Logs(Page { items: Vec::new(), next: 0, n_missed: 0 }),
                Request::Tail { n, .. } => {
                    let record = TapRecord {
                        at: Time::from_ms(1_795_435_267_113),
                        from: Some(port("node1.ticker.tick")),
                        to: vec![port("node2.printer.input")],
                        value: 41.into(),
                        elapsed_us: Some(412),
                        lost: None,
                    };
                    Reply::Tail(Page { items: vec![record; n.min(2)], next: 2, n_missed: 0 })
                }
                Request::Send { to, value, reply } => {
                    state.sent.push((to, value.clone()));
                    Reply::Sent(reply.then_some(value))
                }
                Request::Why { path } => Reply::Why(Why {
                    path: path.to_string(),
                    type_ref: Some(type_ref("Ticker", "1.0.0")),
                    state: InstanceState::Failed,
                    since: None,
                    cause: "crashed 5 times in 30 s".into(),
                    steps: vec![WhyStep { holds: Some(false), text: "start: no such file".into(), below: Vec::new() }],
                    help: "correct its parameters".into(),
                }),
                Request::Doctor => Reply::Doctor(vec![Finding {
                    what: "node1".into(),
                    severity: Severity::Fine,
                    found: "no queue is full".into(),
                    help: String::new(),
                }]),
                Request::Metrics { .. } => Reply::Metrics("enact_nodes 2\n".into()),
                Request::Stop { .. } => Reply::Done,
            })
        })
    }
}

/// How the ticking group is when its printer has failed.
pub(crate) fn status(revision: Revision) -> Status {
    let instance = |name: &str, of: &str, state| InstanceStatus {
        name: Name::parse(name).unwrap(),
        kind: Kind::Component,
        type_ref: Some(type_ref(of, "1.0.0")),
        state,
        cause: String::new(),
        note: String::new(),
        sends_to: Vec::new(),
        receives_from: Vec::new(),
        counters: Counters::default(),
        n_restarts: 0,
    };
    let on = |name: &str, state, instances| NodeStatus {
        name: node(name),
        state,
        cause: String::new(),
        poisoned: None,
        revision: Some(revision.clone()),
        host: None,
        local: name == "node1",
        rtt_us: (name != "node1").then_some(412),
        load: Some(0.2),
        up_ms: Some(8_040_000),
        version: Some("0.1.0".into()),
        listen: vec![format!("tcp/127.0.0.1:7700")],
        instances,
    };
    let ticker = InstanceStatus {
        sends_to: vec!["ticks".parse().unwrap()],
        counters: Counters { sent: 7, per_s: 1.0, ..Counters::default() },
        ..instance("ticker", "Ticker", InstanceState::Started)
    };
    let printer = InstanceStatus {
        receives_from: vec!["ticks".parse().unwrap()],
        cause: "crashed 5 times in 30 s: no such file".into(),
        n_restarts: 5,
        ..instance("printer", "Printer", InstanceState::Failed)
    };
    let channel = ChannelStatus {
        name: "ticks".parse().unwrap(),
        type_ref: Some(type_ref("Broadcast", "1.0.0")),
        state: InstanceState::Started,
        cause: String::new(),
        n_in: 1,
        n_out: 1,
        counters: Counters { received: 7, sent: 7, per_s: 1.0, ..Counters::default() },
        p99_us: Some(900),
    };
    Status {
        group: "sync".parse().unwrap(),
        group_type: Some(type_ref("Gossip", "1.0.0")),
        convergence: Convergence {
            n_converged: 1,
            n_nodes: 3,
            waiting: vec!["node2: printer failed".into(), "node3 is absent".into()],
            elapsed_ms: None,
        },
        nodes: vec![
            on("node1", NodeState::Ready, vec![ticker]),
            on("node2", NodeState::Partial, vec![printer]),
            NodeStatus {
                rtt_us: None,
                load: None,
                up_ms: None,
                version: None,
                revision: None,
                ..on("node3", NodeState::Absent, Vec::new())
            },
        ],
        channels: vec![channel],
        revision,
    }
}
