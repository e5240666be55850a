//! Type definitions and deploy units of Kevoree's, read.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DICTIONARY_ID, Error, ODD_DICTIONARY_ID, OURS, object::Object, path};
use crate::{
    model::{Attribute, DataType, DeployUnit, Kind, PortDefinition, TypeDefinition},
    words::{Namespace, TypeRef, UnitRef},
};

/// The classes that a type definition may have.
pub(super) const TYPE_CLASSES: &[&str] =
    &["NodeType", "GroupType", "ChannelType", "ComponentType", "PortType", "ServicePortType", "MessagePortType"];

pub(super) const TYPE_SCALARS: &[&str] = &[
    "name",
    "version",
    "abstract",
    "lowerBindings",
    "upperBindings",
    "lowerFragments",
    "upperFragments",
    "synchrone",
    "interface",
];

pub(super) const UNIT_SCALARS: &[&str] = &["name", "version", "hashcode", "url", "groupName", "type"];

/// What bounds a channel type may have; kept when they are not "0".
pub(super) const CHANNEL_BOUNDS: &[&str] = &["upperFragments", "upperBindings", "lowerBindings", "lowerFragments"];

/// A port type as it was, in a type's metadata.
pub(super) const PORT_TYPE: &str = "kmf.port-type";

/// What an attribute has that Kevoree has no place for.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AttributeExtra {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) datatype: Option<DataType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) one_of: Vec<Arc<str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) secret: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) doc: Arc<str>,
}

/// What a port has that Kevoree has no place for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PortExtra {
    pub(super) message: Arc<str>,
    /// In hexadecimal: JSON's numbers do not reach that far everywhere.
    pub(super) schema: String,
    pub(super) doc: Arc<str>,
}

impl Default for PortExtra {
    fn default() -> Self {
        PortExtra { message: "Value".into(), schema: "0".into(), doc: "".into() }
    }
}

/// Reads a type definition, as it stands in type files: without its deploy units.
///
/// # Errors
/// [`Error`] says what is not Kevoree's format, and where.
pub fn read_type(value: &Value, namespace: &Namespace) -> Result<TypeDefinition, Error> {
    type_definition(&Object::open(value, None, "typeDefinitions", TYPE_CLASSES, TYPE_SCALARS)?, namespace)
}

/// Reads a deploy unit.
///
/// # Errors
/// [`Error`] says what is not Kevoree's format, and where.
pub fn read_unit(value: &Value, namespace: &Namespace) -> Result<DeployUnit, Error> {
    deploy_unit(&Object::open(value, None, "deployUnits", &["DeployUnit"], UNIT_SCALARS)?, namespace)
}

pub(super) fn deploy_unit(object: &Object<'_>, namespace: &Namespace) -> Result<DeployUnit, Error> {
    let requires = object.references("requiredLibs")?;
    Ok(DeployUnit {
        id: UnitRef {
            namespace: namespace.clone(),
            name: object.required("name")?.into(),
            version: object.required("version")?.into(),
            hashcode: object.text("hashcode").unwrap_or_default().into(),
        },
        url: object.text("url").unwrap_or_default().into(),
        filters: object.values("filters")?,
        requires: requires
            .map(|text| path::unit_ref(text).ok_or_else(|| Error::unresolved(object, text)))
            .collect::<Result<_, _>>()?,
    })
}

pub(super) fn type_definition(object: &Object<'_>, namespace: &Namespace) -> Result<TypeDefinition, Error> {
    let mut metadata = object.values("metaData")?;
    let kind = match object.class() {
        "NodeType" => Kind::Node,
        "GroupType" => Kind::Group,
        "ChannelType" => Kind::Channel,
        "ComponentType" => Kind::Component,
        _ => Kind::Port,
    };
    if kind == Kind::Channel {
        for bound in CHANNEL_BOUNDS {
            if let Some(value) = object.text(bound).filter(|value| *value != "0") {
                metadata.insert(format!("kmf.{bound}").into(), value.into());
            }
        }
    }
    if kind == Kind::Port {
        let raw = serde_json::to_string(object.fields()).map_err(|error| Error::format(object, error.to_string()))?;
        metadata.insert(PORT_TYPE.into(), raw.into());
    }
    let references = |relation| -> Result<Vec<TypeRef>, Error> {
        let references = object.references(relation)?;
        references.map(|text| path::type_ref(text).ok_or_else(|| Error::unresolved(object, text))).collect()
    };
    let units = object.references("deployUnits")?;
    let provided = ports(object, "provided", &mut metadata)?;
    let required = ports(object, "required", &mut metadata)?;
    if kind != Kind::Component && !(provided.is_empty() && required.is_empty()) {
        return Err(Error::format(object, "only component types have ports"));
    }
    Ok(TypeDefinition {
        id: TypeRef { namespace: namespace.clone(), name: object.name()?, version: object.required("version")?.into() },
        kind,
        is_abstract: object.flag("abstract")?,
        units: units
            .map(|text| path::unit_ref(text).ok_or_else(|| Error::unresolved(object, text)))
            .collect::<Result<_, _>>()?,
        super_types: references("superTypes")?,
        attributes: attributes(object, &mut metadata)?,
        provided,
        required,
        metadata,
    })
}

