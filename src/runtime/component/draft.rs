//! The model from inside a component: look at it, draft a change, submit it.
//!
//! `ctx.local_model()?.node("neighbour")?.add("WebServer")?.set("port", 8080)?.sync().await?`
//!
//! Each step is checked at once against the model as it was when the draft began. Nothing happens before `sync`.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    io::clock,
    model::{Binding, Dictionary, Edit, EditError, Instance, Kind, Model, TypeDefinition},
    runtime::instance::{ModelService, SubmitError},
    words::{AttributeName, ChannelName, ComponentName, InstancePath, InvalidName, Name, NodeName, PortName, PortPath},
};

/// How long [`LocalModel::sync`] waits for the group: longer than a group takes to notice that a member is gone.
pub const SYNC_LIMIT: Duration = Duration::from_secs(30);

/// Why a draft cannot go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DraftError {
    /// There is no such thing in the model.
    #[error("there is no {kind} \"{name}\" (there are: {known})")]
    Unknown {
        /// `node`, `component`, `channel`, `type`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The type has no such attribute, or the value does not fit it.
    #[error("cannot set \"{attribute}\" of {path}: {reason}")]
    Value {
        /// The instance.
        path: InstancePath,
        /// The attribute.
        attribute: String,
        /// What was there and what would have worked.
        reason: String,
    },
    /// The model does not take the edit.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The group did not take the change.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// The model as the node wants to run it, and a draft of changes to it.
pub struct LocalModel {
    service: Arc<dyn ModelService>,
    from: InstancePath,
    base: Model,
    now: Model,
    edits: Vec<Edit>,
}

impl LocalModel {
    pub(super) fn new(service: Arc<dyn ModelService>, from: InstancePath) -> LocalModel {
        let base = service.model();
        LocalModel { service, from, now: base.clone(), base, edits: Vec::new() }
    }

    /// The model with the draft in it.
    pub fn model(&self) -> &Model {
        &self.now
    }

    /// The edits so far.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// Goes on with a node.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn node(self, name: &str) -> Result<NodeDraft, DraftError> {
        let node = self.now.nodes.keys().find(|node| node.as_str() == name).cloned();
        match node {
            Some(node) => Ok(NodeDraft { draft: self, node }),
            None => Err(unknown("node", name, self.now.nodes.keys())),
        }
    }

    /// Goes on with a channel.
    ///
    /// # Errors
    /// When there is no such channel.
    pub fn channel(self, name: &str) -> Result<InstanceDraft, DraftError> {
        let channel = self.now.channels.keys().find(|channel| channel.as_str() == name).cloned();
        match channel {
            Some(channel) => Ok(InstanceDraft { draft: self, path: InstancePath::Channel(channel) }),
            None => Err(unknown("channel", name, self.now.channels.keys())),
        }
    }

    /// Adds a channel of a type, and goes on with it.
    ///
    /// # Errors
    /// When there is no such type, or the name is taken.
    pub fn add_channel(mut self, name: &str, type_name: &str) -> Result<InstanceDraft, DraftError> {
        let path = InstancePath::Channel(ChannelName::parse(name)?);
        let (_, instance) = self.instance_of(Kind::Channel, type_name)?;
        self.edit(Edit::AddInstance { path: path.clone(), instance })?;
        Ok(InstanceDraft { draft: self, path })
    }

    /// Adds any edit to the draft.
    ///
    /// # Errors
    /// When the model does not take it.
    pub fn edit(&mut self, edit: Edit) -> Result<(), DraftError> {
        self.now.apply(std::slice::from_ref(&edit))?;
        self.edits.push(edit);
        Ok(())
    }

    /// Submits the draft, all or nothing, and waits until the group has accepted it, [`SYNC_LIMIT`] at most. Not until it is
    /// deployed: the component that asks may be part of what has to change.
    ///
    /// # Errors
    /// When the model no longer takes the change, or the group does not answer.
    pub async fn sync(self) -> Result<(), DraftError> {
        self.submit(false).await
    }

    /// [`LocalModel::sync`], but only if the model is still the one that the draft began with (compare and swap).
    ///
    /// # Errors
    /// [`SubmitError::Conflict`] when it is not.
    pub async fn sync_unchanged(self) -> Result<(), DraftError> {
        self.submit(true).await
    }

    /// Submits a script instead of the draft; answered as [`LocalModel::sync`] is.
    ///
    /// # Errors
    /// What the script says, or that the group does not answer.
    pub async fn run_script(self, script: &str) -> Result<(), DraftError> {
        answered(self.service.submit_script(self.from, script.to_owned())).await
    }

    async fn submit(self, unchanged: bool) -> Result<(), DraftError> {
        if self.edits.is_empty() {
            return Ok(());
        }
        let base = unchanged.then_some(self.base);
        answered(self.service.submit(self.from, self.edits, base)).await
    }

    /// An instance of a type with the type's defaults; the type is added to the model if it is not in it.
    fn instance_of(&mut self, kind: Kind, wanted: &str) -> Result<(Arc<TypeDefinition>, Instance), DraftError> {
        let (name, version) = match wanted.split_once('/') {
            Some((name, version)) => (name, Some(version)),
            None => (wanted, None),
        };
        let Some((definition, units)) = self.service.find_type(kind, name, version) else {
            let known = self.now.types.values().filter(|known| known.kind == kind).map(|known| &known.id);
            return Err(unknown("type", wanted, known));
        };
        if !self.now.types.contains_key(&definition.id) {
            for unit in units {
                self.edit(Edit::AddUnit(unit))?;
            }
            self.edit(Edit::AddType(definition.clone()))?;
        }
        let attributes = definition.attributes.iter().flatten();
        let defaults = attributes
            .filter(|attribute| !attribute.fragment)
            .filter_map(|attribute| Some((attribute.name.clone(), attribute.default.clone()?)));
        let mut instance = Instance::of(definition.id.clone());
        instance.dictionary = Some(defaults.collect::<Dictionary>());
        Ok((definition, instance))
    }
}

