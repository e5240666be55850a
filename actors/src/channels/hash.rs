//! Hash: what belongs together goes to one receiver.

use enact::{
    model::{Attribute, DataType},
    runtime::{
        channel::{ChannelCtx, ChannelType, Ends, Settings, attribute, rendezvous, stable_hash},
        instance::{Message, ParamError},
    },
    words::Value,
};

/// Messages with the same key go to the same receiver, in order. When a receiver comes or goes, only the keys that it takes
/// or leaves change their receiver; one that is stopped keeps its keys, and its messages are kept for it.
#[derive(Debug, Default)]
pub struct Hash {
    /// A JSON pointer; empty for the whole message.
    pointer: String,
}

impl ChannelType for Hash {
    const NAME: &'static str = "Hash";
    const VERSION: &'static str = "1.0.0";
    const DOC: &'static str = "Messages with the same key go to the same receiver, in order";

    fn params() -> Vec<Attribute> {
        let doc = "What is the key in a message: the name of a field, or a JSON pointer (/order/customer); all of it if empty";
        vec![attribute("key", DataType::String, "", doc)]
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), ParamError> {
        let key = settings.text("key");
        self.pointer = if key.is_empty() || key.starts_with('/') { key.to_owned() } else { format!("/{key}") };
        Ok(())
    }

    fn route(&mut self, message: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        let value = message.to_value().unwrap_or(Value::Null);
        // Messages without the key belong together too.
        let key = value.pointer(&self.pointer).unwrap_or(&Value::Null).to_string();
        if let Some(end) = rendezvous(stable_hash(key.as_bytes()), ends.hopeful()) {
            ctx.deliver(end.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use enact::runtime::channel::testing::Bench;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Serialize, Deserialize)]
    struct Order {
        customer: u64,
        n: u64,
    }

    fn send_all(bench: &mut Bench<Hash>, names: &[&str]) -> BTreeMap<u64, String> {
        (0..100).for_each(|n| bench.send(Order { customer: n % 20, n }));
        let mut by_customer = BTreeMap::new();
        for name in names {
            for order in bench.given(name) {
                let customer = order["customer"].as_u64().unwrap();
                let before = by_customer.insert(customer, (*name).to_owned());
                assert!(before.is_none_or(|before| before == *name), "customer {customer} has two receivers");
            }
        }
        by_customer
    }

    #[test]
    fn a_key_stays_with_its_receiver_when_others_come_and_go() {
        let mut bench = Bench::<Hash>::new(&[("key", "customer")]).unwrap();
        ["a", "b", "c"].into_iter().for_each(|name| bench.receiver(name));
        let with_three = send_all(&mut bench, &["a", "b", "c"]);
        assert_eq!(with_three.len(), 20);
        bench.receiver("d");
        let with_four = send_all(&mut bench, &["a", "b", "c", "d"]);
        assert!(with_four.iter().all(|(customer, name)| name == "d" || with_three[customer] == *name));
        bench.remove("d");
        assert_eq!(send_all(&mut bench, &["a", "b", "c"]), with_three);
    }

    #[test]
    fn a_stopped_receiver_keeps_its_keys() {
        let mut bench = Bench::<Hash>::new(&[("key", "/customer")]).unwrap();
        ["a", "b"].into_iter().for_each(|name| bench.receiver(name));
        let before = send_all(&mut bench, &["a", "b"]);
        bench.stop("a");
        send_all(&mut bench, &["b"]);
        bench.start("a");
        let kept = bench.given("a");
        assert!(!kept.is_empty());
        assert!(kept.iter().all(|order| before[&order["customer"].as_u64().unwrap()] == "a"));
    }
}
