//! The model files of the Kevoree projects: what loads, what does not, and what is in them.

use std::{fs, path::PathBuf};

use enact::model::{Model, kmf};
use serde_json::Value;

/// Where the shared cases are; nothing when this checkout stands alone.
fn cases(part: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/cases").join(part);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

fn read(path: &std::path::Path) -> Result<Model, kmf::Error> {
    kmf::read(&fs::read_to_string(path).expect("a readable file"))
}

#[test]
fn kevorees_models_load_or_are_refused_and_have_the_same_parts() {
    let Some(dir) = cases("models") else { return };
    let index: Vec<Value> = serde_json::from_str(&fs::read_to_string(dir.join("index.json")).unwrap()).unwrap();
    assert!(index.len() >= 39);
    for case in &index {
        let file = case["file"].as_str().unwrap();
        let read = read(&dir.join(file));
        if case["loads"] == false {
            assert!(read.is_err(), "{file} loads");
            continue;
        }
        let model = read.unwrap_or_else(|error| panic!("{file}: {error}"));
        let n_components: usize = model.nodes.values().map(|node| node.components.len()).sum();
        let found = [
            ("nodes", model.nodes.len()),
            ("groups", model.groups.len()),
            ("channels", model.channels.len()),
            ("bindings", model.bindings.len()),
            ("components", n_components),
        ];
        for (part, found) in found {
            assert_eq!(case[part], found, "{part} of {file}");
        }
    }
}