impl fmt::Debug for LocalModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalModel(for {}, {} edits)", self.from, self.edits.len())
    }
}

/// A draft that is at a node.
#[derive(Debug)]
pub struct NodeDraft {
    draft: LocalModel,
    node: NodeName,
}

impl NodeDraft {
    /// Adds a component of a type (`WebServer`, `WebServer/2.0.0`), and goes on with it. Its name is the type's in lower case,
    /// with a number when that is taken.
    ///
    /// # Errors
    /// When there is no such type.
    #[allow(clippy::should_implement_trait, reason = "the word that scripts use")]
    pub fn add(self, type_name: &str) -> Result<InstanceDraft, DraftError> {
        let stem = type_name.split('/').next().unwrap_or(type_name).to_ascii_lowercase();
        let components = &self.draft.now.nodes[&self.node].components;
        let is_free = |name: &str| !components.keys().any(|taken| taken.as_str() == name);
        let numbered = (2_u32..).map(|n| format!("{stem}{n}"));
        let name = std::iter::once(stem.clone()).chain(numbered).find(|name| is_free(name)).unwrap_or(stem);
        self.add_named(&name, type_name)
    }

    /// Adds a component of a name and a type, and goes on with it.
    ///
    /// # Errors
    /// When there is no such type, or the name is taken.
    pub fn add_named(mut self, name: &str, type_name: &str) -> Result<InstanceDraft, DraftError> {
        let name = ComponentName::parse(name)?;
        let (definition, instance) = self.draft.instance_of(Kind::Component, type_name)?;
        let id = self.draft.now.fresh_id(clock::now().micros(), &self.node, &name);
        let path = InstancePath::Component(self.node.clone(), name.clone());
        let ports = |ports: &[crate::model::PortDefinition]| ports.iter().map(|port| port.name.clone()).collect();
        let (provided, required) = (ports(&definition.provided), ports(&definition.required));
        self.draft.edit(Edit::AddComponent { node: self.node, name, id, instance, provided, required })?;
        Ok(InstanceDraft { draft: self.draft, path })
    }

    /// Goes on with a component that is there.
    ///
    /// # Errors
    /// When there is no such component.
    pub fn component(self, name: &str) -> Result<InstanceDraft, DraftError> {
        let components = &self.draft.now.nodes[&self.node].components;
        match components.keys().find(|known| known.as_str() == name).cloned() {
            Some(name) => {
                let path = InstancePath::Component(self.node, name);
                Ok(InstanceDraft { draft: self.draft, path })
            }
            None => Err(unknown("component", name, components.keys())),
        }
    }

    /// Back to the model.
    pub fn back(self) -> LocalModel {
        self.draft
    }
}

/// A draft that is at an instance.
#[derive(Debug)]
pub struct InstanceDraft {
    draft: LocalModel,
    path: InstancePath,
}

impl InstanceDraft {
    /// The address of the instance.
    pub fn path(&self) -> &InstancePath {
        &self.path
    }

    /// Sets an attribute.
    ///
    /// # Errors
    /// When the type has no such attribute, or the value does not fit.
    pub fn set(mut self, attribute: &str, value: impl ToString) -> Result<InstanceDraft, DraftError> {
        let value = value.to_string();
        self.check(attribute, &value).map_err(|reason| DraftError::Value {
            path: self.path.clone(),
            attribute: attribute.to_owned(),
            reason,
        })?;
        let attribute = AttributeName::parse(attribute)?;
        let path = self.path.clone();
        self.draft.edit(Edit::Set { path, fragment: None, attribute, value: value.into() })?;
        Ok(self)
    }

