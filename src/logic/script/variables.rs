//! The variables of a script: given by whoever runs it, or generated while it runs.

use std::collections::BTreeMap;

/// Values by name. Generated ones are added while a script runs, so that the caller sees what they became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<String, String>,
    generated: Vec<String>,
}

impl Variables {
    /// No variables.
    pub fn new() -> Variables {
        Variables::default()
    }

    /// Gives a variable a value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.insert(name.into(), value.into());
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// All of them in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names of those that were generated, in order.
    pub fn generated(&self) -> impl Iterator<Item = &str> {
        self.generated.iter().map(String::as_str)
    }

    /// Gives a variable a new value: ten letters and digits that follow from `salt` and the name, and that are not `taken`.
    pub(super) fn generate(&mut self, name: &str, salt: u64, taken: impl Fn(&str) -> bool) -> &str {
        let mut attempt = 0u64;
        let value = loop {
            let value = random_name(name, salt, attempt);
            if !taken(&value) {
                break value;
            }
            attempt += 1;
        };
        self.generated.push(name.to_owned());
        self.values.entry(name.to_owned()).insert_entry(value).into_mut()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut variables = Variables::new();
        for (name, value) in pairs {
            variables.set(name, value);
        }
        variables
    }
}

/// A name that starts with a letter and has no vowel, so that it is never a word.
fn random_name(name: &str, salt: u64, attempt: u64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz";
    const ALL: &[u8] = b"bcdfghjklmnpqrstvwxz0123456789";
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"enact script variable").update(&salt.to_le_bytes()).update(&attempt.to_le_bytes());
    let hash = hasher.update(name.as_bytes()).finalize();
    let letter = |(at, byte): (usize, &u8)| {
        let letters = if at == 0 { LETTERS } else { ALL };
        char::from(letters[usize::from(*byte) % letters.len()])
    };
    hash.as_bytes()[..10].iter().enumerate().map(letter).collect()
}
