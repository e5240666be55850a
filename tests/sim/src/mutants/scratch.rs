//! The scratch workspace: the library without the network, with all faults planted and switched off, and this program on top.
//!
//! Each fault is behind a switch, so that one build serves them all; one is switched on at a time.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::list::{self, Mutant};

/// The switch: an environment variable, read once.
const SWITCH: &str = "//! The switch of deliberate faults.

/// Whether the fault of this number is switched on.
pub fn is_on(number: usize) -> bool {
    static ON: std::sync::LazyLock<Option<usize>> =
        std::sync::LazyLock::new(|| std::env::var(\"ENACT_MUTANT\").ok()?.parse().ok());
    *ON == Some(number)
}
";

/// The part of a manifest between two headlines.
fn section<'t>(manifest: &'t str, from: &str, to: &str) -> Result<&'t str, String> {
    let start = manifest.find(from).ok_or_else(|| format!("Cargo.toml has no {from}"))?;
    let end = manifest[start..].find(to).ok_or_else(|| format!("Cargo.toml has no {to} behind {from}"))?;
    Ok(&manifest[start..start + end])
}

/// Writes a file when it differs, so that builds are incremental.
fn put(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// The sources that git tracks below these places.
fn sources(root: &Path) -> Result<Vec<String>, String> {
    let places = ["src", "macros", "tests/sim", "Cargo.toml"];
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["ls-files", "--cached", "--others", "--exclude-standard", "--"]).args(places);
    let listed = git.output().map_err(|error| format!("git: {error}"))?;
    if !listed.status.success() {
        return Err(format!("git: {}", String::from_utf8_lossy(&listed.stderr)));
    }
    Ok(String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect())
}

/// Makes the workspace with all mutants in it; gives the program, built.
pub(super) fn build(mutants: &[Mutant]) -> Result<PathBuf, String> {
    let root = list::root();
    let scratch = root.join("target/mutants");
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for path in sources(&root)? {
        if let Ok(text) = fs::read_to_string(root.join(&path)) {
            texts.insert(path, text);
        }
    }
    for (number, mutant) in mutants.iter().enumerate() {
        let text =
            texts.get_mut(&mutant.file).ok_or_else(|| format!("\"{}\": there is no {}", mutant.name, mutant.file))?;
        *text = mutant.plant(text, number)?;
    }
    write(&root, &scratch, &texts).map_err(|error| format!("{}: {error}", scratch.display()))??;
    // Run by itself, and not by cargo, it takes the one that its caller would: this chooses the toolchain for all that it calls.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--offline", "-p", "enact-sim"])
        .current_dir(&scratch)
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .env("RUSTFLAGS", "-A warnings")
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if status.success() {
        Ok(scratch.join("target/debug/enact-sim"))
    } else {
        Err("the mutants do not build".to_owned())
    }
}

fn write(root: &Path, scratch: &Path, texts: &BTreeMap<String, String>) -> io::Result<Result<(), String>> {
    for (path, text) in texts {
        let text = match path.as_str() {
            "Cargo.toml" => match workspace(text) {
                Ok(text) => text,
                Err(error) => return Ok(Err(error)),
            },
            "src/lib.rs" => format!("{text}\npub mod mutant;\n"),
            _ => text.clone(),
        };
        put(&scratch.join(path), &text)?;
    }
    put(&scratch.join("src/mutant.rs"), SWITCH)?;
    // Builds go on from the lock that the first one made; a new one begins with the workspace's own.
    if !scratch.join("Cargo.lock").exists() {
        fs::copy(root.join("Cargo.lock"), scratch.join("Cargo.lock"))?;
    }
    Ok(Ok(()))
}

/// The manifest of the scratch workspace: as the real one, with two members and quicker builds.
fn workspace(manifest: &str) -> Result<String, String> {
    let shared = section(manifest, "[workspace.package]", "[dev-dependencies]")?;
    Ok(format!(
        "[workspace]\nmembers = [\"macros\", \"tests/sim\"]\nresolver = \"3\"\n\n{shared}\n\
         [profile.dev]\ndebug = false\nopt-level = 1\n"
    ))
}
