//! From the document to the model and back.

use std::{collections::BTreeMap, sync::Arc};

use imbl::OrdMap;

use super::{
    AttributeDocument, BindingDocument, ComponentDocument, Document, InstanceDocument, NodeDocument, PortDocument,
    ScopeDocument, Texts, TypeDocument, UnitDocument, UnitName, Values,
};
use crate::{
    model::{
        Attribute, Binding, Bindings, Channel, Component, ComponentId, DeployUnit, Dictionary, Group, Instance, Model,
        Node, PortDefinition, Scope, Shared, TypeDefinition,
        json::{
            API_VERSION, Error, KIND,
            text::{Hex, Text},
        },
    },
    words::{ComponentName, InstancePath, NodeName, UnitRef},
};

impl Document {
    pub(in crate::model::json) fn of(model: &Model) -> Document {
        Document {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            nodes: model.nodes.iter().map(|(name, node)| (Text(name.clone()), NodeDocument::of(node))).collect(),
            channels: (model.channels.iter())
                .map(|(name, channel)| (Text(name.clone()), InstanceDocument::of(&channel.instance)))
                .collect(),
            groups: (model.groups.iter())
                .map(|(name, group)| (Text(name.clone()), InstanceDocument::of(&group.instance)))
                .collect(),
            bindings: (model.bindings.iter())
                .map(|Binding { port, channel }| BindingDocument {
                    port: Text(port.clone()),
                    channel: Text(channel.clone()),
                })
                .collect(),
            scopes: (model.scopes.iter())
                .map(|(name, scope)| {
                    let members = scope.members.iter().cloned().map(Text).collect();
                    (Text(name.clone()), ScopeDocument { members })
                })
                .collect(),
            types: model.types.values().map(|definition| TypeDocument::of(definition)).collect(),
            units: model.units.values().map(|unit| UnitDocument::of(unit)).collect(),
            repositories: model.repositories.iter().map(|url| url.to_string()).collect(),
        }
    }

    pub(in crate::model::json) fn into_model(self) -> Result<Model, Error> {
        let mut model = Model::default();
        for (Text(name), node) in self.nodes {
            let node = node.into_node(&name)?;
            model.nodes.insert(name, node.into());
        }
        for (Text(name), channel) in self.channels {
            model.channels.insert(name, Channel { instance: channel.into_instance() }.into());
        }
        for (Text(name), group) in self.groups {
            model.groups.insert(name, Group { instance: group.into_instance() }.into());
        }
        for (Text(name), scope) in self.scopes {
            let members = scope.members.into_iter().map(|Text(member)| member).collect();
            model.scopes.insert(name, Scope { members }.into());
        }
        for document in self.types {
            let definition = document.into_definition();
            if let Some(twice) = model.types.insert(definition.id.clone(), definition.into()) {
                return Err(Error::Twice { what: "type", name: twice.id.to_string() });
            }
        }
        for document in self.units {
            let unit = document.into_unit();
            if let Some(twice) = model.units.insert(unit.id.clone(), unit.into()) {
                let name = format!("{}/{}", twice.id.name, twice.id.version);
                return Err(Error::Twice { what: "deploy unit", name });
            }
        }
        model.repositories = self.repositories.into_iter().map(Arc::from).collect();
        model.bindings = into_bindings(self.bindings, &model)?;
        let model = model.indexed();
        match model.identity_used_twice() {
            None => Ok(model),
            Some((path, id)) => Err(Error::IdentityTwice { path, id: id.to_string() }),
        }
    }
}

/// A binding belongs to a component: without it there is nothing to say about it.
fn into_bindings(documents: Vec<BindingDocument>, model: &Model) -> Result<Bindings, Error> {
    let bindings =
        documents.into_iter().map(|BindingDocument { port: Text(port), channel: Text(channel) }| {
            match model.component(&port.node, &port.component) {
                Some(_) => Ok(Binding { port, channel }),
                None => {
                    let component = InstancePath::Component(port.node.clone(), port.component.clone());
                    Err(Error::NoComponent { port: port.to_string(), component })
                }
            }
        });
    bindings.collect()
}

impl InstanceDocument {
    fn of(instance: &Instance) -> InstanceDocument {
        let fragments = instance.fragments.iter();
        InstanceDocument {
            type_ref: instance.type_ref.clone().map(Text),
            started: instance.started,
            dictionary: instance.dictionary.as_ref().map(values),
            fragments: fragments.map(|(node, dictionary)| (Text(node.clone()), values(dictionary))).collect(),
            metadata: texts(&instance.metadata),
        }
    }

