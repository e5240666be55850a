//! Parameters: what a component's fields marked `#[param]` accept, and how a dictionary becomes their values.

use std::{
    cmp::Ordering,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::{
    model::{Attribute, DataType, Dictionary},
    runtime::instance::ParamError,
    words::AttributeName,
};

/// A parameter of a component type.
#[derive(Clone, Copy, Debug)]
pub struct ParamDef {
    /// The name.
    pub name: &'static str,
    /// The datatype in the model.
    pub datatype: DataType,
    /// The datatype as people read it: `u16`, `duration`.
    pub kind: &'static str,
    /// Whether it may have no value.
    pub optional: bool,
    /// Whether each node (or binding) has a value of its own.
    pub fragment: bool,
    /// The value of who says nothing.
    pub default: Option<&'static str>,
    /// The smallest value.
    pub min: Option<&'static str>,
    /// The largest value.
    pub max: Option<&'static str>,
    /// The only values allowed; empty for any.
    pub one_of: &'static [&'static str],
    /// Shown as `•••`, never logged.
    pub secret: bool,
    /// What it is for.
    pub doc: &'static str,
}

impl ParamDef {
    /// A required parameter of a type, without limits; to be refined with struct update syntax.
    pub const fn of<T: ParamType>(name: &'static str) -> ParamDef {
        ParamDef {
            name,
            datatype: T::DATATYPE,
            kind: T::KIND,
            optional: T::OPTIONAL,
            fragment: false,
            default: None,
            min: T::MIN,
            max: T::MAX,
            one_of: &[],
            secret: false,
            doc: "",
        }
    }

    /// The attribute in the type's definition.
    pub(super) fn attribute(&self) -> Attribute {
        Attribute {
            name: AttributeName::parse(self.name).expect("a field's name is a name"),
            datatype: self.datatype,
            // In a model, an empty text is no value: who may be empty may have none, and who may have none is empty at first.
            optional: self.optional || self.default == Some(""),
            state: false,
            fragment: self.fragment,
            default: self.default.or(self.optional.then_some("")).map(Into::into),
            min: self.min.map(Into::into),
            max: self.max.map(Into::into),
            one_of: self.one_of.iter().map(|&text| text.into()).collect(),
            secret: self.secret,
            doc: self.doc.into(),
        }
    }
}

/// What can be a parameter. Implement it for a type of your own to parse it from text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter",
    note = "parameters are numbers, bool, char, String, Duration, PathBuf, addresses, or an Option of one; implement `enact::ParamType` for your own type"
)]
pub trait ParamType: Sized + Clone + PartialEq {
    /// The datatype in the model.
    const DATATYPE: DataType;
    /// The datatype as people read it.
    const KIND: &'static str;
    /// Whether no value is a value.
    const OPTIONAL: bool = false;
    /// The smallest value that the type can hold, where the datatype could hold less.
    const MIN: Option<&'static str> = None;
    /// The largest value that the type can hold, where the datatype could hold more.
    const MAX: Option<&'static str> = None;

    /// Reads a value.
    ///
    /// # Errors
    /// What was there and what would have worked: `"x" is not a u16`.
    fn parse(text: &str) -> Result<Self, String>;

    /// How the value stands to a limit; `None` for types without order.
    fn compare(&self, _limit: &Self) -> Option<Ordering> {
        None
    }

    /// The value when there is none; `None` when one is required.
    fn absent() -> Option<Self> {
        None
    }
}

macro_rules! numbers {
    ($($number:ty, $datatype:ident, $min:expr, $max:expr;)*) => {$(
        impl ParamType for $number {
            const DATATYPE: DataType = DataType::$datatype;
            const KIND: &'static str = stringify!($number);
            const MIN: Option<&'static str> = $min;
            const MAX: Option<&'static str> = $max;
            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|error| format!("\"{text}\" is not a {}: {error}", stringify!($number)))
            }
            fn compare(&self, limit: &Self) -> Option<Ordering> {
                self.partial_cmp(limit)
            }
        }
    )*};
}

numbers! {
    i8, Byte, None, None;
    i16, Short, None, None;
    i32, Int, None, None;
    i64, Long, None, None;
    isize, Long, None, None;
    u8, Short, Some("0"), Some("255");
    u16, Int, Some("0"), Some("65535");
    u32, Long, Some("0"), Some("4294967295");
    u64, Long, Some("0"), None;
    usize, Long, Some("0"), None;
    f32, Float, None, None;
    f64, Double, None, None;
}

macro_rules! texts {
    ($($text:ty, $kind:literal, $example:literal;)*) => {$(
        impl ParamType for $text {
            const DATATYPE: DataType = DataType::String;
            const KIND: &'static str = $kind;
            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("\"{text}\" is not {} {}", $kind, $example))
            }
        }
    )*};
}

texts! {
    String, "text", "";
    PathBuf, "path", "";
    IpAddr, "ip address", "like 127.0.0.1";
    SocketAddr, "address", "like 127.0.0.1:8080";
}

impl ParamType for bool {
    const DATATYPE: DataType = DataType::Boolean;
    const KIND: &'static str = "bool";
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            other => Err(format!("\"{other}\" is not true or false")),
        }
    }
}

impl ParamType for char {
    const DATATYPE: DataType = DataType::Char;
    const KIND: &'static str = "char";
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("\"{text}\" is not one character"))
    }
    fn compare(&self, limit: &Self) -> Option<Ordering> {
        Some(self.cmp(limit))
    }
}

