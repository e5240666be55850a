//! What peers send beside links and groups: requests and replies of the API, the state of a component on the move, messages.

use enact::{
    io::engine::codec,
    runtime::{
        instance::{Form, Message, Wire},
        node::api::{self, Request},
    },
};
use serde::{Deserialize, Serialize};

/// The most bytes that a decoder of the target accepts.
const LIMIT: usize = 1 << 20;

/// A message with something of everything that serde knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Sample {
    Unit,
    Number(i64),
    Pair(u8, f64),
    Record { name: String, parts: Vec<Option<u16>>, table: std::collections::BTreeMap<String, Vec<u8>>, flag: char },
}

/// Decodes the bytes as each of them. What is decoded is encoded and decoded again.
pub fn run(data: &[u8]) {
    if let Ok(request) = api::decode_request(data) {
        let encoded = api::encode_request(request);
        let again = api::decode_request(&encoded).map(api::encode_request);
        assert_eq!(again.ok(), Some(encoded), "a request changed on its way");
    }
    if let Ok(reply) = api::decode_reply(data) {
        let encoded = api::encode_reply(Ok(reply));
        let again = api::decode_reply(&encoded).map(|reply| api::encode_reply(Ok(reply)));
        assert_eq!(again.ok(), Some(encoded), "a reply changed on its way");
    }
    if let Ok(wire) = codec::decode::<Wire>(data, LIMIT) {
        let encoded = codec::encode(&wire).expect("what was decoded can be encoded");
        assert_eq!(codec::decode::<Wire>(&encoded, LIMIT).ok().as_ref(), Some(&wire));
        let message = Message::from_wire(wire);
        let _ = (message.clone().decode::<Sample>(), message.clone().decode::<Vec<String>>(), message.to_value());
    }
    if let Ok(sample) = codec::decode::<Sample>(data, LIMIT) {
        let encoded = codec::encode(&sample).expect("what was decoded can be encoded");
        let again = codec::decode::<Sample>(&encoded, LIMIT).expect("what was encoded can be decoded");
        // Not a number is no equal of itself; its bytes are.
        assert_eq!(codec::encode(&again).ok(), Some(encoded));
    }
}

/// Requests, replies and messages.
pub fn seeds() -> Vec<Vec<u8>> {
    let sample = Sample::Record {
        name: "roof".to_owned(),
        parts: vec![Some(7), None],
        table: [("a".to_owned(), vec![1, 2, 3])].into(),
        flag: 'x',
    };
    let compact = codec::encode(&sample).expect("a sample can be encoded");
    let wire =
        Wire { type_name: "Sample".into(), schema: 7, form: Form::Value, body: br#"{"Number":3}"#.to_vec().into() };
    let wire = codec::encode(&wire).expect("a message can be encoded");
    vec![compact, wire, api::encode_request(Request::Status), br#"{"apiVersion":"1","reply":{}}"#.to_vec()]
}
