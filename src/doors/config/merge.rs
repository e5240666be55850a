//! Merges the sources key by key and remembers where each value came from.

use std::{
    collections::BTreeMap,
    error, fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::keys::{self, KEYS, Key, Takes};

/// The largest configuration file that is read.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command.
    Flag,
    /// An environment variable.
    Environment(String),
    /// A line of a file.
    File(PathBuf, usize),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag => f.write_str("flag"),
            Origin::Environment(variable) => write!(f, "environment {variable}"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// One value with its origin. Values are kept as texts; a list has one for each element.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The key.
    pub key: &'static Key,
    /// The values; none when the key is unset.
    pub values: Vec<String>,
    /// Where they came from.
    pub origin: Origin,
}

/// What is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `enact.toml:3`, `environment ENACT_NAME`, `--name`.
    pub place: String,
    /// What.
    pub what: String,
    /// What would work; may be empty.
    pub help: String,
}

/// Everything that is wrong with the configuration, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, fault) in self.0.iter().enumerate() {
            let separator = if idx == 0 { "" } else { "\nerror: " };
            write!(f, "{separator}{}: {}", fault.place, fault.what)?;
            if !fault.help.is_empty() {
                write!(f, "\n  help: {}", fault.help)?;
            }
        }
        Ok(())
    }
}

impl error::Error for Faults {}

/// Where values may come from. The environment is handed in, so that tests have their own.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Keys given as flags.
    pub flags: Vec<(&'static str, Vec<String>)>,
    /// The variables of the environment that start with `ENACT_`.
    pub environment: BTreeMap<String, String>,
    /// Files that are read when they exist, the strongest first.
    pub files: Vec<PathBuf>,
    /// Whether the files must exist (given by `--config`).
    pub files_required: bool,
}

impl Sources {
    /// The usual places: the process's environment, `./enact.toml` and the user's file; or just the file given.
    pub fn usual(file: Option<&Path>, flags: Vec<(&'static str, Vec<String>)>) -> Sources {
        let environment: BTreeMap<String, String> =
            std::env::vars().filter(|(name, _)| name.starts_with("ENACT_")).collect();
        let given = file.map(Path::to_owned).or_else(|| environment.get("ENACT_CONFIG").map(PathBuf::from));
        let files = match &given {
            Some(file) => vec![file.clone()],
            None => std::iter::once(PathBuf::from("enact.toml")).chain(user_file()).collect(),
        };
        Sources { flags, environment, files, files_required: given.is_some() }
    }
}

/// The user's file: `$XDG_CONFIG_HOME/enact/config.toml`.
fn user_file() -> Option<PathBuf> {
    let directory = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = directory("XDG_CONFIG_HOME").or_else(|| directory("HOME").map(|home| home.join(".config")))?;
    Some(base.join("enact").join("config.toml"))
}

/// Every key with its value and origin, in the order of [`KEYS`].
#[derive(Clone, Debug, PartialEq)]
pub struct Settings(Vec<Setting>);

impl Settings {
    /// Merges the sources.
    ///
    /// # Errors
    /// Every unknown key and every unreadable file, at once.
    pub fn merge(sources: &Sources) -> Result<Settings, Faults> {
        let mut faults = Vec::new();
        let mut found: BTreeMap<&'static str, Setting> = BTreeMap::new();
        let mut take = |key: &'static Key, values: Vec<String>, origin: Origin| {
            found.entry(key.name).or_insert(Setting { key, values, origin });
        };
        for (name, values) in &sources.flags {
            if let Some(key) = keys::find(name) {
                take(key, values.clone(), Origin::Flag);
            }
        }
        for key in KEYS {
            let variable = key.variable();
            if let Some(text) = sources.environment.get(&variable) {
                take(key, split(key, text), Origin::Environment(variable));
            }
        }
        for file in &sources.files {
            match read_file(file, sources.files_required) {
                Ok(values) => values.into_iter().for_each(|(key, values, origin)| take(key, values, origin)),
                Err(mut wrong) => faults.append(&mut wrong),
            }
        }
        for key in KEYS {
            take(key, default_of(key), Origin::Default);
        }
        if faults.is_empty() {
            Ok(Settings(KEYS.iter().filter_map(|key| found.remove(key.name)).collect()))
        } else {
            Err(Faults(faults))
        }
    }

    /// The setting of a key.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.key.name == name)
    }

    /// All settings in the order of [`KEYS`].
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { settings: self, faults: Vec::new() }
    }
}

