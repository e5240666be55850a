//! The parameters of a channel, read from its dictionary.

use std::{collections::BTreeMap, str::FromStr, sync::Arc, time::Duration};

use crate::{
    logic::delivery::{Overflow, Policy},
    model::{Attribute, DataType, Dictionary},
    runtime::instance::ParamError,
    words::AttributeName,
};

/// What is kept for one receiver when nothing else is said: seconds of a busy sensor, a burst of a fast sender; at 40 bytes a
/// message beside the message itself under half a megabyte.
const CAPACITY_DEFAULT: &str = "10000";

/// An attribute of a channel type with a default; refine it with struct update syntax:
/// `Attribute { min: Some("1".into()), ..attribute("prefetch", DataType::Int, "16", "…") }`.
///
/// # Panics
/// When `name` is no name.
pub fn attribute(name: &str, datatype: DataType, default: &str, doc: &str) -> Attribute {
    Attribute {
        name: AttributeName::parse(name).expect("an attribute is called by a name"),
        datatype,
        optional: default.is_empty(),
        state: false,
        fragment: false,
        // A model wants a value for every attribute: who may have none is empty at first.
        default: Some(default.into()),
        min: None,
        max: None,
        one_of: Vec::new(),
        secret: false,
        doc: doc.into(),
    }
}

/// The attributes that every channel has.
pub(super) fn common() -> Vec<Attribute> {
    let capacity = attribute(
        "capacity",
        DataType::Int,
        CAPACITY_DEFAULT,
        "The most messages kept for one receiver that is slow, stopped or away",
    );
    let overflow = attribute(
        "overflow",
        DataType::String,
        "wait",
        "What happens beyond the capacity: senders wait, the oldest message is dropped, or the new one is refused",
    );
    let patience = attribute(
        "patience",
        DataType::Duration,
        "1s",
        "How long senders wait for one slow receiver before its messages are refused instead",
    );
    let keep = attribute(
        "keep",
        DataType::Duration,
        "30s",
        "How long messages are kept for a receiver whose node does not answer",
    );
    vec![
        Attribute { min: Some("1".into()), max: Some("1000000".into()), ..capacity },
        Attribute { one_of: vec!["wait".into(), "drop-oldest".into(), "refuse".into()], ..overflow },
        Attribute { max: Some("1h".into()), ..patience },
        Attribute { max: Some("24h".into()), ..keep },
    ]
}

/// The values of a channel's parameters, each of which fits its attribute.
#[derive(Clone, Debug, Default)]
pub struct Settings(BTreeMap<AttributeName, Arc<str>>);

impl Settings {
    /// Reads a dictionary; the attributes' defaults fill what it does not say.
    ///
    /// # Errors
    /// All values that do not fit, and all names that are no parameters.
    pub fn read(attributes: &[Attribute], dictionary: &Dictionary) -> Result<Settings, Vec<ParamError>> {
        let mut errors = Vec::new();
        let mut values = BTreeMap::new();
        for attribute in attributes {
            let given = dictionary.get(attribute.name.as_str()).map(Arc::from);
            let Some(value) = given.or_else(|| attribute.default.clone()) else {
                if !attribute.optional {
                    let message = format!("is required ({})", attribute.describe());
                    errors.push(ParamError { param: attribute.name.to_string(), message });
                }
                continue;
            };
            if value.is_empty() && attribute.optional {
                continue;
            }
            match attribute.accepts(&value) {
                Ok(()) => drop(values.insert(attribute.name.clone(), value)),
                Err(unfit) => {
                    errors.push(ParamError { param: attribute.name.to_string(), message: unfit.to_string() });
                }
            }
        }
        for (name, _) in dictionary.iter() {
            if !attributes.iter().any(|attribute| attribute.name == *name) {
                let known: Vec<&str> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
                let message = format!("unknown; known: {}", known.join(", "));
                errors.push(ParamError { param: name.to_string(), message });
            }
        }
        if errors.is_empty() { Ok(Settings(values)) } else { Err(errors) }
    }

    /// The value of a parameter as text; empty when it has none.
    pub fn text(&self, name: &str) -> &str {
        AttributeName::parse(name).ok().and_then(|name| self.0.get(&name)).map_or("", |value| value)
    }

    /// The value of a parameter.
    ///
    /// # Errors
    /// When it is no `T`.
    pub fn get<T: FromStr>(&self, name: &str) -> Result<T, ParamError> {
        let text = self.text(name);
        text.parse().map_err(|_| {
            let message = format!("\"{text}\" is no {}", std::any::type_name::<T>());
            ParamError { param: name.to_owned(), message }
        })
    }

    /// The value of a parameter that is a duration (`3s`, `250ms`).
    ///
    /// # Errors
    /// When it is none.
    pub fn duration(&self, name: &str) -> Result<Duration, ParamError> {
        let text = self.text(name);
        humantime::parse_duration(text).map_err(|error| ParamError {
            param: name.to_owned(),
            message: format!("\"{text}\" is no duration such as 3s or 250ms: {error}"),
        })
    }

    /// The bounds, from the attributes that every channel has.
    pub(super) fn policy(&self) -> Result<Policy, ParamError> {
        let overflow = match self.text("overflow") {
            "drop-oldest" => Overflow::DropOldest,
            "refuse" => Overflow::Refuse,
            _ => Overflow::Wait,
        };
        Ok(Policy {
            capacity: self.get("capacity")?,
            overflow,
            patience: self.duration("patience")?,
            away: self.duration("keep")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary(values: &[(&str, &str)]) -> Dictionary {
        values.iter().map(|(name, value)| (AttributeName::parse(name).unwrap(), Arc::from(*value))).collect()
    }

    #[test]
    fn who_says_nothing_gets_the_defaults() {
        let policy = Settings::read(&common(), &Dictionary::default()).unwrap().policy().unwrap();
        assert_eq!((policy.capacity, policy.overflow), (10_000, Overflow::Wait));
    }

    #[test]
    fn everything_that_does_not_fit_is_told_at_once() {
        let wrong = dictionary(&[("capacity", "0"), ("overflow", "explode"), ("capaticy", "1")]);
        let told: Vec<String> =
            Settings::read(&common(), &wrong).unwrap_err().into_iter().map(|error| error.param).collect();
        assert_eq!(told, ["capacity", "overflow", "capaticy"]);
    }
}
