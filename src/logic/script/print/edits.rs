//! Edits as the statements that make them.

use std::{collections::HashMap, sync::Arc};

use super::{added_path, address_text, key_text, quote, type_text};
use crate::{
    model::{Edit, Instance, Model, TypeDefinition},
    words::{InstancePath, TypeRef},
};

/// The statements that make these edits of `model`. Types and units are left out: a script names types, it does not bring
/// them.
pub fn print_edits(edits: &[Edit], model: &Model) -> String {
    let mut out = EditPrinter { model, brought: HashMap::new(), text: String::new() };
    for edit in edits {
        out.edit(edit);
    }
    out.text
}

struct EditPrinter<'a> {
    model: &'a Model,
    /// Types that the edits bring.
    brought: HashMap<TypeRef, Arc<TypeDefinition>>,
    text: String,
}

impl EditPrinter<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn edit(&mut self, edit: &Edit) {
        let on = |fragment: &Option<crate::words::NodeName>| {
            fragment.iter().map(|node| format!("/{node}")).collect::<String>()
        };
        match edit {
            Edit::AddNode { name, instance, host } => {
                let path = InstancePath::Node(name.clone());
                self.add(&added_path(&path, host.as_ref()), name.as_str(), instance);
            }
            Edit::AddComponent { node, name, instance, .. } => {
                let path = format!("{node}.{name}");
                self.add(&path, &path, instance);
            }
            Edit::AddInstance { path, instance } => self.add(&path.to_string(), &path.to_string(), instance),
            Edit::Remove { path } => self.line(&format!("remove {path}")),
            Edit::MoveComponent { node, name, to } => self.line(&format!("move {node}.{name} {to}")),
            Edit::Host { node, host: Some(host) } => self.line(&format!("host {node} {host}")),
            Edit::Host { node, host: None } => self.line(&format!("unhost {node}")),
            Edit::Retype { path, type_ref, .. } => {
                let spec = self.spec(type_ref);
                self.line(&format!("upgrade {path} : {spec}"));
            }
            Edit::Attach { node, group } => self.line(&format!("attach {node} {group}")),
            Edit::Detach { node, group } => self.line(&format!("detach {node} {group}")),
            Edit::Set { path, fragment, attribute, value } => {
                self.line(&format!("set {path}.{attribute}{} = {}", on(fragment), quote(value)));
            }
            Edit::Unset { path, fragment, attribute } => {
                self.line(&format!("unset {path}.{attribute}{}", on(fragment)))
            }
            Edit::SetStarted { path, started: true } => self.line(&format!("start {path}")),
            Edit::SetStarted { path, started: false } => self.line(&format!("stop {path}")),
            Edit::Bind(binding) => self.line(&format!("bind {} {}", binding.port, binding.channel)),
            Edit::Unbind(binding) => self.line(&format!("unbind {} {}", binding.port, binding.channel)),
            Edit::SetNetwork { node, interface, key, value } => {
                let path = format!("{node}.{}.{}", key_text(interface), key_text(key));
                self.line(&match value {
                    Some(value) => format!("network {path} {}", address_text(value)),
                    None => format!("unnetwork {path}"),
                });
            }
            Edit::SetProperty { node, property, value: Some(value) } => {
                self.line(&format!("property {node}.{property} {}", quote(value)));
            }
            Edit::SetProperty { node, property, value: None } => self.line(&format!("unproperty {node}.{property}")),
            Edit::SetMetadata { path, key, value: Some(value) } => {
                self.line(&format!("meta {path}.{} {}", key_text(key), quote(value)));
            }
            Edit::SetMetadata { path, key, value: None } => self.line(&format!("unmeta {path}.{}", key_text(key))),
            Edit::AddType(definition) => {
                self.brought.insert(definition.id.clone(), definition.clone());
            }
            Edit::RemoveType(_) | Edit::AddUnit(_) | Edit::RemoveUnit(_) | Edit::SetRepository { .. } => {}
            Edit::AddScope(scope) => self.line(&format!("scope {scope}")),
            Edit::RemoveScope(scope) => self.line(&format!("unscope {scope}")),
            Edit::Enter { node, scope } => self.line(&format!("enter {node} {scope}")),
            Edit::Leave { node, scope } => self.line(&format!("leave {node} {scope}")),
        }
    }

    /// The statement that adds an instance, and its values where they are not the defaults.
    fn add(&mut self, added: &str, path: &str, instance: &Instance) {
        let Some(id) = &instance.type_ref else { return };
        let spec = self.spec(id);
        self.line(&format!("add {added} : {spec}"));
        let brought = self.brought.get(id).cloned();
        let known = self.model.types.get(id);
        let default = |name: &str| {
            let definition = brought.as_deref().or(known.map(|known| &**known))?;
            definition.attribute(name)?.default.as_deref()
        };
        let values = instance.dictionary.iter().flat_map(|dictionary| dictionary.iter());
        let lines: Vec<String> = values
            .filter(|(name, value)| default(name.as_str()) != Some(&***value))
            .map(|(name, value)| format!("set {path}.{name} = {}", quote(value)))
            .collect();
        lines.iter().for_each(|line| self.line(line));
        if !instance.started {
            self.line(&format!("stop {path}"));
        }
    }

    fn spec(&self, id: &TypeRef) -> String {
        // What the edits bring may hide what the model has: then the namespace is needed.
        let hidden = self.brought.keys().any(|other| other.name == id.name && other.namespace != id.namespace);
        if hidden { id.to_string() } else { type_text(self.model, id) }
    }
}