    fn check(&self, attribute: &str, value: &str) -> Result<(), String> {
        let definition = self.draft.now.instance(&self.path).and_then(|instance| self.draft.now.definition(instance));
        // Without a definition nothing can be said here; the group's check will.
        let Some(definition) = definition else { return Ok(()) };
        match definition.attribute(attribute) {
            Some(known) => known.accepts(value).map_err(|unfit| unfit.to_string()),
            None => {
                let known = definition.attributes.iter().flatten().map(|known| known.name.as_str());
                Err(format!("the type has no such attribute (it has: {})", join(known)))
            }
        }
    }

    /// Binds a port of the component to a channel.
    ///
    /// # Errors
    /// When the component has no such port, or there is no such channel.
    pub fn bind(mut self, port: &str, channel: &str) -> Result<InstanceDraft, DraftError> {
        let binding = self.binding(port, channel)?;
        self.draft.edit(Edit::Bind(binding))?;
        Ok(self)
    }

    /// Takes a port of the component off a channel.
    ///
    /// # Errors
    /// When it is not bound to it.
    pub fn unbind(mut self, port: &str, channel: &str) -> Result<InstanceDraft, DraftError> {
        let binding = self.binding(port, channel)?;
        self.draft.edit(Edit::Unbind(binding))?;
        Ok(self)
    }

    fn binding(&self, port: &str, channel: &str) -> Result<Binding, DraftError> {
        let InstancePath::Component(node, component) = &self.path else {
            return Err(unknown("component", &self.path.to_string(), std::iter::empty::<Name>()));
        };
        let port = PortPath { node: node.clone(), component: component.clone(), port: PortName::parse(port)? };
        Ok(Binding { port, channel: ChannelName::parse(channel)? })
    }

    /// Says whether the instance is wanted running.
    ///
    /// # Errors
    /// When the model does not take it.
    pub fn started(mut self, started: bool) -> Result<InstanceDraft, DraftError> {
        self.draft.edit(Edit::SetStarted { path: self.path.clone(), started })?;
        Ok(self)
    }

    /// Removes the instance, and goes on with the model.
    ///
    /// # Errors
    /// When the model does not take it.
    pub fn remove(mut self) -> Result<LocalModel, DraftError> {
        self.draft.edit(Edit::Remove { path: self.path })?;
        Ok(self.draft)
    }

    /// Moves the component to another node.
    ///
    /// # Errors
    /// When there is no such node, or it has a component of that name.
    pub fn move_to(mut self, to: &str) -> Result<InstanceDraft, DraftError> {
        let InstancePath::Component(node, name) = self.path else {
            return Err(unknown("component", &self.path.to_string(), std::iter::empty::<Name>()));
        };
        let to = NodeName::parse(to)?;
        let path = InstancePath::Component(to.clone(), name.clone());
        self.draft.edit(Edit::MoveComponent { node, name, to })?;
        Ok(InstanceDraft { draft: self.draft, path })
    }

    /// Back to the model.
    pub fn back(self) -> LocalModel {
        self.draft
    }

    /// Submits the draft; see [`LocalModel::sync`].
    ///
    /// # Errors
    /// See [`LocalModel::sync`].
    pub async fn sync(self) -> Result<(), DraftError> {
        self.draft.sync().await
    }
}

async fn answered(answer: impl Future<Output = Result<(), SubmitError>>) -> Result<(), DraftError> {
    match timeout(SYNC_LIMIT, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(SubmitError::Unanswered(format!("no answer within {SYNC_LIMIT:?}")).into()),
    }
}

fn unknown<N: fmt::Display>(kind: &'static str, name: &str, known: impl Iterator<Item = N>) -> DraftError {
    DraftError::Unknown { kind, name: name.to_owned(), known: join(known) }
}

