//! What was asked of the model and what was acknowledged: afterwards the model must hold it, or something that was asked later.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

/// The writes of each register, oldest first, and whether each was acknowledged. A register has one writer.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<String, Vec<(String, bool)>>>);

impl Ledger {
    /// Something is asked for. It may come true from now on.
    pub(crate) fn ask(&self, register: &str, value: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(register.to_owned()).or_default().push((value.to_owned(), false));
    }

    /// What was asked last was acknowledged.
    pub(crate) fn acknowledge(&self, register: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = all.get_mut(register).and_then(|writes| writes.last_mut()) {
            last.1 = true;
        }
    }

    /// How many writes were acknowledged.
    pub(crate) fn n_acknowledged(&self) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().flatten().filter(|(_, acknowledged)| *acknowledged).count()
    }

    /// What the model should hold and does not.
    pub(crate) fn missing(&self, model: &Value) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing = Vec::new();
        for (register, writes) in all.iter() {
            let found = look_up(model, register);
            let since = writes.iter().rposition(|(_, acknowledged)| *acknowledged);
            // Before the first acknowledgement there may be nothing yet.
            let may_be = &writes[since.unwrap_or(0)..];
            if !may_be.iter().any(|(value, _)| *value == found) && (since.is_some() || found != ABSENT) {
                let may_be: Vec<&str> = may_be.iter().map(|(value, _)| value.as_str()).collect();
                missing.push(format!("{register} is \"{found}\", may be {}", may_be.join(" or ")));
            }
        }
        missing
    }
}

/// The value of what is not there.
pub(crate) const ABSENT: &str = "absent";

/// The value of a register: of `at NAME` the node of a component, of `type NAME` its type's version, of `NAME.VALUE` a value.
fn look_up(model: &Value, register: &str) -> String {
    let component = |name: &str| {
        let nodes = model["nodes"].as_object().into_iter().flatten();
        nodes.filter_map(|(node, found)| Some((node.clone(), found["components"].get(name)?.clone()))).next()
    };
    let found = match register.split_once(' ') {
        Some(("at", name)) => component(name).map(|(node, _)| node),
        Some(("type", name)) => {
            component(name).and_then(|(_, found)| Some(found["type"].as_str()?.rsplit_once('/')?.1.to_owned()))
        }
        _ => register.split_once('.').and_then(|(name, value)| {
            component(name).and_then(|(_, found)| Some(found["dictionary"][value].as_str()?.to_owned()))
        }),
    };
    found.unwrap_or_else(|| ABSENT.to_owned())
}
