//! The types that a script may use: type definitions with the deploy units that bring them, by namespace, name and version.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Deserialize;
use serde_json::Value;

use super::{DeployUnit, Model, TypeDefinition, kmf};
use crate::words::{InvalidName, Namespace, TypeName, version};

/// The largest type file that is read; Kevoree's whole registry had less than 10 MB.
pub const FILE_MAX_BYTES: usize = 64 << 20;

/// Why a text is no type file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("the type file has {0} bytes; at most {FILE_MAX_BYTES} are read")]
    TooLarge(usize),
    #[error("not a type file: {0}")]
    Format(String),
    #[error("type {idx} of the file: {source}")]
    Namespace { idx: usize, source: InvalidName },
    #[error("type {idx} of the file: {source}")]
    Type { idx: usize, source: kmf::Error },
}

/// All types at hand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Library {
    entries: BTreeMap<(Namespace, TypeName), Vec<Entry>>,
}

/// One version of a type.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The definition; which units it has is chosen with [`Entry::choose`].
    pub definition: TypeDefinition,
    /// All units that can bring it, of any platform and version.
    pub units: Vec<DeployUnit>,
    /// The units that LATEST and RELEASE stand for, where whoever made the library says so: `name/version`.
    tags: BTreeMap<Tag, BTreeSet<String>>,
}

/// A moving name for versions of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Tag {
    /// The newest.
    Latest,
    /// The newest that is not marked as coming before a release.
    Release,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tag::Latest => "LATEST",
            Tag::Release => "RELEASE",
        })
    }
}

/// Which unit of a platform is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitVersion {
    /// What a tag stands for.
    Tagged(Tag),
    /// This very version.
    Exact(String),
}

impl fmt::Display for UnitVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnitVersion::Tagged(tag) => tag.fmt(f),
            UnitVersion::Exact(version) => f.write_str(version),
        }
    }
}

/// Which units are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One of each platform there is.
    Tagged(Tag),
    /// One of each platform that is named, and no other.
    Platforms(BTreeMap<String, UnitVersion>),
}

impl Default for Choice {
    fn default() -> Self {
        Choice::Tagged(Tag::Release)
    }
}