fn join<N: fmt::Display>(names: impl Iterator<Item = N>) -> String {
    let names: Vec<_> = names.map(|name| name.to_string()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::BoxFuture;

    use super::*;
    use crate::{
        model::{Attribute, DataType, DeployUnit, Node},
        runtime::instance::catalog::unit_of_crate,
        words::TypeRef,
    };

    /// A group of one: a change is the model at once.
    struct Alone(Arc<Mutex<Model>>);

    fn web_server() -> (Arc<TypeDefinition>, Vec<Arc<DeployUnit>>) {
        let id = TypeRef::new("enact", "WebServer", "1.0.0").unwrap();
        let unit = unit_of_crate(&id, "web", "0.3.0");
        let port = Attribute {
            name: AttributeName::parse("port").unwrap(),
            datatype: DataType::Int,
            optional: false,
            state: false,
            fragment: false,
            default: Some("80".into()),
            min: Some("0".into()),
            max: Some("65535".into()),
            one_of: Vec::new(),
            secret: false,
            doc: "".into(),
        };
        let definition = TypeDefinition {
            id,
            kind: Kind::Component,
            is_abstract: false,
            units: vec![unit.id.clone()],
            super_types: Vec::new(),
            attributes: Some(vec![port]),
            provided: Vec::new(),
            required: Vec::new(),
            metadata: imbl::OrdMap::new(),
        };
        (Arc::new(definition), vec![Arc::new(unit)])
    }

    impl ModelService for Alone {
        fn model(&self) -> Model {
            self.0.lock().unwrap().clone()
        }

        fn find_type(
            &self,
            _: Kind,
            name: &str,
            _: Option<&str>,
        ) -> Option<(Arc<TypeDefinition>, Vec<Arc<DeployUnit>>)> {
            (name == "WebServer").then(web_server)
        }

        fn submit(
            &self,
            _: InstancePath,
            edits: Vec<Edit>,
            base: Option<Model>,
        ) -> BoxFuture<'static, Result<(), SubmitError>> {
            let model = self.0.clone();
            Box::pin(async move {
                let mut model = model.lock().unwrap();
                if base.is_some_and(|base| base != *model) {
                    return Err(SubmitError::Conflict { now: "2".into() });
                }
                model.apply(&edits).map_err(|error| SubmitError::Rejected(error.to_string()))
            })
        }

        fn submit_script(&self, _: InstancePath, script: String) -> BoxFuture<'static, Result<(), SubmitError>> {
            Box::pin(async move { Err(SubmitError::Rejected(script)) })
        }
    }

    fn local_model() -> (LocalModel, Arc<Mutex<Model>>) {
        let mut model = Model::default();
        let node = Edit::AddNode { name: "neighbour".parse().unwrap(), instance: Node::default().instance, host: None };
        model.apply(&[node]).unwrap();
        let model = Arc::new(Mutex::new(model));
        let from = InstancePath::Component("here".parse().unwrap(), "me".parse().unwrap());
        (LocalModel::new(Arc::new(Alone(model.clone())), from), model)
    }

    #[actix_rt::test]
    async fn a_neighbour_gets_a_web_server_in_one_line() {
        let (local, model) = local_model();
        local.node("neighbour").unwrap().add("WebServer").unwrap().set("port", 8080).unwrap().sync().await.unwrap();
        let model = model.lock().unwrap().clone();
        let web = model.component(&"neighbour".parse().unwrap(), &"webserver".parse().unwrap()).unwrap();
        assert_eq!(web.instance.get("port"), Some("8080"));
        assert!(web.instance.started && model.definition(&web.instance).is_some() && model.units.len() == 1);
    }

    #[actix_rt::test]
    async fn every_step_says_what_would_have_worked() {
        let (local, _) = local_model();
        let told = |error: DraftError| error.to_string();
        assert_eq!(told(local.node("nieghbour").unwrap_err()), "there is no node \"nieghbour\" (there are: neighbour)");
        let (local, _) = local_model();
        let node = local.node("neighbour").unwrap();
        assert_eq!(told(node.add("Webserver").unwrap_err()), "there is no type \"Webserver\" (there are: none)");
        let (local, _) = local_model();
        let web = local.node("neighbour").unwrap().add("WebServer").unwrap().back().node("neighbour").unwrap();
        let second = web.add("WebServer/1.0.0").unwrap();
        assert_eq!(second.path().to_string(), "neighbour.webserver2");
        assert!(told(second.set("prot", 1).unwrap_err()).contains("no such attribute (it has: port)"));
        let (local, _) = local_model();
        let web = local.node("neighbour").unwrap().add("WebServer").unwrap();
        assert!(told(web.set("port", 70_000).unwrap_err()).starts_with("cannot set \"port\" of neighbour.webserver: "));
    }

    #[actix_rt::test]
    async fn a_draft_of_an_old_model_can_insist_on_it() {
        let (local, model) = local_model();
        let draft = local.node("neighbour").unwrap().add("WebServer").unwrap().back();
        model.lock().unwrap().apply(&[Edit::AddScope("s".parse().unwrap())]).unwrap();
        let conflict = DraftError::Submit(SubmitError::Conflict { now: "2".into() });
        assert_eq!(draft.sync_unchanged().await, Err(conflict));
        let (local, _) = local_model();
        assert!(local.run_script("add x : Y").await.is_err());
    }
}
