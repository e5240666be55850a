//! Names that were read lately. A model names the same nodes, types and attributes thousands of times: read again, a name is the
//! one that is there, and neither parsed nor allocated anew.

use std::{cell::RefCell, sync::Arc};

use serde::{Deserializer, de};

use super::{InvalidName, Name, Namespace};

/// How many are remembered on each thread; a name takes the place of another.
const N: usize = 1024;

/// Longer texts are not worth it.
const LENGTH_MAX: usize = 64;

type Memory = [Option<Arc<str>>; N];

thread_local! {
    static NAMES: RefCell<Memory> = const { RefCell::new([const { None }; N]) };
    static NAMESPACES: RefCell<Memory> = const { RefCell::new([const { None }; N]) };
    static TEXTS: RefCell<Memory> = const { RefCell::new([const { None }; N]) };
}

/// Parses a name.
pub(super) fn name(text: &str) -> Result<Name, InvalidName> {
    NAMES.with_borrow_mut(|names| remember(names, text, |text| Name::parse(text).map(|name| name.0))).map(Name)
}

/// Parses a namespace.
pub(super) fn namespace(text: &str) -> Result<Namespace, InvalidName> {
    let parse = |text: &str| Namespace::parse(text).map(|namespace| namespace.0.0);
    NAMESPACES.with_borrow_mut(|names| remember(names, text, parse)).map(|text| Namespace(Name(text)))
}

/// Reads a text that others are likely to be equal to.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    struct Text;
    impl de::Visitor<'_> for Text {
        type Value = Arc<str>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Arc<str>, E> {
            TEXTS.with_borrow_mut(|texts| remember(texts, text, |text| Ok::<_, E>(Arc::from(text))))
        }
    }
    deserializer.deserialize_str(Text)
}

/// What is remembered of a text, or else made of it.
fn remember<E>(memory: &mut Memory, text: &str, make: impl FnOnce(&str) -> Result<Arc<str>, E>) -> Result<Arc<str>, E> {
    if text.len() > LENGTH_MAX {
        return make(text);
    }
    let place = &mut memory[place(text)];
    match place {
        Some(known) if **known == *text => Ok(known.clone()),
        _ => Ok(place.insert(make(text)?).clone()),
    }
}

/// Where a text has its place (FNV-1a: a few bytes are hashed fastest so).
fn place(text: &str) -> usize {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (hash >> 32) as usize % N
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_read_twice_is_one_and_a_wrong_one_is_refused_each_time() {
        let (first, second) = (name("node1").unwrap(), name("node1").unwrap());
        assert!(Arc::ptr_eq(&first.0, &second.0));
        for _ in 0..2 {
            assert!(name("node.1").is_err() && namespace("a..b").is_err());
        }
        assert_eq!(namespace("a.b").unwrap(), Namespace::parse("a.b").unwrap());
        assert!(name("a.b").is_err(), "a namespace that was read is no name");
    }
}
