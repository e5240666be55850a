//! What `tail --where` takes: `value > 40`, `value.city = 'Rennes'`, `from = node1.ticker.tick`.

use std::cmp::Ordering;

use crate::{
    runtime::node::api::{ApiError, ErrorCode, TapRecord},
    words::Value,
};

/// Whether an order fulfils an operator.
type Test = fn(Ordering) -> bool;

/// The operators, the longer ones first.
const OPERATORS: [(&str, Test); 6] = [
    ("!=", Ordering::is_ne),
    (">=", Ordering::is_ge),
    ("<=", Ordering::is_le),
    (">", Ordering::is_gt),
    ("<", Ordering::is_lt),
    ("=", Ordering::is_eq),
];

/// A condition on a message.
#[derive(Debug)]
pub(super) struct Filter {
    /// `value`, `from` or `to`, then the fields within.
    path: Vec<String>,
    operator: Test,
    wanted: Value,
}

impl Filter {
    /// Reads a condition.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn parse(text: &str) -> Result<Filter, ApiError> {
        let bad = || {
            ApiError::new(ErrorCode::Invalid, format!("\"{text}\" is no condition"))
                .help("expected `value > 40`, `value.city = 'Rennes'` or `from = node1.ticker.tick`")
        };
        let found = OPERATORS.iter().filter_map(|(sign, operator)| Some((text.find(sign)?, *sign, *operator)));
        let (at, sign, operator) = found.min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len())).ok_or_else(bad)?;
        let (left, right) = (text[..at].trim(), text[at + sign.len()..].trim());
        let path: Vec<String> = left.split('.').map(str::to_owned).collect();
        if !matches!(path[0].as_str(), "value" | "from" | "to") || right.is_empty() || path.iter().any(String::is_empty)
        {
            return Err(bad());
        }
        let unquoted = right.strip_prefix('\'').and_then(|right| right.strip_suffix('\''));
        let wanted = match unquoted {
            Some(text) => Value::String(text.to_owned()),
            None => serde_json::from_str(right).unwrap_or_else(|_| Value::String(right.to_owned())),
        };
        Ok(Filter { path, operator, wanted })
    }

    /// Whether a message fulfils it. One that lacks the field does not.
    pub(super) fn holds(&self, record: &TapRecord) -> bool {
        let port = |port: Option<&crate::words::PortPath>| port.map(|port| Value::String(port.to_string()));
        let root = match self.path[0].as_str() {
            "from" => port(record.from.as_ref()),
            "to" => port(record.to.first()),
            _ => Some(record.value.clone()),
        };
        let Some(root) = root else { return false };
        let found = self.path[1..].iter().try_fold(&root, |value, field| value.get(field.as_str()));
        found.and_then(|found| compare(found, &self.wanted)).is_some_and(self.operator)
    }
}

/// Numbers by size, texts by letters; whatever else is equal or not.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a.as_f64(), b.as_f64(), a.as_str(), b.as_str()) {
        (Some(a), Some(b), _, _) => a.partial_cmp(&b),
        (_, _, Some(a), Some(b)) => Some(a.cmp(b)),
        _ if a == b => Some(Ordering::Equal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(filter: &str, value: Value) -> bool {
        let from = crate::words::PortPath {
            node: "n".parse().unwrap(),
            component: "t".parse().unwrap(),
            port: "tick".parse().unwrap(),
        };
        let record = TapRecord {
            at: crate::words::Time(0),
            from: Some(from),
            to: Vec::new(),
            value,
            elapsed_us: None,
            lost: None,
        };
        Filter::parse(filter).unwrap().holds(&record)
    }

    #[test]
    fn a_condition_compares_numbers_texts_and_ports() {
        assert!(holds("value > 40", 41.into()) && !holds("value > 40", 40.into()));
        assert!(holds("value >= 40", 40.into()) && !holds("value != 40", 40.into()));
        let city = serde_json::json!({"city": "Rennes"});
        assert!(holds("value.city = 'Rennes'", city.clone()) && !holds("value.town = 'Rennes'", city));
        assert!(holds("from = n.t.tick", Value::Null));
        assert!(Filter::parse("value").is_err() && Filter::parse("age > 3").is_err());
    }
}
