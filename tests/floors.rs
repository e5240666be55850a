//! The house plan, checked: imports point down, families do not look sideways, and the lower floors never touch the outside.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The floors, ground floor first.
const FLOORS: [&str; 6] = ["words", "model", "logic", "io", "runtime", "doors"];

/// Floors whose code may look at the outside: actors, sockets, files, clocks, threads.
const OPEN_FLOORS: [&str; 3] = ["io", "runtime", "doors"];

/// What is outside.
const OUTSIDE: [&str; 9] =
    ["actix", "actix_rt", "tokio", "zenoh", "redb", "std::fs", "std::net", "std::thread", "std::time::Instant"];

/// Families that may use one sibling: `user → used`. `node` starts everyone, `instance` is what every actor answers to.
fn may_use_sibling(floor: &str, family: &str, used: &str) -> bool {
    match floor {
        "runtime" => family == "node" || used == "instance",
        "doors" | "io" | "words" | "model" => true,
        _ => false,
    }
}

fn rust_files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("it can be read")) {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// Every `crate::floor::family` that a line names; a use tree over several lines is followed by its first line only.
fn targets(line: &str) -> Vec<(String, Option<String>)> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    line.match_indices("crate::")
        .map(|(at, found)| {
            let rest = &line[at + found.len()..];
            let floor = word(rest);
            let family = rest[floor.len()..].strip_prefix("::").map(word).filter(|family| !family.is_empty());
            (floor, family)
        })
        .collect()
}

/// The faults of one file: where it looks up, sideways or outside.
fn faults_of(src: &Path, file: &Path) -> Vec<String> {
    let rel = file.strip_prefix(src).expect("a file of src");
    let parts: Vec<&str> = rel.iter().map(|part| part.to_str().expect("UTF-8").trim_end_matches(".rs")).collect();
    let floor = parts[0];
    let family = parts.get(1).copied().unwrap_or("mod");
    let Some(level) = FLOORS.iter().position(|name| *name == floor) else {
        return vec![format!("{}: \"{floor}\" is no floor", rel.display())];
    };
    let text = fs::read_to_string(file).expect("it can be read");
    let mut faults = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let code = line.split("//").next().expect("a first part");
        let mut fault = |what: String| faults.push(format!("{}:{}: {what}", rel.display(), n + 1));
        for (target, used) in targets(code) {
            let Some(target_level) = FLOORS.iter().position(|name| *name == target) else { continue };
            if level < target_level {
                fault(format!("\"{floor}\" looks up to \"{target}\""));
            }
            if let Some(used) = used.filter(|used| target == floor && *used != family && family != "mod")
                && src.join(floor).join(&used).exists() | src.join(floor).join(format!("{used}.rs")).exists()
                && !may_use_sibling(floor, family, &used)
            {
                fault(format!("\"{family}\" looks sideways to \"{used}\""));
            }
        }
        let touches = |name: &&&str| code.contains(&format!("{name}::")) || code.contains(&format!("use {name}"));
        if let Some(outside) = OUTSIDE.iter().find(touches).filter(|_| !OPEN_FLOORS.contains(&floor)) {
            fault(format!("the floor \"{floor}\" touches the outside: {outside}"));
        }
        if code.contains("bincode::") && !rel.ends_with("io/engine/codec.rs") {
            fault("bincode is named outside of the codec".to_owned());
        }
    }
    faults
}

#[test]
fn imports_point_down_and_never_sideways() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 20, "the house was found at {}", src.display());
    let faults: Vec<String> =
        files.iter().filter(|file| !file.ends_with("src/lib.rs")).flat_map(|file| faults_of(&src, file)).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_check_finds_what_it_looks_for() {
    let house = tempfile::tempdir().expect("a folder");
    let logic = house.path().join("logic");
    fs::create_dir_all(logic.join("plan")).expect("a folder");
    fs::create_dir_all(logic.join("script")).expect("a folder");
    let write = |text: &str| fs::write(logic.join("plan/mod.rs"), text).expect("it can be written");
    let n_faults = |text: &str| {
        write(text);
        faults_of(house.path(), &logic.join("plan/mod.rs")).len()
    };
    assert_eq!(n_faults("use crate::model::Model;"), 0);
    assert_eq!(n_faults("use crate::io::clock;"), 1);
    assert_eq!(n_faults("use crate::logic::script;"), 1);
    assert_eq!(n_faults("use tokio::time;"), 1);
    assert_eq!(n_faults("// use tokio::time;"), 0);
}