/// A platform for which no unit is there as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{type_ref} has no deploy unit {wanted} for platform \"{platform}\" (it has: {there})")]
pub struct NoUnit {
    /// The type.
    pub type_ref: String,
    /// The platform.
    pub platform: String,
    /// The version that was asked for.
    pub wanted: String,
    /// What there is, as `platform:version`.
    pub there: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeFile {
    types: Vec<FileEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileEntry {
    namespace: String,
    type_definition: Value,
    #[serde(default)]
    deploy_units: Vec<Value>,
    #[serde(default)]
    tags: BTreeMap<Tag, BTreeSet<String>>,
}

impl Library {
    /// Reads a type file: `{"types": [{"namespace", "typeDefinition", "deployUnits", "tags"}]}`.
    ///
    /// # Errors
    /// [`Error`] says which type of the file is wrong, and why.
    pub fn read(text: &str) -> Result<Library, Error> {
        if text.len() > FILE_MAX_BYTES {
            return Err(Error::TooLarge(text.len()));
        }
        let file: TypeFile = serde_json::from_str(text).map_err(|error| Error::Format(error.to_string()))?;
        let mut library = Library::default();
        for (idx, entry) in file.types.into_iter().enumerate() {
            let namespace = Namespace::parse(&entry.namespace).map_err(|source| Error::Namespace { idx, source })?;
            let wrong = |source| Error::Type { idx, source };
            let mut definition = kmf::read_type(&entry.type_definition, &namespace).map_err(wrong)?;
            definition.units.clear();
            let units = entry.deploy_units.iter().map(|unit| kmf::read_unit(unit, &namespace));
            let units = units.collect::<Result<_, _>>().map_err(wrong)?;
            library.add(Entry { definition, units, tags: entry.tags });
        }
        Ok(library)
    }

    /// The types of a model, each with the units that the model has for it.
    pub fn of(model: &Model) -> Library {
        let mut library = Library::default();
        for definition in model.types.values() {
            let units = definition.units.iter().filter_map(|id| model.units.get(id)).map(|unit| (**unit).clone());
            library.add(Entry::new((**definition).clone(), units.collect()));
        }
        library
    }

    /// Adds a version of a type; one that is there already is replaced.
    pub fn add(&mut self, entry: Entry) {
        let id = &entry.definition.id;
        let versions = self.entries.entry((id.namespace.clone(), id.name.clone())).or_default();
        match versions.binary_search_by(|other| order(&other.definition.id.version, &id.version)) {
            Ok(idx) => versions[idx] = entry,
            Err(idx) => versions.insert(idx, entry),
        }
    }

    /// Adds all types of another library, which wins where both have the same.
    pub fn merge(&mut self, other: Library) {
        for entry in other.entries.into_values().flatten() {
            self.add(entry);
        }
    }

    /// A type by namespace, name and version; without a version the highest.
    pub fn find(&self, namespace: &Namespace, name: &TypeName, wanted: Option<&str>) -> Option<&Entry> {
        let versions = self.versions(namespace, name);
        match wanted {
            None => versions.last(),
            Some(wanted) => {
                let exact = versions.iter().find(|entry| &*entry.definition.id.version == wanted);
                let equal = |entry: &&Entry| version::compare(&entry.definition.id.version, wanted).is_eq();
                exact.or_else(|| versions.iter().rev().find(equal))
            }
        }
    }

    /// All versions of a type, the lowest first.
    pub fn versions(&self, namespace: &Namespace, name: &TypeName) -> &[Entry] {
        self.entries.get(&(namespace.clone(), name.clone())).map_or(&[], Vec::as_slice)
    }

    /// The namespaces that have a type of this name.
    pub fn namespaces_of<'a>(&'a self, name: &'a TypeName) -> impl Iterator<Item = &'a Namespace> {
        self.entries.keys().filter(move |(_, found)| found == name).map(|(namespace, _)| namespace)
    }

    /// All types in order of namespace, name and version.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().flatten()
    }

    /// Whether there is no type at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Versions that count the same (`1` and `1.0`) are still told apart, so that each finds its place.
fn order(a: &str, b: &str) -> std::cmp::Ordering {
    version::compare(a, b).then_with(|| a.cmp(b))
}

impl Entry {
    /// A type with all its units; the tags stand for the newest of each platform.
    pub fn new(mut definition: TypeDefinition, units: Vec<DeployUnit>) -> Entry {
        definition.units.clear();
        let mut entry = Entry { definition, units, tags: BTreeMap::new() };
        for tag in [Tag::Latest, Tag::Release] {
            let tagged = entry.platforms().into_iter().filter_map(|platform| entry.newest(platform, tag));
            let tagged = tagged.map(label).collect();
            entry.tags.insert(tag, tagged);
        }
        entry
    }

    /// The platforms that some unit is for; `""` stands for units that name none.
    pub fn platforms(&self) -> BTreeSet<&str> {
        self.units.iter().map(platform).collect()
    }

    /// The units as asked for, at most one for each platform.
    ///
    /// # Errors
    /// [`NoUnit`] names a platform that was asked for and is not there.
    pub fn choose(&self, choice: &Choice) -> Result<Vec<&DeployUnit>, NoUnit> {
        match choice {
            Choice::Tagged(tag) => Ok(self.tagged(*tag)),
            Choice::Platforms(wanted) => wanted
                .iter()
                .map(|(platform, version)| self.unit(platform, version).ok_or_else(|| self.no_unit(platform, version)))
                .collect(),
        }
    }

    /// The definition with the chosen units, and the units: what a model takes in.
    ///
    /// # Errors
    /// [`NoUnit`] names a platform that was asked for and is not there.
    pub fn instantiate(&self, choice: &Choice) -> Result<(TypeDefinition, Vec<DeployUnit>), NoUnit> {
        let units: Vec<DeployUnit> = self.choose(choice)?.into_iter().cloned().collect();
        let mut definition = self.definition.clone();
        definition.units = units.iter().map(|unit| unit.id.clone()).collect();
        Ok((definition, units))
    }

    fn tagged(&self, tag: Tag) -> Vec<&DeployUnit> {
        let platforms = self.platforms().into_iter();
        match self.tags.get(&tag) {
            Some(_) => platforms.filter_map(|platform| self.of_tag(platform, tag)).collect(),
            None => platforms.filter_map(|platform| self.newest(platform, tag)).collect(),
        }
    }

    /// For a single platform a tag counts only where the library has it: a registry without tags has none to offer
    /// (measured on Kevoree, case java5/version__explicit-tags).
    fn unit<'a>(&'a self, platform: &str, version: &UnitVersion) -> Option<&'a DeployUnit> {
        match version {
            UnitVersion::Tagged(tag) => self.of_tag(platform, *tag),
            UnitVersion::Exact(version) => self.of(platform).filter(|unit| *unit.id.version == **version).max_by(newer),
        }
    }

