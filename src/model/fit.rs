//! Whether a value fits an attribute: its datatype, its limits, its list of values.

use std::{fmt, time::Duration};

use super::{Attribute, DataType};

/// Why a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Unfit {
    #[error("attribute \"{0}\" must have a value")]
    Empty(String),
    #[error("\"{value}\" is no {datatype}")]
    Datatype { value: String, datatype: DataType },
    #[error("\"{value}\" is below the minimum {min}")]
    BelowMin { value: String, min: String },
    #[error("\"{value}\" is above the maximum {max}")]
    AboveMax { value: String, max: String },
    #[error("\"{value}\" is none of {allowed}")]
    NotListed { value: String, allowed: String },
}

impl Unfit {
    /// Whether the value is of the right datatype, but not among those that are allowed.
    pub fn is_range(&self) -> bool {
        matches!(self, Unfit::BelowMin { .. } | Unfit::AboveMax { .. } | Unfit::NotListed { .. })
    }
}

/// A value as something that has an order.
#[derive(PartialEq, PartialOrd)]
enum Measure {
    Whole(i64),
    Number(f64),
    Time(Duration),
    Other,
}

impl DataType {
    /// The value measured; `None` when it is not of this datatype.
    fn measure(self, value: &str) -> Option<Measure> {
        let whole = |bits: u32| {
            let number: i64 = value.parse().ok()?;
            let limit = i64::MAX >> (64 - bits);
            (-limit - 1..=limit).contains(&number).then_some(Measure::Whole(number))
        };
        match self {
            DataType::Byte => whole(8),
            DataType::Short => whole(16),
            DataType::Int => whole(32),
            DataType::Long => whole(64),
            DataType::Float | DataType::Double => {
                let number: f64 = value.parse().ok()?;
                number.is_finite().then_some(Measure::Number(number))
            }
            DataType::Boolean => matches!(value, "true" | "false").then_some(Measure::Other),
            DataType::Char => (value.chars().count() == 1).then_some(Measure::Other),
            DataType::String => Some(Measure::Other),
            DataType::Duration => humantime::parse_duration(value).ok().map(Measure::Time),
        }
    }
}

impl fmt::Display for DataType {
    /// What a value of it is, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DataType::Byte => "whole number of 8 bits",
            DataType::Short => "whole number of 16 bits",
            DataType::Int => "whole number of 32 bits",
            DataType::Long => "whole number",
            DataType::Float | DataType::Double => "number",
            DataType::Boolean => "boolean (true or false)",
            DataType::Char => "single character",
            DataType::String => "text",
            DataType::Duration => "duration (such as 250ms or 3s)",
        })
    }
}

impl Attribute {
    /// Whether the attribute takes this value.
    ///
    /// # Errors
    /// [`Unfit`] says what the value is and what would fit.
    pub fn accepts(&self, value: &str) -> Result<(), Unfit> {
        if value.is_empty() && !self.optional {
            return Err(Unfit::Empty(self.name.to_string()));
        }
        let owned = value.to_owned();
        let Some(measure) = self.datatype.measure(value) else {
            return Err(Unfit::Datatype { value: owned, datatype: self.datatype });
        };
        let limit = |limit: &Option<std::sync::Arc<str>>| {
            let text = limit.as_ref()?;
            Some((self.datatype.measure(text)?, text.to_string()))
        };
        if let Some((_, min)) = limit(&self.min).filter(|(least, _)| measure < *least) {
            return Err(Unfit::BelowMin { value: owned, min });
        }
        if let Some((_, max)) = limit(&self.max).filter(|(most, _)| measure > *most) {
            return Err(Unfit::AboveMax { value: owned, max });
        }
        if !self.one_of.is_empty() && !self.one_of.iter().any(|allowed| **allowed == *value) {
            let allowed = self.one_of.iter().map(|allowed| format!("\"{allowed}\"")).collect::<Vec<_>>().join(", ");
            return Err(Unfit::NotListed { value: owned, allowed });
        }
        Ok(())
    }

    /// The attribute in one line: `period : duration (such as 250ms or 3s), 10ms to 1h, default 3s`.
    pub fn describe(&self) -> String {
        let mut line = format!("{} : {}", self.name, self.datatype);
        match (&self.min, &self.max) {
            (Some(min), Some(max)) => line += &format!(", {min} to {max}"),
            (Some(min), None) => line += &format!(", at least {min}"),
            (None, Some(max)) => line += &format!(", at most {max}"),
            (None, None) => {}
        }
        if !self.one_of.is_empty() {
            line += &format!(", one of {}", self.one_of.join(", "));
        }
        match &self.default {
            Some(default) if !default.is_empty() && !self.secret => line += &format!(", default {default}"),
            _ if self.optional => line += ", optional",
            _ => {}
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::AttributeName;

    fn attribute(datatype: DataType) -> Attribute {
        Attribute {
            name: AttributeName::parse("a").unwrap(),
            datatype,
            optional: false,
            state: false,
            fragment: false,
            default: None,
            min: None,
            max: None,
            one_of: Vec::new(),
            secret: false,
            doc: "".into(),
        }
    }

    #[test]
    fn a_value_is_all_of_its_datatype_or_nothing() {
        let fits = |datatype, value| attribute(datatype).accepts(value).is_ok();
        assert!(fits(DataType::Long, "-12") && !fits(DataType::Long, "12abc") && !fits(DataType::Long, "1.5"));
        assert!(fits(DataType::Byte, "-128") && !fits(DataType::Byte, "128"));
        assert!(fits(DataType::Int, "2147483647") && !fits(DataType::Int, "2147483648"));
        assert!(fits(DataType::Double, "1e3") && !fits(DataType::Double, "NaN"));
        assert!(fits(DataType::Boolean, "true") && !fits(DataType::Boolean, "True"));
        assert!(fits(DataType::Char, "é") && !fits(DataType::Char, "ab"));
        assert!(fits(DataType::Duration, "250ms") && !fits(DataType::Duration, "fast"));
        assert!(!fits(DataType::String, "") && fits(DataType::String, "x"));
    }

    #[test]
    fn limits_are_measured_in_the_attributes_own_notation() {
        let mut period = attribute(DataType::Duration);
        (period.min, period.max) = (Some("10ms".into()), Some("1h".into()));
        assert_eq!(period.accepts("1ms").unwrap_err().to_string(), "\"1ms\" is below the minimum 10ms");
        assert!(period.accepts("2h").unwrap_err().is_range() && period.accepts("59m").is_ok());
        assert_eq!(period.describe(), "a : duration (such as 250ms or 3s), 10ms to 1h");
        let mut level = attribute(DataType::String);
        level.one_of = vec!["low".into(), "high".into()];
        assert_eq!(level.accepts("mid").unwrap_err().to_string(), "\"mid\" is none of \"low\", \"high\"");
    }
}
