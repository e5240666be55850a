//! Enact's own JSON form of a model: versioned, made for people to read and to write, with a JSON Schema.
//!
//! What is not said is the usual: an instance is started, a dictionary is there and empty, a port takes any value. An
//! unknown field is an error, so that a slip of the pen is not lost in silence.

mod document;
mod text;

use serde::Deserialize;

use super::Model;
use crate::words::InstancePath;

use document::Document;

/// The version of the form; what reads another version must say so.
pub const API_VERSION: &str = "enact/v1";

/// What a document holds.
pub const KIND: &str = "Model";

/// The largest document that is read: a model of 100,000 components is about 40 MB.
pub const FILE_MAX_BYTES: usize = 128 << 20;

/// Why a text is no model in Enact's form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("the model has {0} bytes; at most {FILE_MAX_BYTES} are read")]
    TooLarge(usize),
    #[error("not a model in Enact's form: {0}")]
    Json(String),
    #[error(
        "\"apiVersion\" is missing: a model in Enact's form begins with {{\"apiVersion\": \"{API_VERSION}\", \"kind\": \"{KIND}\"}}"
    )]
    NoVersion,
    #[error("\"apiVersion\" is \"{0}\"; this version of enact reads \"{API_VERSION}\"")]
    Version(String),
    #[error("\"kind\" is \"{0}\"; a model's is \"{KIND}\"")]
    Kind(String),
    #[error("binding of \"{port}\": there is no component \"{component}\"")]
    NoComponent { port: String, component: InstancePath },
    #[error("component \"{path}\": the identity {id} is another component's")]
    IdentityTwice { path: InstancePath, id: String },
    #[error("component \"{path}\": port \"{port}\" cannot both send and receive")]
    PortTwice { path: InstancePath, port: String },
    #[error("{what} \"{name}\" is listed twice")]
    Twice { what: &'static str, name: String },
}

/// What every document begins with, whatever its version.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: Option<String>,
    kind: Option<String>,
}

/// Reads a model.
///
/// # Errors
/// [`Error`] says what is wrong, with line and column where the text itself is.
pub fn read(text: &str) -> Result<Model, Error> {
    if text.len() > FILE_MAX_BYTES {
        return Err(Error::TooLarge(text.len()));
    }
    let wrong = |error: serde_json::Error| Error::Json(error.to_string());
    let header: Header = serde_json::from_str(text).map_err(wrong)?;
    match header.api_version {
        None => return Err(Error::NoVersion),
        Some(version) if version != API_VERSION => return Err(Error::Version(version)),
        Some(_) => {}
    }
    if let Some(kind) = header.kind.filter(|kind| kind != KIND) {
        return Err(Error::Kind(kind));
    }
    serde_json::from_str::<Document>(text).map_err(wrong)?.into_model()
}

/// Writes a model, indented. Reading it again gives the same model.
pub fn write(model: &Model) -> String {
    let mut text = serde_json::to_string_pretty(&Document::of(model)).expect("all keys are texts");
    text.push('\n');
    text
}

/// The model as a JSON value, to be part of a larger document.
pub fn value(model: &Model) -> serde_json::Value {
    serde_json::to_value(Document::of(model)).expect("all keys are texts")
}