/// Turns texts into what keys want, and gathers what does not fit.
pub(super) struct Reader<'a> {
    settings: &'a Settings,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn setting(&self, name: &str) -> &Setting {
        self.settings.get(name).expect("every key of KEYS has a setting, and only such names are asked for")
    }

    fn fault(&mut self, name: &str, what: String) {
        let setting = self.setting(name);
        let place = match &setting.origin {
            Origin::Flag => format!("--{}", name.rsplit('.').next().unwrap_or(name).replace('_', "-")),
            origin => origin.to_string(),
        };
        let expected = match setting.key.takes {
            Takes::Duration => "a time with its unit, as in 30s or 500ms",
            Takes::Count => "a whole number",
            Takes::Flag => "true or false",
            Takes::Addresses => "an address, as in tcp/192.168.1.10:7700",
            Takes::Text | Takes::OneOf(_) => "",
        };
        let help = if expected.is_empty() { String::new() } else { format!("{name} takes {expected}") };
        self.faults.push(Fault { place, what, help });
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let setting = self.setting(name);
        let value = setting.values.first().filter(|text| !text.is_empty())?.clone();
        if let Takes::OneOf(allowed) = setting.key.takes
            && !allowed.contains(&value.as_str())
        {
            self.fault(name, format!("{name} is \"{value}\"; it takes {}", allowed.join(", ")));
            return None;
        }
        Some(value)
    }

    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        text.parse().map_err(|error| self.fault(name, format!("{name}: {error}"))).ok()
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        let text = self.text(name).unwrap_or_default();
        match text.as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" | "" => false,
            other => {
                self.fault(name, format!("{name} is \"{other}\""));
                false
            }
        }
    }

    pub(super) fn count(&mut self, name: &str) -> usize {
        let text = self.text(name).unwrap_or_default();
        text.parse().unwrap_or_else(|_| {
            self.fault(name, format!("{name} is \"{text}\""));
            0
        })
    }

    pub(super) fn duration(&mut self, name: &str) -> Duration {
        let text = self.text(name).unwrap_or_default();
        humantime::parse_duration(&text).unwrap_or_else(|error| {
            self.fault(name, format!("{name} is \"{text}\": {error}"));
            Duration::ZERO
        })
    }

    pub(super) fn addresses(&mut self, name: &str) -> Vec<String> {
        let values = self.setting(name).values.clone();
        let mut addresses = Vec::new();
        for text in values.iter().filter(|text| !text.is_empty()) {
            match address(text) {
                Some(address) => addresses.push(address),
                None => self.fault(name, format!("{name}: \"{text}\" is no address")),
            }
        }
        addresses
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, Faults> {
        if self.faults.is_empty() { Ok(value) } else { Err(Faults(self.faults)) }
    }
}

/// `HOST:PORT` or `PROTOCOL/HOST:PORT`, with its protocol.
fn address(text: &str) -> Option<String> {
    let (protocol, rest) = text.split_once('/').unwrap_or(("tcp", text));
    let (host, port) = rest.rsplit_once(':')?;
    let good = !host.is_empty() && port.parse::<u16>().is_ok() && matches!(protocol, "tcp" | "tls");
    good.then(|| format!("{protocol}/{rest}"))
}

fn split(key: &Key, text: &str) -> Vec<String> {
    match key.takes {
        Takes::Addresses => {
            text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        }
        _ => vec![text.to_owned()],
    }
}

fn default_of(key: &Key) -> Vec<String> {
    match key.default {
        "" => Vec::new(),
        text => {
            let document = format!("value = {text}");
            let table = DeTable::parse(&document).expect("the defaults in KEYS are TOML");
            let (_, value) = table.get_ref().iter().next().expect("one key was written");
            texts(value.get_ref()).expect("the defaults in KEYS are scalars or lists of them")
        }
    }
}

/// A scalar, or a list of scalars, as texts.
fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(items) => items.iter().map(|item| scalar(item.get_ref())).collect(),
        scalar_value => scalar(scalar_value).map(|text| vec![text]),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

