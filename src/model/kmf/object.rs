//! One JSON object of Kevoree's: a class first, texts, and arrays of references or of objects.

use std::{fmt, str::FromStr, sync::Arc};

use imbl::OrdMap;
use serde_json::{Map, Value};

use super::Error;
use crate::words::InvalidName;

/// An object whose class and scalar attributes are known to be right.
pub(super) struct Object<'a> {
    parent: Option<&'a Object<'a>>,
    relation: &'a str,
    fields: &'a Map<String, Value>,
    class: &'a str,
}

impl<'a> Object<'a> {
    /// Opens an object that must have one of `classes` (without package) and no other scalars than `scalars`.
    pub(super) fn open(
        value: &'a Value,
        parent: Option<&'a Object<'a>>,
        relation: &'a str,
        classes: &[&str],
        scalars: &[&str],
    ) -> Result<Object<'a>, Error> {
        let place = || parent.map_or_else(|| format!("/{relation}"), |parent| format!("{parent}/{relation}"));
        let fields = value.as_object().ok_or_else(|| Error::format(place(), "expected an object"))?;
        let class = match fields.iter().next() {
            Some((key, Value::String(class))) if key == "class" => simple_class(class),
            _ => return Err(Error::format(place(), "\"class\" must be first in each object")),
        };
        let object = Object { parent, relation, fields, class };
        if !classes.contains(&class) {
            let what = format!("expected an object of class {}, found \"{class}\"", classes.join(" or "));
            return Err(Error::format(object, what));
        }
        for (key, value) in fields {
            match value {
                Value::Array(_) => {}
                Value::String(_) if key == "class" || key == "generated_KMF_ID" || scalars.contains(&key.as_str()) => {}
                Value::String(_) => return Err(Error::format(object, format!("no attribute \"{key}\" is known"))),
                _ => return Err(Error::format(object, format!("\"{key}\" must be a text or an array"))),
            }
        }
        Ok(object)
    }

    /// The class, without its package.
    pub(super) fn class(&self) -> &'a str {
        self.class
    }

    /// A text, if it is there.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.fields.get(key).and_then(Value::as_str)
    }

    /// A text that has to be there.
    pub(super) fn required(&self, key: &str) -> Result<&'a str, Error> {
        self.text(key).ok_or_else(|| Error::format(self, format!("\"{key}\" is missing")))
    }

    /// A flag, false when it is not there.
    pub(super) fn flag(&self, key: &str) -> Result<bool, Error> {
        match self.text(key) {
            None | Some("false" | "") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Error::format(self, format!("\"{key}\" must be true or false, not \"{other}\""))),
        }
    }

    /// The object's name as a name of a kind.
    pub(super) fn name<N: FromStr<Err = InvalidName>>(&self) -> Result<N, Error> {
        self.required("name")?.parse().map_err(|source| Error::name(self, source))
    }

    /// The references of a relation.
    pub(super) fn references(&self, relation: &str) -> Result<impl Iterator<Item = &'a str> + use<'a>, Error> {
        let references = self.array(relation);
        match references.iter().find(|value| !value.is_string()) {
            Some(_) => Err(Error::format(self, format!("\"{relation}\" must hold references"))),
            None => Ok(references.iter().filter_map(Value::as_str)),
        }
    }

    /// The reference of a relation that has at most one.
    pub(super) fn reference(&self, relation: &str) -> Result<Option<&'a str>, Error> {
        let mut references = self.references(relation)?;
        match (references.next(), references.next()) {
            (_, Some(_)) => Err(Error::format(self, format!("\"{relation}\" holds at most one reference"))),
            (only, None) => Ok(only),
        }
    }

    /// The objects that the relation contains.
    pub(super) fn objects<'s>(
        &'s self,
        relation: &'s str,
        classes: &'s [&'s str],
        scalars: &'s [&'s str],
    ) -> impl Iterator<Item = Result<Object<'s>, Error>> {
        self.array(relation).iter().map(move |value| Object::open(value, Some(self), relation, classes, scalars))
    }

    /// The object of a relation that contains at most one.
    pub(super) fn object<'s>(
        &'s self,
        relation: &'s str,
        class: &'s str,
        scalars: &[&str],
    ) -> Result<Option<Object<'s>>, Error> {
        match self.array(relation) {
            [] => Ok(None),
            [only] => Object::open(only, Some(self), relation, &[class], scalars).map(Some),
            _ => Err(Error::format(self, format!("\"{relation}\" holds at most one object"))),
        }
    }

    /// Name and value of each `Value` object of a relation.
    pub(super) fn values(&self, relation: &str) -> Result<OrdMap<Arc<str>, Arc<str>>, Error> {
        self.objects(relation, &["Value"], &["name", "value"])
            .map(|value| {
                let value = value?;
                Ok((Arc::from(value.required("name")?), Arc::from(value.text("value").unwrap_or_default())))
            })
            .collect()
    }

    /// The raw fields, for what is kept as it is.
    pub(super) fn fields(&self) -> &'a Map<String, Value> {
        self.fields
    }

    fn array(&self, relation: &str) -> &'a [Value] {
        self.fields.get(relation).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

/// The path of the object, as far as its names say it.
impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        } else if self.class == "ContainerRoot" {
            return f.write_str("");
        }
        write!(f, "/{}", self.relation)?;
        match self.text("name").or_else(|| self.text("generated_KMF_ID")) {
            Some(name) => write!(f, "[{name}]"),
            None => Ok(()),
        }
    }
}

/// `root:org.kevoree.ContainerRoot@0.1` is a ContainerRoot.
fn simple_class(class: &str) -> &str {
    let class = class.strip_prefix("root:").unwrap_or(class);
    let class = class.split('@').next().unwrap_or(class);
    class.strip_prefix("org.kevoree.").unwrap_or(class)
}