fn attributes(
    definition: &Object<'_>,
    metadata: &mut OrdMap<Arc<str>, Arc<str>>,
) -> Result<Option<Vec<Attribute>>, Error> {
    let Some(dictionary) = definition.object("dictionaryType", "DictionaryType", &[])? else { return Ok(None) };
    let id = dictionary.text("generated_KMF_ID").unwrap_or_default();
    if id != DICTIONARY_ID {
        metadata.insert(ODD_DICTIONARY_ID.into(), id.into());
    }
    let scalars = ["name", "datatype", "optional", "state", "fragmentDependant", "defaultValue"];
    let mut attributes: Vec<Attribute> = Vec::new();
    for object in dictionary.objects("attributes", &["DictionaryAttribute"], &scalars) {
        let object = object?;
        let extra: AttributeExtra = take_extra(&object, "attribute", metadata)?;
        let attribute = Attribute {
            name: object.name()?,
            datatype: match extra.datatype {
                Some(datatype) => datatype,
                None => datatype(&object)?,
            },
            optional: object.flag("optional")?,
            state: object.flag("state")?,
            fragment: object.flag("fragmentDependant")?,
            default: object.text("defaultValue").map(Arc::from),
            min: extra.min,
            max: extra.max,
            one_of: extra.one_of,
            secret: extra.secret,
            doc: extra.doc,
        };
        if attributes.iter().any(|other| other.name == attribute.name) {
            return Err(Error::format(&object, "this name is used twice"));
        }
        attributes.push(attribute);
    }
    Ok(Some(attributes))
}

/// Old models name the datatypes in small letters, and some name none.
fn datatype(object: &Object<'_>) -> Result<DataType, Error> {
    let Some(text) = object.text("datatype") else { return Ok(DataType::String) };
    serde_json::from_value(Value::String(text.to_ascii_uppercase()))
        .map_err(|_| Error::format(object, format!("\"{text}\" is no datatype")))
}

fn ports(
    definition: &Object<'_>,
    relation: &'static str,
    metadata: &mut OrdMap<Arc<str>, Arc<str>>,
) -> Result<Vec<PortDefinition>, Error> {
    let mut ports: Vec<PortDefinition> = Vec::new();
    for object in definition.objects(relation, &["PortTypeRef"], &["name", "optional", "noDependency"]) {
        let object = object?;
        let extra: PortExtra = take_extra(&object, relation, metadata)?;
        let port_type = object.reference("ref")?;
        let port = PortDefinition {
            name: object.name()?,
            optional: object.flag("optional")?,
            no_dependency: object.flag("noDependency")?,
            message: extra.message,
            schema: u64::from_str_radix(&extra.schema, 16)
                .map_err(|_| Error::format(&object, format!("\"{}\" is no schema", extra.schema)))?,
            doc: extra.doc,
            port_type: port_type
                .map(|text| path::type_ref(text).ok_or_else(|| Error::unresolved(&object, text)))
                .transpose()?,
        };
        if ports.iter().any(|other| other.name == port.name) {
            return Err(Error::format(&object, "this name is used twice"));
        }
        ports.push(port);
    }
    Ok(ports)
}

/// Takes what rides in the metadata for an attribute or a port of this name.
fn take_extra<T: Default + for<'de> Deserialize<'de>>(
    object: &Object<'_>,
    what: &str,
    metadata: &mut OrdMap<Arc<str>, Arc<str>>,
) -> Result<T, Error> {
    let key = format!("{OURS}{what}.{}", object.required("name")?);
    match metadata.remove(key.as_str()) {
        None => Ok(T::default()),
        Some(text) => serde_json::from_str(&text).map_err(|error| Error::format(object, format!("{key}: {error}"))),
    }
}