    fn into_instance(self) -> Instance {
        let fragments = self.fragments.into_iter();
        Instance {
            type_ref: self.type_ref.map(|Text(id)| id),
            started: self.started,
            dictionary: self.dictionary.map(into_dictionary),
            fragments: fragments.map(|(Text(node), values)| (node, into_dictionary(values))).collect(),
            metadata: into_texts(self.metadata),
        }
    }
}

impl NodeDocument {
    fn of(node: &Node) -> NodeDocument {
        let InstanceDocument { type_ref, started, dictionary, fragments, metadata } =
            InstanceDocument::of(&node.instance);
        let properties = node.properties.iter();
        let components = node.components.iter();
        NodeDocument {
            type_ref,
            host: node.host.clone().map(Text),
            groups: node.groups.iter().cloned().map(Text).collect(),
            networks: node.networks.iter().map(|(interface, values)| (interface.to_string(), texts(values))).collect(),
            properties: properties.map(|(name, value)| (Text(name.clone()), value.to_string())).collect(),
            components: components.map(|(name, c)| (Text(name.clone()), ComponentDocument::of(c))).collect(),
            started,
            dictionary,
            fragments,
            metadata,
        }
    }

    fn into_node(self, name: &NodeName) -> Result<Node, Error> {
        let NodeDocument { type_ref, started, dictionary, fragments, metadata, .. } = self;
        let instance = InstanceDocument { type_ref, started, dictionary, fragments, metadata }.into_instance();
        let components = self.components.into_iter().map(|(Text(component), document)| {
            let found = document.into_component(name, &component)?;
            Ok((component, Shared::new(found)))
        });
        Ok(Node {
            instance,
            components: components.collect::<Result<_, Error>>()?,
            host: self.host.map(|Text(host)| host),
            groups: self.groups.into_iter().map(|Text(group)| group).collect(),
            networks: (self.networks.into_iter())
                .filter(|(_, values)| !values.is_empty())
                .map(|(interface, values)| (Arc::from(interface), into_texts(values)))
                .collect(),
            properties: self.properties.into_iter().map(|(Text(name), value)| (name, Arc::from(value))).collect(),
        })
    }
}

impl ComponentDocument {
    fn of(component: &Component) -> ComponentDocument {
        let InstanceDocument { type_ref, started, dictionary, fragments, metadata } =
            InstanceDocument::of(&component.instance);
        ComponentDocument {
            type_ref,
            id: Some(Text(Hex(component.id.0))),
            provided: component.provided.iter().cloned().map(Text).collect(),
            required: component.required.iter().cloned().map(Text).collect(),
            started,
            dictionary,
            fragments,
            metadata,
        }
    }

    fn into_component(self, node: &NodeName, name: &ComponentName) -> Result<Component, Error> {
        let ComponentDocument { type_ref, started, dictionary, fragments, metadata, .. } = self;
        let path = InstancePath::Component(node.clone(), name.clone());
        let id = self.id.map_or_else(|| ComponentId::born(0, &path, 0), |Text(Hex(id))| ComponentId(id));
        if let Some(Text(port)) = self.provided.iter().find(|port| self.required.contains(port)) {
            return Err(Error::PortTwice { path, port: port.to_string() });
        }
        Ok(Component {
            id,
            instance: InstanceDocument { type_ref, started, dictionary, fragments, metadata }.into_instance(),
            provided: self.provided.into_iter().map(|Text(port)| port).collect(),
            required: self.required.into_iter().map(|Text(port)| port).collect(),
        })
    }
}

impl TypeDocument {
    fn of(definition: &TypeDefinition) -> TypeDocument {
        let attributes = definition.attributes.as_ref();
        TypeDocument {
            id: Text(definition.id.clone()),
            kind: definition.kind,
            is_abstract: definition.is_abstract,
            units: definition.units.iter().map(UnitName::of).collect(),
            super_types: definition.super_types.iter().cloned().map(Text).collect(),
            attributes: attributes.map(|attributes| attributes.iter().map(AttributeDocument::of).collect()),
            provided: definition.provided.iter().map(PortDocument::of).collect(),
            required: definition.required.iter().map(PortDocument::of).collect(),
            metadata: texts(&definition.metadata),
        }
    }