    fn of_tag<'a>(&'a self, platform: &str, tag: Tag) -> Option<&'a DeployUnit> {
        let labels = self.tags.get(&tag)?;
        self.of(platform).filter(|unit| labels.contains(&label(unit))).max_by(newer)
    }

    /// The newest unit of a platform; when only some that come before a release are there, RELEASE takes the newest of those.
    fn newest<'a>(&'a self, platform: &str, tag: Tag) -> Option<&'a DeployUnit> {
        let release = self.of(platform).filter(|unit| !version::is_prerelease(&unit.id.version)).max_by(newer);
        match tag {
            Tag::Release if release.is_some() => release,
            _ => self.of(platform).max_by(newer),
        }
    }

    fn of<'a, 'p>(&'a self, wanted: &'p str) -> impl Iterator<Item = &'a DeployUnit> + use<'a, 'p> {
        self.units.iter().filter(move |unit| platform(unit) == wanted)
    }

    fn no_unit(&self, wanted_platform: &str, wanted: &UnitVersion) -> NoUnit {
        let there: Vec<String> =
            self.units.iter().map(|unit| format!("{}:{}", platform(unit), unit.id.version)).collect();
        NoUnit {
            type_ref: self.definition.id.to_string(),
            platform: wanted_platform.to_owned(),
            wanted: wanted.to_string(),
            there: if there.is_empty() { "none".to_owned() } else { there.join(", ") },
        }
    }
}

fn platform(unit: &DeployUnit) -> &str {
    unit.platform().unwrap_or_default()
}

fn label(unit: &DeployUnit) -> String {
    format!("{}/{}", unit.id.name, unit.id.version)
}

/// By version; of one version the one with the later timestamp, which is how registries publish one version twice.
fn newer(a: &&DeployUnit, b: &&DeployUnit) -> std::cmp::Ordering {
    let timestamp = |unit: &DeployUnit| unit.filters.get("timestamp").and_then(|text| text.parse::<u64>().ok());
    version::compare(&a.id.version, &b.id.version).then_with(|| timestamp(a).cmp(&timestamp(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library() -> Library {
        let unit = |name: &str, version: &str, platform: &str| {
            serde_json::json!({"class": "org.kevoree.DeployUnit@x", "name": name, "version": version, "hashcode": "",
                "filters": [{"class": "org.kevoree.Value@platform", "name": "platform", "value": platform}]})
        };
        let definition =
            |version: &str| serde_json::json!({"class": "org.kevoree.NodeType@x", "name": "Node", "version": version});
        let file = serde_json::json!({"types": [
            {"namespace": "kevoree", "typeDefinition": definition("2"), "deployUnits": [
                unit("n", "1.9.0", "js"), unit("n", "1.10.0", "js"), unit("n", "1.11.0-beta", "js"), unit("m", "3", "java")]},
            {"namespace": "kevoree", "typeDefinition": definition("10"), "deployUnits": [unit("n", "1", "js"), unit("n", "2", "js")],
                "tags": {"LATEST": ["n/2"], "RELEASE": ["n/1"]}},
        ]});
        Library::read(&file.to_string()).unwrap()
    }

    fn chosen(entry: &Entry, choice: &Choice) -> Vec<String> {
        entry.choose(choice).unwrap().iter().map(|unit| format!("{}:{}", platform(unit), unit.id.version)).collect()
    }

    #[test]
    fn a_type_without_a_version_is_the_highest_by_number() {
        let library = library();
        let find = |version| {
            let (namespace, name) = (Namespace::parse("kevoree").unwrap(), TypeName::parse("Node").unwrap());
            library.find(&namespace, &name, version).map(|entry| entry.definition.id.version.to_string())
        };
        assert_eq!(find(None).as_deref(), Some("10"));
        assert_eq!(find(Some("2")).as_deref(), Some("2"));
        assert_eq!(find(Some("2.0")).as_deref(), Some("2"));
        assert_eq!(find(Some("3")), None);
    }

    #[test]
    fn units_are_chosen_for_each_platform_by_tag_or_by_name() {
        let library = library();
        let [two, ten] = library.iter().collect::<Vec<_>>()[..] else { panic!("two versions") };
        assert_eq!(chosen(two, &Choice::default()), ["java:3", "js:1.10.0"]);
        assert_eq!(chosen(two, &Choice::Tagged(Tag::Latest)), ["java:3", "js:1.11.0-beta"]);
        assert_eq!(chosen(ten, &Choice::default()), ["js:1"]);
        let one = |platform: &str, version| Choice::Platforms([(platform.to_owned(), version)].into());
        assert_eq!(chosen(two, &one("js", UnitVersion::Exact("1.9.0".into()))), ["js:1.9.0"]);
        assert_eq!(chosen(ten, &one("js", UnitVersion::Tagged(Tag::Latest))), ["js:2"]);
        let missing = two.choose(&one("rust", UnitVersion::Exact("1".into()))).unwrap_err();
        assert!(missing.to_string().contains("it has: js:1.9.0"), "{missing}");
    }

    #[test]
    fn a_type_file_says_which_type_is_wrong() {
        let file =
            r#"{"types": [{"namespace": "a", "typeDefinition": {"class": "org.kevoree.NodeType@x", "version": "1"}}]}"#;
        let error = Library::read(file).unwrap_err().to_string();
        assert!(error.contains("type 0") && error.contains("\"name\" is missing"), "{error}");
        assert!(Library::read("{}").is_err() && Library::read("[").is_err());
    }
}
