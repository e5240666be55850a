//! Model files: the Kevoree projects' own, and one of each kind of thing in both forms.

use std::{fs, path::PathBuf};

use enact::model::{Model, change, check::check, digest, json, kmf};
use proptest::prelude::*;
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

#[test]
fn a_model_is_valid_where_kevorees_validator_says_so() {
    let Some(dir) = cases("models") else { return };
    let index: Vec<Value> = serde_json::from_str(&fs::read_to_string(dir.join("index.json")).unwrap()).unwrap();
    for case in index.iter().filter(|case| case["loads"] == true) {
        let file = case["file"].as_str().unwrap();
        let faults = check(&read(&dir.join(file)).unwrap());
        let errors: Vec<String> =
            faults.iter().filter(|fault| fault.is_error()).map(|fault| format!("{} {fault}", fault.code())).collect();
        assert_eq!(case["validator"] == "ok", errors.is_empty(), "{file}: {} / {errors:?}", case["validator"]);
    }
}

#[test]
fn what_kevoree_wrote_is_written_so_that_it_loads_as_the_same_model() {
    let Some(dir) = cases("models") else { return };
    let mut n_files = 0;
    for dir in [dir.clone(), dir.join("samples"), dir.join("../plans"), dir.join("../plans/targets")] {
        let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let is_model = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.ends_with(".json") && name != "index.json" && !name.contains("traces")
        };
        for file in files.filter(is_model) {
            let Ok(model) = read(&file) else { continue };
            let written = kmf::write(&model);
            assert_eq!(kmf::read(&written).as_ref(), Ok(&model), "{}", file.display());
            assert_eq!(kmf::write(&kmf::read(&written).unwrap()), written, "{}", file.display());
            n_files += 1;
        }
    }
    assert!(n_files >= 38 + 3 + 22, "{n_files} files");
}

/// All objects of a file with their attributes and relations, whatever their order, as lines.
fn parts(value: &Value, path: &str, parts: &mut Vec<String>) {
    let Value::Object(fields) = value else { return };
    let key = ["name", "generated_KMF_ID", "url"].iter().find_map(|key| fields.get(*key)?.as_str()).unwrap_or("");
    let version = fields.get("version").and_then(Value::as_str).unwrap_or("");
    let path = if path.is_empty() { "root".to_owned() } else { format!("{path}[{key}{version}]") };
    for (field, value) in fields {
        match value {
            Value::Array(items) => {
                for item in items {
                    match item {
                        Value::String(reference) => parts.push(format!("{path} {field} -> {reference}")),
                        item => self::parts(item, &format!("{path}/{field}"), parts),
                    }
                }
                parts.push(format!("{path} {field} []"));
            }
            Value::String(_) if path == "root" => {}
            value => parts.push(format!("{path} {field} = {value}")),
        }
    }
}

#[test]
fn what_kevoree_serialised_is_written_with_the_same_objects_attributes_and_references() {
    let Some(dir) = cases("models/samples") else { return };
    for file in ["sample-2nodes-raw.json", "real-1node-ticker-printer-pretty.json"] {
        let theirs = fs::read_to_string(dir.join(file)).unwrap();
        let ours = kmf::write(&kmf::read(&theirs).unwrap());
        let [theirs, ours] = [theirs, ours].map(|text| {
            let mut all = Vec::new();
            parts(&serde_json::from_str(&text).unwrap(), "", &mut all);
            all.sort();
            all
        });
        for (theirs, ours) in theirs.iter().zip(&ours) {
            assert_eq!(theirs, ours, "{file}");
        }
        assert_eq!(theirs.len(), ours.len(), "{file}");
    }
}

#[test]
fn line_breaks_are_where_kevoree_has_them() {
    let Some(dir) = cases("models/samples") else { return };
    let theirs = fs::read_to_string(dir.join("sample-2nodes-raw.json")).unwrap();
    let ours = kmf::write(&kmf::read(&theirs).unwrap());
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(|line| line.chars().take(30).collect()).collect();
        lines.sort();
        lines
    };
    assert_eq!(theirs.lines().count(), ours.lines().count());
    let (theirs, ours) = (lines(&theirs), lines(&ours));
    let differ = theirs.iter().zip(&ours).filter(|(a, b)| a != b).count();
    // The first line has the id that Kevoree drew at random.
    assert!(differ <= 1, "{differ} lines differ");
}

/// A file of the repository.
fn golden(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_model_with_everything_is_valid_and_reads_as_it_was_written() {
    let text = golden("rich.json");
    let model = json::read(&text).unwrap();
    assert_eq!(json::write(&model), text);
    let faults: Vec<String> = check(&model).iter().map(ToString::to_string).collect();
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn kevorees_form_of_a_model_with_everything_stays_what_it_is_and_loses_nothing() {
    let model = json::read(&golden("rich.json")).unwrap();
    let written = kmf::write(&model);
    assert_eq!(written, golden("rich.kevoree.json"));
    let back = kmf::read(&written).unwrap();
    assert_eq!(change::diff(&model, &back), []);
    assert_eq!(digest::of(&model), digest::of(&back));
}

#[test]
fn the_digest_of_a_model_stays_what_it_is() {
    // Nodes of one protocol version compare digests: whoever changes this one changes the protocol.
    let digest = digest::of(&json::read(&golden("rich.json")).unwrap());
    assert_eq!(digest.short(), "9da7846d");
    assert_eq!(digest.to_string().parse(), Ok(digest));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_a_model_or_an_error_and_never_a_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..40usize), 1..6),
    ) {
        for name in ["rich.json", "rich.kevoree.json"] {
            let mut bytes = golden(name).into_bytes();
            for (at, byte, n_bytes) in &damage {
                let at = at.index(bytes.len());
                let end = (at + n_bytes).min(bytes.len());
                bytes.splice(at..end, [*byte]);
            }
            let text = String::from_utf8_lossy(&bytes);
            for model in [json::read(&text).ok(), kmf::read(&text).ok()].into_iter().flatten() {
                check(&model);
                prop_assert_eq!(json::read(&json::write(&model)), Ok(model));
            }
        }
    }
}