    fn into_definition(self) -> TypeDefinition {
        let attributes = self.attributes;
        TypeDefinition {
            id: self.id.0,
            kind: self.kind,
            is_abstract: self.is_abstract,
            units: self.units.into_iter().map(UnitName::into_ref).collect(),
            super_types: self.super_types.into_iter().map(|Text(id)| id).collect(),
            attributes: attributes.map(|all| all.into_iter().map(AttributeDocument::into_attribute).collect()),
            provided: self.provided.into_iter().map(PortDocument::into_port).collect(),
            required: self.required.into_iter().map(PortDocument::into_port).collect(),
            metadata: into_texts(self.metadata),
        }
    }
}

impl AttributeDocument {
    fn of(attribute: &Attribute) -> AttributeDocument {
        let text = |text: &Option<Arc<str>>| text.as_ref().map(|text| text.to_string());
        AttributeDocument {
            name: Text(attribute.name.clone()),
            datatype: attribute.datatype,
            optional: attribute.optional,
            state: attribute.state,
            fragment: attribute.fragment,
            default: text(&attribute.default),
            min: text(&attribute.min),
            max: text(&attribute.max),
            one_of: attribute.one_of.iter().map(|value| value.to_string()).collect(),
            secret: attribute.secret,
            doc: attribute.doc.to_string(),
        }
    }

    fn into_attribute(self) -> Attribute {
        Attribute {
            name: self.name.0,
            datatype: self.datatype,
            optional: self.optional,
            state: self.state,
            fragment: self.fragment,
            default: self.default.map(Arc::from),
            min: self.min.map(Arc::from),
            max: self.max.map(Arc::from),
            one_of: self.one_of.into_iter().map(Arc::from).collect(),
            secret: self.secret,
            doc: self.doc.into(),
        }
    }
}

impl PortDocument {
    fn of(port: &PortDefinition) -> PortDocument {
        PortDocument {
            name: Text(port.name.clone()),
            optional: port.optional,
            no_dependency: port.no_dependency,
            message: port.message.to_string(),
            schema: Text(Hex(port.schema)),
            doc: port.doc.to_string(),
            port_type: port.port_type.clone().map(Text),
        }
    }

    fn into_port(self) -> PortDefinition {
        PortDefinition {
            name: self.name.0,
            optional: self.optional,
            no_dependency: self.no_dependency,
            message: self.message.into(),
            schema: self.schema.0.0,
            doc: self.doc.into(),
            port_type: self.port_type.map(|Text(id)| id),
        }
    }
}

impl UnitName {
    fn of(id: &UnitRef) -> UnitName {
        UnitName {
            namespace: Text(id.namespace.clone()),
            name: id.name.to_string(),
            version: id.version.to_string(),
            hashcode: id.hashcode.to_string(),
        }
    }

    fn into_ref(self) -> UnitRef {
        UnitRef {
            namespace: self.namespace.0,
            name: self.name.into(),
            version: self.version.into(),
            hashcode: self.hashcode.into(),
        }
    }
}

impl UnitDocument {
    fn of(unit: &DeployUnit) -> UnitDocument {
        let UnitName { namespace, name, version, hashcode } = UnitName::of(&unit.id);
        UnitDocument {
            namespace,
            name,
            version,
            hashcode,
            url: unit.url.to_string(),
            filters: texts(&unit.filters),
            requires: unit.requires.iter().map(UnitName::of).collect(),
        }
    }

    fn into_unit(self) -> DeployUnit {
        let UnitDocument { namespace, name, version, hashcode, url, filters, requires } = self;
        DeployUnit {
            id: UnitName { namespace, name, version, hashcode }.into_ref(),
            url: url.into(),
            filters: into_texts(filters),
            requires: requires.into_iter().map(UnitName::into_ref).collect(),
        }
    }
}

fn values(dictionary: &Dictionary) -> Values {
    dictionary.iter().map(|(name, value)| (Text(name.clone()), value.to_string())).collect()
}

fn into_dictionary(values: Values) -> Dictionary {
    values.into_iter().map(|(Text(name), value)| (name, Arc::from(value))).collect()
}

fn texts(map: &OrdMap<Arc<str>, Arc<str>>) -> Texts {
    map.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn into_texts(texts: BTreeMap<String, String>) -> OrdMap<Arc<str>, Arc<str>> {
    texts.into_iter().map(|(key, value)| (Arc::from(key), Arc::from(value))).collect()
}
