//! Type definitions and deploy units, written.

use std::borrow::Cow;

use super::{
    DICTIONARY_ID, ODD_DICTIONARY_ID, OURS,
    out::Out,
    path::PathOf,
    types::{AttributeExtra, CHANNEL_BOUNDS, PORT_TYPE, PortExtra},
};
use crate::model::{Attribute, DataType, DeployUnit, Kind, PortDefinition, TypeDefinition};

pub(super) fn write_unit(out: &mut Out, unit: &DeployUnit) {
    let id = format!("hashcode={},name={},version={}", unit.id.hashcode, unit.id.name, unit.id.version);
    out.open(false, "DeployUnit", &id);
    out.attribute("name", &unit.id.name);
    out.attribute("hashcode", &unit.id.hashcode);
    out.attribute("url", &unit.url);
    out.attribute("version", &unit.id.version);
    out.references("requiredLibs", unit.requires.iter().map(|other| PathOf(other).to_string()));
    out.values("filters", &unit.filters);
    out.close();
}

pub(super) fn write_type(out: &mut Out, definition: &TypeDefinition) {
    // A port type goes out as it came in: only Kevoree made it.
    if let Some(raw) = definition.metadata.get(PORT_TYPE) {
        return out.raw(raw);
    }
    let class = match definition.kind {
        Kind::Node => "NodeType",
        Kind::Component => "ComponentType",
        Kind::Channel => "ChannelType",
        Kind::Group => "GroupType",
        Kind::Port => "MessagePortType",
    };
    out.open(false, class, &format!("name={},version={}", definition.id.name, definition.id.version));
    if definition.kind == Kind::Channel {
        for bound in CHANNEL_BOUNDS {
            let kept = definition.metadata.get(format!("kmf.{bound}").as_str());
            out.attribute(bound, kept.map_or("0", |value| value));
        }
    }
    out.flag("abstract", definition.is_abstract);
    out.attribute("name", definition.id.name.as_str());
    out.attribute("version", &definition.id.version);
    out.references("deployUnits", definition.units.iter().map(|unit| PathOf(unit).to_string()));
    out.references("superTypes", definition.super_types.iter().map(|other| PathOf(other).to_string()));
    let odd_id = definition.metadata.get(ODD_DICTIONARY_ID).map(|id| &**id);
    out.objects("dictionaryType", &definition.attributes, |out, attributes| {
        let id = odd_id.unwrap_or(DICTIONARY_ID);
        out.open(false, "DictionaryType", id);
        if !id.is_empty() {
            out.attribute("generated_KMF_ID", id);
        }
        out.objects("attributes", attributes, write_attribute);
        out.close();
    });
    write_metadata(out, definition);
    if definition.kind == Kind::Component {
        out.objects("required", &definition.required, write_port);
        out.objects("provided", &definition.provided, write_port);
    }
    out.close();
}

fn write_attribute(out: &mut Out, attribute: &Attribute) {
    out.open(false, "DictionaryAttribute", attribute.name.as_str());
    out.flag("fragmentDependant", attribute.fragment);
    out.flag("optional", attribute.optional);
    out.attribute("name", attribute.name.as_str());
    out.flag("state", attribute.state);
    out.attribute("datatype", datatype(attribute.datatype));
    if let Some(default) = &attribute.default {
        out.attribute("defaultValue", default);
    }
    out.references("genericTypes", []);
    out.close();
}

/// Kevoree's name of a datatype; it has no durations, whose texts it may keep.
fn datatype(datatype: DataType) -> &'static str {
    match datatype {
        DataType::Byte => "BYTE",
        DataType::Short => "SHORT",
        DataType::Int => "INT",
        DataType::Long => "LONG",
        DataType::Float => "FLOAT",
        DataType::Double => "DOUBLE",
        DataType::Boolean => "BOOLEAN",
        DataType::Char => "CHAR",
        DataType::String | DataType::Duration => "STRING",
    }
}

fn write_port(out: &mut Out, port: &PortDefinition) {
    out.open(false, "PortTypeRef", port.name.as_str());
    out.flag("noDependency", port.no_dependency);
    out.attribute("name", port.name.as_str());
    out.flag("optional", port.optional);
    out.references("ref", port.port_type.iter().map(|id| PathOf(id).to_string()));
    out.references("mappings", []);
    out.close();
}

/// The annotations of a type, and what its attributes and ports have that Kevoree has no place for.
fn write_metadata(out: &mut Out, definition: &TypeDefinition) {
    let kept = |key: &str| {
        key == ODD_DICTIONARY_ID || key.strip_prefix("kmf.").is_some_and(|key| CHANNEL_BOUNDS.contains(&key))
    };
    let theirs = definition.metadata.iter().filter(|(key, _)| !kept(key));
    let theirs = theirs.map(|(key, value)| (Cow::Borrowed(&**key), Cow::Borrowed(&**value)));
    let mut ours = Vec::new();
    for attribute in definition.attributes.iter().flatten() {
        let extra = AttributeExtra {
            datatype: (attribute.datatype == DataType::Duration).then_some(DataType::Duration),
            min: attribute.min.clone(),
            max: attribute.max.clone(),
            one_of: attribute.one_of.clone(),
            secret: attribute.secret,
            doc: attribute.doc.clone(),
        };
        if extra != AttributeExtra::default() {
            ours.push((format!("{OURS}attribute.{}", attribute.name), json(&extra)));
        }
    }
    for (relation, ports) in [("provided", &definition.provided), ("required", &definition.required)] {
        for port in ports {
            let schema = format!("{:x}", port.schema);
            let extra = PortExtra { message: port.message.clone(), schema, doc: port.doc.clone() };
            if extra != PortExtra::default() {
                ours.push((format!("{OURS}{relation}.{}", port.name), json(&extra)));
            }
        }
    }
    out.values("metaData", theirs.chain(ours.into_iter().map(|(key, value)| (key.into(), value.into()))));
}

fn json(extra: &impl serde::Serialize) -> String {
    serde_json::to_string(extra).expect("texts and lists of texts are JSON")
}