impl ParamType for Duration {
    const DATATYPE: DataType = DataType::Duration;
    const KIND: &'static str = "duration";
    fn parse(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .map_err(|error| format!("\"{text}\" is not a duration like 3s or 250ms: {error}"))
    }
    fn compare(&self, limit: &Self) -> Option<Ordering> {
        Some(self.cmp(limit))
    }
}

impl<T: ParamType> ParamType for Option<T> {
    const DATATYPE: DataType = T::DATATYPE;
    const KIND: &'static str = T::KIND;
    const OPTIONAL: bool = true;
    const MIN: Option<&'static str> = T::MIN;
    const MAX: Option<&'static str> = T::MAX;
    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }
    fn compare(&self, limit: &Self) -> Option<Ordering> {
        self.as_ref()?.compare(limit.as_ref()?)
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Reads parameters from a dictionary and gathers everything that is wrong with it.
pub struct Values<'a> {
    defs: &'static [ParamDef],
    dictionary: &'a Dictionary,
    errors: Vec<ParamError>,
}

impl<'a> Values<'a> {
    /// Reads the parameters `defs` from a dictionary.
    pub fn new(defs: &'static [ParamDef], dictionary: &'a Dictionary) -> Values<'a> {
        Values { defs, dictionary, errors: Vec::new() }
    }

    /// The value of a parameter; `None` is an error that [`Values::finish`] tells.
    pub fn get<T: ParamType>(&mut self, name: &'static str) -> Option<T> {
        let def = self.defs.iter().find(|def| def.name == name)?;
        match self.read(def) {
            Ok(value) => Some(value),
            Err(message) => {
                let message =
                    if def.secret { "has a value that does not fit (it is secret)".to_owned() } else { message };
                self.errors.push(ParamError { param: name.to_owned(), message });
                None
            }
        }
    }

    fn read<T: ParamType>(&self, def: &ParamDef) -> Result<T, String> {
        let given = self.dictionary.iter().find(|(name, _)| name.as_str() == def.name).map(|(_, text)| &**text);
        let Some(text) = given.or(def.default) else {
            return T::absent().ok_or_else(|| format!("is required ({})", def.kind));
        };
        // In a model, no value and an empty text are the same for who may have none.
        if let (true, Some(absent)) = (text.is_empty(), T::absent()) {
            return Ok(absent);
        }
        let value = T::parse(text)?;
        if !def.one_of.is_empty() && !def.one_of.contains(&text) {
            return Err(format!("\"{text}\" is none of: {}", def.one_of.join(", ")));
        }
        let bounds =
            [(def.min, Ordering::Less, "below the minimum"), (def.max, Ordering::Greater, "above the maximum")];
        for (limit, wrong, words) in bounds {
            let Some(limit) = limit else { continue };
            if value.compare(&T::parse(limit)?) == Some(wrong) {
                return Err(format!("{text} is {words} {limit}"));
            }
        }
        Ok(value)
    }

    /// Tells everything that is wrong, names that are no parameters included.
    ///
    /// # Errors
    /// All of it at once.
    pub fn finish(mut self) -> Result<(), Vec<ParamError>> {
        for (name, _) in self.dictionary.iter() {
            if !self.defs.iter().any(|def| def.name == name.as_str()) {
                let known = self.defs.iter().map(|def| def.name).collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() { "there are none".to_owned() } else { format!("known: {known}") };
                self.errors.push(ParamError { param: name.to_string(), message: format!("unknown; {known}") });
            }
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }
}

/// Which parameters an update changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed(pub Vec<&'static str>);

impl Changed {
    /// Whether a parameter changed.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of what changed.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFS: &[ParamDef] = &[
        ParamDef { default: Some("3s"), min: Some("10ms"), max: Some("1h"), ..ParamDef::of::<Duration>("period") },
        ParamDef { one_of: &["up", "down"], default: Some("up"), ..ParamDef::of::<String>("way") },
        ParamDef::of::<u16>("port"),
        ParamDef::of::<Option<f64>>("ratio"),
        ParamDef { secret: true, default: Some("0"), ..ParamDef::of::<i32>("pin") },
    ];

    fn dictionary(values: &[(&str, &str)]) -> Dictionary {
        values.iter().map(|(name, value)| (AttributeName::parse(name).unwrap(), (*value).into())).collect()
    }

    #[test]
    fn defaults_options_and_limits_are_honoured() {
        let dictionary = dictionary(&[("port", "80"), ("way", "down"), ("ratio", "")]);
        let mut values = Values::new(DEFS, &dictionary);
        assert_eq!(values.get("period"), Some(Duration::from_secs(3)));
        assert_eq!(values.get("way"), Some("down".to_owned()));
        assert_eq!(values.get("port"), Some(80_u16));
        assert_eq!(values.get("ratio"), Some(None::<f64>));
        assert_eq!(values.finish(), Ok(()));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let dictionary =
            dictionary(&[("period", "1ms"), ("way", "left"), ("pin", "12x4"), ("ratio", "much"), ("prot", "1")]);
        let mut values = Values::new(DEFS, &dictionary);
        values.get::<Duration>("period");
        values.get::<String>("way");
        values.get::<u16>("port");
        values.get::<Option<f64>>("ratio");
        values.get::<i32>("pin");
        let told: Vec<_> = values.finish().unwrap_err().into_iter().map(|error| error.message).collect();
        assert_eq!(
            told,
            [
                "1ms is below the minimum 10ms",
                "\"left\" is none of: up, down",
                "is required (u16)",
                "\"much\" is not a f64: invalid float literal",
                "has a value that does not fit (it is secret)",
                "unknown; known: period, way, port, ratio, pin",
            ]
        );
    }
}
