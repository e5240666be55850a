//! Model files and type files that commands are given: read from a path or from standard input, in whatever form they are.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::failure::{Exit, Failure};
use crate::{
    model::{
        Model, Shared, json, kmf,
        library::{Choice, Library},
    },
    words::TypeRef,
};

/// The most that is read of a file: what the largest form takes.
const FILE_MAX_BYTES: u64 = json::FILE_MAX_BYTES as u64;

/// Reads a text; `-` is standard input.
///
/// # Errors
/// What cannot be read, is too large, or is no text.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let read = |source: &mut dyn Read| {
        let mut text = String::new();
        source.take(FILE_MAX_BYTES + 1).read_to_string(&mut text).map(|_| text)
    };
    let text = match path.to_str() {
        Some("-") => read(&mut io::stdin().lock()),
        _ => File::open(path).and_then(|mut file| read(&mut file)),
    };
    let text = text.map_err(|error| Failure::new(Exit::Usage, format!("cannot read {}: {error}", name(path)), ""))?;
    if text.len() as u64 > FILE_MAX_BYTES {
        let what = format!("{} is too large: at most {FILE_MAX_BYTES} bytes are read", name(path));
        return Err(Failure::new(Exit::Usage, what, ""));
    }
    Ok(text)
}

/// Reads a model: Kevoree's JSON or Enact's, told apart by what is in it.
///
/// # Errors
/// What is wrong with the file, and where.
pub fn read_model(path: &Path) -> Result<Model, Failure> {
    parse_model(&read_text(path)?, &name(path))
}

/// A model out of a text that `name` says.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn parse_model(text: &str, name: &str) -> Result<Model, Failure> {
    parse(text).map_err(|(what, help)| Failure::new(Exit::Error, format!("{name}: {what}"), help))
}

/// What is wrong, and what to do about it.
type Why = (String, &'static str);

/// A model out of a text, in whatever form it is.
fn parse(text: &str) -> Result<Model, Why> {
    let why = |error: &dyn std::fmt::Display, help| (error.to_string(), help);
    // Kevoree puts the class first in every object, Enact the version; whichever is named first says what it is.
    match (text.find("\"class\""), text.find("\"apiVersion\"")) {
        (Some(class), version) if version.is_none_or(|version| class < version) => {
            kmf::read(text).map_err(|error| why(&error, ""))
        }
        (_, Some(_)) => {
            json::read(text).map_err(|error| why(&error, "enact model schema prints the JSON Schema of the form"))
        }
        (_, None) => match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => Err((
                "neither Kevoree's JSON (\"class\" first) nor Enact's (\"apiVersion\" first)".to_owned(),
                "a script is run with: enact script run FILE.kevs",
            )),
            Err(error) => Err((format!("not JSON: {error}"), "a script is run with: enact script run FILE.kevs")),
        },
    }
}

/// Reads type files into one library; a later file wins.
///
/// # Errors
/// What is wrong with a file, and where.
pub fn read_library(paths: &[PathBuf]) -> Result<Library, Failure> {
    let mut library = Library::default();
    for path in paths {
        let read = Library::read(&read_text(path)?);
        library.merge(read.map_err(|error| Failure::new(Exit::Error, format!("{}: {error}", name(path)), ""))?);
    }
    Ok(library)
}

/// Adds the types that instances have and the model does not list, with their units.
pub fn complete(mut model: Model, library: &Library) -> Model {
    let used: BTreeSet<TypeRef> = model.instances().filter_map(|(_, instance)| instance.type_ref.clone()).collect();
    for type_ref in used.into_iter().filter(|type_ref| !model.types.contains_key(type_ref)).collect::<Vec<_>>() {
        let entry = library.find(&type_ref.namespace, &type_ref.name, Some(&type_ref.version));
        if let Some((definition, units)) = entry.and_then(|entry| entry.instantiate(&Choice::default()).ok()) {
            model.types.insert(type_ref, Shared::new(definition));
            model.units.extend(units.into_iter().map(|unit| (unit.id.clone(), Shared::new(unit))));
        }
    }
    model
}

/// What a file is called in messages.
pub fn name(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_in_whatever_form_it_is() {
        assert!(parse(r#"{"class": "org.kevoree.ContainerRoot"}"#).is_ok());
        assert!(parse(r#"{"apiVersion": "enact/v1", "kind": "Model"}"#).is_ok());
        for (text, expected) in [
            ("{}", "neither Kevoree's JSON"),
            ("add n: EnactNode", "not JSON"),
            (r#"{"apiVersion": "enact/v2", "nodes": {"class": {}}}"#, "reads \"enact/v1\""),
            (r#"{"name": "x", "class": "org.kevoree.ContainerRoot"}"#, "\"class\" must be first"),
        ] {
            let (why, _) = parse(text).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
