//! A deserializer that reads nothing: it gives sample values to a type and writes down what the type asked for.

use std::fmt;

use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::schema::short_name;

/// What a type is made of.
pub(super) struct Structure<T> {
    /// The structure in words; equal for equal structures.
    pub text: String,
    /// Sample values, one for each variant and one that is as empty as can be; `None` when the type refused them.
    pub samples: Option<Vec<T>>,
}

/// The most questions that one sample may ask: bounds types that never end.
const QUESTIONS_MAX: usize = 20_000;

/// The most variants that are looked into; of an enum with more, the names are still all there.
const PASSES_MAX: usize = 64;

/// Lets a type describe itself.
pub(super) fn structure<T: de::DeserializeOwned>() -> Structure<T> {
    let mut text = String::new();
    let mut samples = Some(Vec::new());
    let mut n_passes = 1;
    let mut pass = 0;
    while pass < n_passes.min(PASSES_MAX) {
        let mut trace = Trace { pass, ..Trace::default() };
        let sample = T::deserialize(Ask(&mut trace));
        text.push_str(&trace.text);
        n_passes = n_passes.max(trace.n_variants);
        keep(sample, &mut samples);
        pass += 1;
    }
    let mut trace = Trace { empty: true, ..Trace::default() };
    let sample = T::deserialize(Ask(&mut trace));
    keep(sample, &mut samples);
    Structure { text, samples }
}

fn keep<T>(sample: Result<T, Refused>, samples: &mut Option<Vec<T>>) {
    match (sample, samples.as_mut()) {
        (Ok(sample), Some(all)) => all.push(sample),
        (Ok(_), None) => {}
        (Err(Refused), _) => *samples = None,
    }
}

#[derive(Default)]
struct Trace {
    text: String,
    /// Which variant this pass looks into.
    pass: usize,
    /// Give the emptiest sample there is.
    empty: bool,
    /// The most variants that any enum had.
    n_variants: usize,
    n_questions: usize,
    /// The structs and enums that we are inside of.
    inside: Vec<&'static str>,
}

impl Trace {
    fn say(&mut self, word: &str) -> Result<(), Refused> {
        self.n_questions += 1;
        if self.n_questions > QUESTIONS_MAX {
            return Err(Refused);
        }
        self.text.push_str(word);
        Ok(())
    }

    /// Whether lists should end here: an empty sample is wanted, or a type contains itself.
    fn shut(&self) -> bool {
        let recursing = self.inside.iter().enumerate().any(|(i, name)| self.inside[..i].contains(name));
        self.empty || recursing
    }

    fn nesting(&self, name: &str) -> usize {
        self.inside.iter().filter(|other| **other == name).count()
    }
}

/// The type refused a sample, or asked for what no format without names can give.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the structure cannot be followed")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Refused
    }
}

struct Ask<'a>(&'a mut Trace);

