//! The boot: what a node adds to the model when it starts, so that the group knows it and its types.

use std::sync::Arc;

use crate::{
    logic::script,
    model::{Edit, Instance, Model, Node, library::Library},
    runtime::instance::Catalog,
    words::{AttributeName, GroupName, InstancePath, NodeName, TypeRef},
};

/// What a node brings to the model when it starts for the first time.
#[derive(Clone, Debug, Default)]
pub enum Boot {
    /// The node, and the default group with it attached.
    #[default]
    Default,
    /// A script; `file` is what people call it.
    Script {
        /// The text.
        text: String,
        /// Its name, for diagnostics.
        file: String,
    },
    /// A whole model, laid over the one that is there.
    Model(Model),
}

/// Why a boot does not work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BootError {
    /// The script is wrong; nothing was changed.
    #[error("the boot script {file} is wrong: {}{}", .diagnostics.first().map_or("", |first| first.message.as_str()), more(.diagnostics))]
    Script {
        /// What people call it.
        file: String,
        /// The text, to show the places in.
        text: String,
        /// All that is wrong.
        diagnostics: Vec<script::Diagnostic>,
    },
    /// It does not name this node, so the node would have nothing to do.
    #[error("the boot {what} does not add this node: expected a node named \"{node}\"")]
    NotNamed {
        /// Script or model.
        what: &'static str,
        /// This node.
        node: NodeName,
    },
    /// The edits do not fit the model.
    #[error("the boot does not fit the model: {0}")]
    Edit(String),
}

/// How many diagnostics there are beside the first, in words.
fn more(diagnostics: &[script::Diagnostic]) -> String {
    match diagnostics.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    }
}

/// Names that a boot needs.
pub(super) struct Names<'a> {
    /// This node.
    pub(super) node: &'a NodeName,
    /// The default group.
    pub(super) group: &'a GroupName,
    /// The type of nodes.
    pub(super) node_type: &'a TypeRef,
    /// The type of the default group.
    pub(super) group_type: &'a TypeRef,
}

/// The model with this node in it. A model that names the node and attaches it to a group already stays as it is but for the
/// types: the node takes up the part that it has.
///
/// # Errors
/// See [`BootError`]; the model is untouched.
pub(super) fn boot(
    model: &Model,
    boot: &Boot,
    names: &Names<'_>,
    catalog: &Catalog,
    salt: u64,
) -> Result<Model, BootError> {
    let mut wanted = model.clone();
    let edits = types(&wanted, catalog);
    apply(&mut wanted, &edits)?;
    let has_part = wanted.nodes.get(names.node).is_some_and(|node| !node.groups.is_empty());
    if has_part {
        return Ok(wanted);
    }
    match boot {
        Boot::Default => {
            let edits = default_edits(&wanted, names);
            apply(&mut wanted, &edits)?;
        }
        Boot::Script { text, file } => {
            let edits = evaluate(&wanted, text, file, names, salt)?;
            apply(&mut wanted, &edits)?;
        }
        Boot::Model(over) => lay_over(&mut wanted, over),
    }
    let what = if matches!(boot, Boot::Model(_)) { "model" } else { "script" };
    if !wanted.nodes.contains_key(names.node) {
        return Err(BootError::NotNamed { what, node: names.node.clone() });
    }
    Ok(wanted)
}

fn apply(model: &mut Model, edits: &[Edit]) -> Result<(), BootError> {
    model.apply(edits).map_err(|error| BootError::Edit(error.to_string()))
}

/// The types that this binary brings and the model lacks, or knows otherwise.
fn types(model: &Model, catalog: &Catalog) -> Vec<Edit> {
    let mut edits = Vec::new();
    for bundle in catalog.iter() {
        if model.units.get(&bundle.unit.id).is_none_or(|unit| **unit != *bundle.unit) {
            edits.push(Edit::AddUnit(bundle.unit.clone()));
        }
        if model.types.get(&bundle.definition.id).is_none_or(|known| **known != *bundle.definition) {
            edits.push(Edit::AddType(bundle.definition.clone()));
        }
    }
    edits
}

fn default_edits(model: &Model, names: &Names<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    if !model.nodes.contains_key(names.node) {
        let instance = instance_of(model, names.node_type);
        edits.push(Edit::AddNode { name: names.node.clone(), instance, host: None });
    }
    if !model.groups.contains_key(names.group) {
        let path = InstancePath::Group(names.group.clone());
        edits.push(Edit::AddInstance { path, instance: instance_of(model, names.group_type) });
    }
    edits.push(Edit::Attach { node: names.node.clone(), group: names.group.clone() });
    edits
}

/// A started instance of a type with the defaults of its attributes.
fn instance_of(model: &Model, type_ref: &TypeRef) -> Instance {
    let mut instance = Instance::of(type_ref.clone());
    let definition = model.types.get(type_ref);
    let defaults = definition.iter().flat_map(|definition| definition.attributes.iter().flatten());
    let dictionary = instance.dictionary.get_or_insert_default();
    for attribute in defaults.filter(|attribute| !attribute.fragment) {
        if let Some(default) = &attribute.default {
            dictionary.set(attribute.name.clone(), default.clone());
        }
    }
    instance
}

/// The context variables that every boot script has: `%node%` and `%group%`.
fn variables(names: &Names<'_>) -> script::Variables {
    let given = [("node", names.node.as_str()), ("group", names.group.as_str())];
    let mut variables = script::Variables::new();
    for (name, value) in given {
        variables.set(name, value);
    }
    variables
}

fn evaluate(model: &Model, text: &str, file: &str, names: &Names<'_>, salt: u64) -> Result<Vec<Edit>, BootError> {
    let wrong = |diagnostics| BootError::Script { file: file.to_owned(), text: text.to_owned(), diagnostics };
    let (parsed, diagnostics) = script::parse(text);
    if diagnostics.iter().any(script::Diagnostic::is_error) {
        return Err(wrong(diagnostics));
    }
    let mut variables = variables(names);
    let evaluation = script::evaluate(&parsed, model, &Library::of(model), &mut variables, salt);
    evaluation.map(|evaluation| evaluation.edits).map_err(wrong)
}

/// Lays a model over another: what it has is added, or takes the place of what has its name.
fn lay_over(model: &mut Model, over: &Model) {
    let over = over.clone();
    model.types = over.types.union(model.types.clone());
    model.units = over.units.union(model.units.clone());
    model.channels = over.channels.union(model.channels.clone());
    model.groups = over.groups.union(model.groups.clone());
    model.scopes = over.scopes.union(model.scopes.clone());
    model.repositories = over.repositories.union(model.repositories.clone());
    model.nodes = over.nodes.union(model.nodes.clone());
    let both: Vec<_> = over.bindings.iter().cloned().collect();
    for binding in both {
        model.bindings.insert(binding);
    }
    *model = std::mem::take(model).indexed();
}

/// Says in the model where this node can be reached: `network NODE.KEY`.
pub(super) fn network(model: &Model, node: &NodeName, interface: &str, key: &str, value: &str) -> Option<Edit> {
    let known =
        |node: &Node| node.networks.get(interface).and_then(|keys| keys.get(key)).is_some_and(|old| **old == *value);
    let found = model.nodes.get(node)?;
    let edit = || Edit::SetNetwork {
        node: node.clone(),
        interface: Arc::from(interface),
        key: Arc::from(key),
        value: Some(Arc::from(value)),
    };
    (!known(found)).then(edit)
}

/// The attribute of a hosted node that says how it is isolated: `thread` (the default) or `process`.
pub(super) fn isolation() -> AttributeName {
    AttributeName::parse("isolation").expect("a valid name")
}