type Found = (&'static Key, Vec<String>, Origin);

/// The values of a file. A file that is not there is no fault unless it was asked for.
fn read_file(path: &Path, required: bool) -> Result<Vec<Found>, Vec<Fault>> {
    let fault =
        |what: String, help: &str| vec![Fault { place: path.display().to_string(), what, help: help.to_owned() }];
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > FILE_MAX_BYTES => {
            return Err(fault(format!("too large: at most {FILE_MAX_BYTES} bytes are read"), ""));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return Ok(Vec::new()),
        Err(error) => return Err(fault(format!("cannot be read: {error}"), "")),
    }
    let text = std::fs::read_to_string(path).map_err(|error| fault(format!("cannot be read: {error}"), ""))?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Found>, Vec<Fault>> {
    let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        vec![Fault {
            place: format!("{}:{line}", path.display()),
            what: error.message().to_owned(),
            help: String::new(),
        }]
    })?;
    let mut found = Vec::new();
    let mut faults: Vec<(usize, Fault)> = Vec::new();
    flatten("", table.get_ref(), &mut |name, key_span, value| {
        let line = line_of(key_span);
        let place = format!("{}:{line}", path.display());
        let wrong = |what: String, help: String| faults.push((line, Fault { place, what, help }));
        match (keys::find(&name), texts(value.get_ref())) {
            (None, _) => wrong(format!("unknown key \"{name}\""), nearest(&name)),
            (Some(_), None) => wrong(format!("\"{name}\" takes a text, a number, a flag or a list"), String::new()),
            (Some(key), Some(values)) => found.push((key, values, Origin::File(path.to_owned(), line))),
        }
    });
    // Tables are visited in order of name; people read files from the top.
    faults.sort_by_key(|(line, _)| *line);
    if faults.is_empty() { Ok(found) } else { Err(faults.into_iter().map(|(_, fault)| fault).collect()) }
}

/// Calls `each` with the dotted name of every value. A table under an unknown name is one unknown key.
fn flatten(prefix: &str, table: &DeTable<'_>, each: &mut impl FnMut(String, usize, &Spanned<DeValue<'_>>)) {
    for (key, value) in table.iter() {
        let name = format!("{prefix}{}", key.get_ref());
        let section = format!("{name}.");
        match value.get_ref() {
            DeValue::Table(inner) if KEYS.iter().any(|known| known.name.starts_with(&section)) => {
                flatten(&section, inner, each);
            }
            _ => each(name, key.span().start, value),
        }
    }
}

/// "did you mean", over whole names and over names without their section.
fn nearest(name: &str) -> String {
    let distance = |known: &str| {
        let bare = known.rsplit('.').next().unwrap_or(known);
        strsim::damerau_levenshtein(name, known).min(strsim::damerau_levenshtein(name, bare) + 1)
    };
    match KEYS.iter().map(|key| (distance(key.name), key.name)).min() {
        Some((distance, known)) if distance <= 2.max(name.len() / 3) => format!("did you mean \"{known}\"?"),
        _ => "`enact config sample` prints every key".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_source_wins_and_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (strong, weak) = (directory.path().join("enact.toml"), directory.path().join("config.toml"));
        std::fs::write(&strong, "group = \"blue\"\n\n[log]\nlevel = \"debug\"\nkept = 5\n").unwrap();
        std::fs::write(&weak, "group = \"red\"\njoin = [\"a:1\", \"tcp/b:2\"]\n").unwrap();
        let sources = Sources {
            flags: vec![("name", vec!["node7".into()])],
            environment: [("ENACT_LOG_LEVEL".to_owned(), "warn".to_owned())].into(),
            files: vec![strong.clone(), weak.clone(), directory.path().join("absent.toml")],
            files_required: false,
        };
        let settings = Settings::merge(&sources).unwrap();
        let origin = |name: &str| settings.get(name).unwrap().origin.clone();
        assert_eq!(origin("name"), Origin::Flag);
        assert_eq!(origin("log.level"), Origin::Environment("ENACT_LOG_LEVEL".into()));
        assert_eq!(origin("log.kept"), Origin::File(strong.clone(), 5));
        assert_eq!(origin("group"), Origin::File(strong, 1));
        assert_eq!(origin("workers"), Origin::Default);
        assert_eq!(settings.reader().addresses("join"), ["tcp/a:1", "tcp/b:2"]);
        assert_eq!(settings.iter().count(), KEYS.len());
    }

    #[test]
    fn an_unknown_key_has_its_line_and_a_suggestion() {
        let wrong = "name = \"a\"\n[log]\nlevle = \"info\"\n[limits.step]\nx = 1\n[sun]\nflower = 1\n";
        let faults = parse(Path::new("enact.toml"), wrong).unwrap_err();
        insta::assert_snapshot!(Faults(faults), @r#"
        enact.toml:3: unknown key "log.levle"
          help: did you mean "log.level"?
        error: enact.toml:4: "limits.step" takes a text, a number, a flag or a list
        error: enact.toml:6: unknown key "sun"
          help: `enact config sample` prints every key
        "#);
    }

    #[test]
    fn a_file_that_is_no_toml_has_its_line() {
        let faults = parse(Path::new("enact.toml"), "name = \"a\"\ngroup =\n").unwrap_err();
        assert_eq!(faults[0].place, "enact.toml:2");
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let sources = Sources { files: vec!["/nowhere/enact.toml".into()], files_required: true, ..Sources::default() };
        assert!(Settings::merge(&sources).unwrap_err().to_string().contains("cannot be read"));
    }
}
