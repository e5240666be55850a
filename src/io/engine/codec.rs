//! Values to bytes and back, for what crosses the wire or rests on disk. The one place that names the codec.
//!
//! bincode 2's standard form through serde. Decoding always has a limit, takes the whole input, and never panics. Not for
//! self-describing values (`serde_json::Value`): carry those as JSON bytes. No recursive types without a depth check.

use bincode::{
    config::{self, Config},
    error::{DecodeError, EncodeError},
    serde::borrow_decode_from_slice,
};
use serde::{Deserialize, Serialize};

/// The most bytes that a message may have when no tighter limit applies.
pub const LIMIT_DEFAULT: usize = super::MESSAGE_MAX_BYTES;

/// Why bytes are not a value, or a value has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The value cannot be written (a map of unknown length, say).
    #[error("cannot be encoded: {0}")]
    Encode(#[source] EncodeError),
    /// The bytes are not what was expected.
    #[error("cannot be decoded: {0}")]
    Decode(#[source] DecodeError),
    /// More bytes than the limit.
    #[error("cannot be decoded: {size} bytes, at most {limit} are accepted")]
    TooLarge {
        /// What there is.
        size: usize,
        /// What is accepted.
        limit: usize,
    },
    /// Bytes follow after the value.
    #[error("cannot be decoded: {n} bytes follow the value")]
    Trailing {
        /// How many.
        n: usize,
    },
}

/// The codec counts what a value takes in memory; a number may take this many times its bytes on the wire (a `u128` as varint).
const MEMORY_PER_BYTE: usize = 16;

/// Room for a small message: most need no more, and none grows by single bytes.
const ROOM_FIRST: usize = 64;

fn standard() -> impl Config {
    config::standard()
}

/// Encodes a value.
///
/// # Errors
/// When the value's `Serialize` fails.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(ROOM_FIRST);
    encode_into(value, &mut bytes)?;
    Ok(bytes)
}

/// How many bytes a value takes, without making them.
///
/// # Errors
/// When the value's `Serialize` fails.
pub fn encoded_len<T: Serialize + ?Sized>(value: &T) -> Result<usize, CodecError> {
    bincode::serde::encode_into_std_write(value, &mut std::io::sink(), standard()).map_err(CodecError::Encode)
}

/// Encodes a value at the end of `into`, without an allocation of its own.
///
/// # Errors
/// When the value's `Serialize` fails; `into` is then as before.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, into: &mut Vec<u8>) -> Result<(), CodecError> {
    let start = into.len();
    match bincode::serde::encode_into_std_write(value, into, standard()) {
        Ok(_) => Ok(()),
        Err(error) => {
            into.truncate(start);
            Err(CodecError::Encode(error))
        }
    }
}

/// Decodes a value from the whole of `bytes`, which may be `limit` long at most. Slices and texts in it may point into `bytes`.
///
/// # Errors
/// When the bytes are too many, too few, or not such a value. Whatever they are, it never panics.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8], limit: usize) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLarge { size: bytes.len(), limit });
    }
    // The codec's own limit is a constant, so there are a few: a declared length that so short an input cannot hold is refused
    // before anything is allocated for it.
    let decoded = match bytes.len().saturating_mul(MEMORY_PER_BYTE) {
        0..0x1_0000 => borrow_decode_from_slice(bytes, config::standard().with_limit::<0x1_0000>()),
        0x1_0000..0x100_0000 => borrow_decode_from_slice(bytes, config::standard().with_limit::<0x100_0000>()),
        _ => borrow_decode_from_slice(bytes, config::standard().with_limit::<0x4000_0000>()),
    };
    let (value, n_read) = decoded.map_err(CodecError::Decode)?;
    match bytes.len() - n_read {
        0 => Ok(value),
        n => Err(CodecError::Trailing { n }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Sample {
        Unit,
        Text(String),
        Record { id: u64, parts: Vec<u8>, table: BTreeMap<String, Option<i32>> },
    }

    fn sample() -> impl Strategy<Value = Sample> {
        let record =
            (any::<u64>(), any::<Vec<u8>>(), prop::collection::btree_map(".{0,8}", any::<Option<i32>>(), 0..5))
                .prop_map(|(id, parts, table)| Sample::Record { id, parts, table });
        prop_oneof![Just(Sample::Unit), ".{0,40}".prop_map(Sample::Text), record]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(value in sample()) {
            let bytes = encode(&value).unwrap();
            prop_assert_eq!(decode::<Sample>(&bytes, bytes.len()).unwrap(), value.clone());
            let mut appended = vec![7];
            encode_into(&value, &mut appended).unwrap();
            prop_assert_eq!(&appended[1..], &bytes[..]);
            prop_assert_eq!(encoded_len(&value).unwrap(), bytes.len());
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Sample>(&bytes, 1000);
            let _ = decode::<Vec<String>>(&bytes, 1000);
            let _ = decode::<BTreeMap<u64, Vec<u64>>>(&bytes, 1000);
        }

        #[test]
        fn a_cut_or_lengthened_value_is_refused(value in sample(), cut in 1usize..4) {
            let mut bytes = encode(&value).unwrap();
            let short = bytes.len().saturating_sub(cut);
            prop_assert!(decode::<Sample>(&bytes[..short], 1000).is_err());
            bytes.push(0);
            prop_assert!(decode::<Sample>(&bytes, 1000).is_err());
        }
    }

    #[test]
    fn a_declared_length_allocates_nothing() {
        // A vector that says it has 2^40 elements, in five bytes.
        let hostile = [253, 0, 0, 0, 0, 0, 1, 0, 0];
        assert!(matches!(decode::<Vec<u64>>(&hostile, 1000), Err(CodecError::Decode(_))));
    }

    /// Wherever the bytes go on with a huge number, it may be the length of a map.
    fn survives<T: DeserializeOwned>() {
        for n_before in 0..64 {
            for byte in [0, 1] {
                let mut bytes = vec![byte; n_before];
                bytes.extend([253, 0, 0, 0, 0, 0, 0, 0, 1]);
                bytes.extend([0; 20]);
                assert!(decode::<T>(&bytes, 1000).is_err());
            }
        }
    }

    #[test]
    fn a_declared_number_of_elements_of_a_model_allocates_nothing() {
        use crate::{logic::plan::Adaptation, model};
        survives::<model::TypeDefinition>();
        survives::<model::DeployUnit>();
        survives::<model::Instance>();
        survives::<model::Node>();
        survives::<model::Scope>();
        survives::<model::Model>();
        survives::<Adaptation>();
    }

    #[test]
    fn a_slice_is_read_in_place() {
        let bytes = encode(&(7_u8, "text")).unwrap();
        let (_, text): (u8, &str) = decode(&bytes, 1000).unwrap();
        assert_eq!(text.as_ptr(), bytes[2..].as_ptr());
    }

    #[test]
    fn more_bytes_than_the_limit_are_refused() {
        let bytes = encode("a text").unwrap();
        assert!(matches!(decode::<String>(&bytes, 3), Err(CodecError::TooLarge { size: 7, limit: 3 })));
    }
}