/// The JSON Schema of the form.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::model::testing::models;

    /// The least of JSON Schema that the schema needs; panics at what it does not know.
    fn fits(schema: &Value, root: &Value, value: &Value) -> Result<(), String> {
        let Some(rules) = schema.as_object() else {
            return schema.as_bool().unwrap().then_some(()).ok_or("never".into());
        };
        for (rule, says) in rules {
            let good = match rule.as_str() {
                "$schema" | "title" | "description" | "default" | "properties" | "format" => true,
                "$ref" => {
                    let pointer = says.as_str().unwrap().strip_prefix('#').unwrap();
                    fits(root.pointer(pointer).unwrap(), root, value)?;
                    true
                }
                "$defs" => true,
                "type" => {
                    let names = says.as_array().cloned().unwrap_or_else(|| vec![says.clone()]);
                    names.iter().any(|name| match name.as_str().unwrap() {
                        "object" => value.is_object(),
                        "array" => value.is_array(),
                        "string" => value.is_string(),
                        "boolean" => value.is_boolean(),
                        "null" => value.is_null(),
                        other => panic!("type {other}"),
                    })
                }
                "required" => says.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
                "enum" => says.as_array().unwrap().contains(value),
                "const" => says == value,
                "anyOf" | "oneOf" => says.as_array().unwrap().iter().any(|one| fits(one, root, value).is_ok()),
                "uniqueItems" => true,
                "pattern" => true,
                "items" => {
                    value.as_array().into_iter().flatten().try_for_each(|item| fits(says, root, item))?;
                    true
                }
                "additionalProperties" => {
                    for (key, value) in value.as_object().into_iter().flatten() {
                        match rules.get("properties").and_then(|known| known.get(key)) {
                            Some(schema) => fits(schema, root, value)?,
                            None => fits(says, root, value).map_err(|why| format!("{key}: {why}"))?,
                        }
                    }
                    true
                }
                other => panic!("rule {other}"),
            };
            if !good {
                return Err(format!("{rule} {says}: {value}"));
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_comes_back_and_fits_the_schema(model in models()) {
            let text = write(&model);
            let schema = schema();
            prop_assert_eq!(fits(&schema, &schema, &serde_json::from_str(&text).unwrap()), Ok(()));
            let back = read(&text).unwrap();
            prop_assert_eq!(&back, &model);
            for (node, name, component) in model.components() {
                prop_assert_eq!(back.path_of(component.id), Some((node, name)));
            }
        }
    }

    #[test]
    fn a_model_written_by_hand_needs_to_say_little() {
        let model = read(
            r#"{
                "apiVersion": "enact/v1", "kind": "Model",
                "nodes": {"n1": {"type": "enact.EnactNode/1", "components": {
                    "ticker": {"type": "enact.Ticker/1", "dictionary": {"period": "500ms"}, "required": ["tick"]}}}},
                "channels": {"chan": {"type": "enact.Broadcast/1", "started": false}},
                "bindings": [{"port": "n1.ticker.tick", "channel": "chan"}]
            }"#,
        )
        .unwrap();
        let (_, _, ticker) = model.components().next().unwrap();
        assert!(ticker.instance.started && ticker.instance.get("period") == Some("500ms"));
        assert!(!model.channels.values().next().unwrap().instance.started);
        assert_eq!(model.bindings.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let cases = [
            ("[]", "not a model in Enact's form"),
            ("{}", "\"apiVersion\" is missing"),
            (r#"{"apiVersion": "enact/v9"}"#, "this version of enact reads \"enact/v1\""),
            (r#"{"apiVersion": "enact/v1", "kind": "Plan"}"#, "\"kind\" is \"Plan\""),
            (r#"{"apiVersion": "enact/v1", "kind": "Model", "nods": {}}"#, "unknown field `nods`, expected one of"),
            (r#"{"apiVersion": "enact/v1", "kind": "Model", "nodes": {"a.b": {}}}"#, "\"a.b\" is no name"),
            (
                r#"{"apiVersion": "enact/v1", "kind": "Model", "nodes": {"a": {"type": "Ticker"}}}"#,
                "namespace.Name/version",
            ),
            (
                r#"{"apiVersion": "enact/v1", "kind": "Model", "bindings": [{"port": "a.b.c", "channel": "x"}]}"#,
                "binding of \"a.b.c\": there is no component \"a.b\"",
            ),
            (
                r#"{"apiVersion": "enact/v1", "kind": "Model", "nodes": {"a": {"components": {
                    "b": {"id": "0000000000000001"}, "c": {"id": "0000000000000001"}}}}}"#,
                "the identity 0000000000000001 is another component's",
            ),
            (&format!("{{\"kind\": {}", "[".repeat(100_000)), "invalid type: sequence"),
            (&format!("{{\"deep\": {}", "[".repeat(100_000)), "not a model in Enact's form"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
