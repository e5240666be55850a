//! The list of deliberate faults: where each is, and which world must catch it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::worlds::World;

/// The list as people write it.
const LIST: &str = include_str!("../../mutants.toml");

/// What stands for the switch in a mutant's text.
const SWITCH: &str = "MUTANT";

/// A deliberate fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// What is wrong with it.
    pub(crate) name: String,
    /// Which world must catch it.
    world: String,
    /// The file that is changed, from the root of the workspace.
    pub(crate) file: String,
    old: String,
    new: String,
}

#[derive(Deserialize)]
struct List {
    mutant: Vec<Mutant>,
}

/// All mutants.
pub(crate) fn all() -> Result<Vec<Mutant>, String> {
    let list: List = toml::from_str(LIST).map_err(|error| format!("mutants.toml: {error}"))?;
    list.mutant.iter().try_for_each(|mutant| mutant.world().map(drop))?;
    Ok(list.mutant)
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Mutant {
    /// The world that must catch it.
    pub(crate) fn world(&self) -> Result<World, String> {
        self.world.parse().map_err(|error| format!("mutants.toml: \"{}\": {error}", self.name))
    }

    /// Plants the fault, with a switch of this number, in the text of its file.
    pub(crate) fn plant(&self, text: &str, number: usize) -> Result<String, String> {
        let wrong = |what: &str| Err(format!("mutants.toml: \"{}\": {what} in {}", self.name, self.file));
        match text.matches(&self.old).count() {
            1 => {}
            0 => return wrong("its old text is not found any more"),
            _ => return wrong("its old text is found more than once"),
        }
        if !self.new.contains(SWITCH) {
            return wrong("its new text has no switch");
        }
        Ok(text.replacen(&self.old, &self.new.replace(SWITCH, &format!("crate::mutant::is_on({number})")), 1))
    }
}