macro_rules! primitives {
    ($($method:ident $visit:ident $word:literal $full:expr, $empty:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            self.0.say($word)?;
            if self.0.empty { visitor.$visit($empty) } else { visitor.$visit($full) }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Ask<'_> {
    type Error = Refused;

    primitives! {
        deserialize_bool visit_bool "bool" true, false;
        deserialize_i8 visit_i8 "i8" 1, 0;
        deserialize_i16 visit_i16 "i16" 1, 0;
        deserialize_i32 visit_i32 "i32" 1, 0;
        deserialize_i64 visit_i64 "i64" 1, 0;
        deserialize_i128 visit_i128 "i128" 1, 0;
        deserialize_u8 visit_u8 "u8" 1, 0;
        deserialize_u16 visit_u16 "u16" 1, 0;
        deserialize_u32 visit_u32 "u32" 1, 0;
        deserialize_u64 visit_u64 "u64" 1, 0;
        deserialize_u128 visit_u128 "u128" 1, 0;
        deserialize_f32 visit_f32 "f32" 1.5, 0.0;
        deserialize_f64 visit_f64 "f64" 1.5, 0.0;
        deserialize_char visit_char "char" 'a', '\0';
        deserialize_str visit_str "text" "a", "";
        deserialize_string visit_str "text" "a", "";
        deserialize_bytes visit_bytes "bytes" b"a", b"";
        deserialize_byte_buf visit_bytes "bytes" b"a", b"";
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        self.0.say("any")?;
        Err(Refused)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_any(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.0.say("?")?;
        if self.0.shut() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.0.say("()")?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.0.say(name)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.0.say(name)?;
        within(self.0, name, |trace| visitor.visit_newtype_struct(Ask(trace)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let len = usize::from(!self.0.shut());
        bracketed(self.0, "[", "]", |trace| visitor.visit_seq(Items { trace, names: &[], at: 0, len }))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        bracketed(self.0, "(", ")", |trace| visitor.visit_seq(Items { trace, names: &[], at: 0, len }))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.0.say(name)?;
        within(self.0, name, |trace| Ask(trace).deserialize_tuple(len, visitor))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let len = usize::from(!self.0.shut());
        bracketed(self.0, "{", "}", |trace| visitor.visit_map(Items { trace, names: &[], at: 0, len }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.0.say(name)?;
        within(self.0, name, |trace| struct_body(trace, fields, visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let trace = self.0;
        trace.say(name)?;
        trace.say(&format!("<{}>", variants.join("|")))?;
        if variants.is_empty() {
            return Err(Refused);
        }
        trace.n_variants = trace.n_variants.max(variants.len());
        // An enum inside itself looks into the next variant, so that one without the enum in it comes up.
        let chosen = (trace.pass.min(variants.len() - 1) + trace.nesting(name)) % variants.len();
        within(trace, name, |trace| visitor.visit_enum(Variant { trace, chosen }))
    }
}

fn struct_body<'de, V: Visitor<'de>>(
    trace: &mut Trace,
    names: &'static [&'static str],
    visitor: V,
) -> Result<V::Value, Refused> {
    bracketed(trace, "{", "}", |trace| visitor.visit_seq(Items { trace, names, at: 0, len: names.len() }))
}

fn within<R>(trace: &mut Trace, name: &'static str, body: impl FnOnce(&mut Trace) -> R) -> R {
    trace.inside.push(name);
    let result = body(trace);
    trace.inside.pop();
    result
}

fn bracketed<R>(
    trace: &mut Trace,
    open: &str,
    close: &str,
    body: impl FnOnce(&mut Trace) -> Result<R, Refused>,
) -> Result<R, Refused> {
    trace.say(open)?;
    let result = body(trace)?;
    trace.say(close)?;
    Ok(result)
}

/// The elements of a list, the entries of a map or the fields of a struct.
struct Items<'a> {
    trace: &'a mut Trace,
    names: &'static [&'static str],
    at: usize,
    len: usize,
}

impl Items<'_> {
    fn answer<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        if let Some(name) = self.names.get(self.at) {
            self.trace.say(name)?;
            self.trace.say(":")?;
        }
        self.at += 1;
        let result = seed.deserialize(Ask(self.trace));
        if result.is_err() {
            // What cannot be followed counts by name, so that another type in its place is still another schema.
            self.trace.text.push_str(&short_name(std::any::type_name::<S::Value>()));
            self.trace.text.extend(self.names.get(self.at..).unwrap_or_default().iter().copied());
        }
        self.trace.say(",")?;
        result
    }
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Refused;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        if self.at == self.len { Ok(None) } else { self.answer(seed).map(Some) }
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.at)
    }
}

impl<'de> de::MapAccess<'de> for Items<'_> {
    type Error = Refused;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        if self.at == self.len { Ok(None) } else { self.answer(seed).map(Some) }
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        seed.deserialize(Ask(self.trace))
    }
}

/// The variant that this pass looks into.
struct Variant<'a> {
    trace: &'a mut Trace,
    chosen: usize,
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = Refused;
    type Variant = Self;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refused> {
        let index = u32::try_from(self.chosen).map_err(|_| Refused)?;
        let value = seed.deserialize(IntoDeserializer::<Refused>::into_deserializer(index))?;
        Ok((value, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = Refused;
    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refused> {
        bracketed(self.trace, "(", ")", |trace| seed.deserialize(Ask(trace)))
    }
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        bracketed(self.trace, "(", ")", |trace| visitor.visit_seq(Items { trace, names: &[], at: 0, len }))
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Refused> {
        struct_body(self.trace, fields, visitor)
    }
}
