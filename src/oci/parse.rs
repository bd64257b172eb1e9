//! From the bytes of a `config.json` to its tree.

use super::{REQUEST, REQUEST_VARIABLE};
use crate::hook_args::{CREATE_RUNTIME, PROGRAM};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, de};
use serde_json::{Map, Value};
use std::fmt;

/// The largest configuration that is read, in bytes. Real ones have tens of kilobytes.
pub const MAX_BYTES: usize = 16 << 20;

/// A configuration that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the container's configuration is not the JSON of an OCI runtime: {0}")]
pub struct ParseError(#[from] serde_json::Error);

/// Whether a configuration could ask for anything: a look at its bytes, for the containers that don't. One with a
/// static device has hooks of divvy's, and asks for nothing all the same.
#[must_use]
pub fn may_ask(config: &[u8]) -> bool {
    let mut hooked = false;
    let mut from = 0;
    // `v` is rare in configurations, so that most bytes are passed over by one comparison.
    while let Some(rest) = config.get(from..)
        && let Some(at) = rest.iter().position(|byte| matches!(byte, b'v' | b'V'))
    {
        let word = config.get((from + at).saturating_sub(2)..).unwrap_or_default();
        if word.starts_with(REQUEST.as_bytes()) || word.starts_with(REQUEST_VARIABLE.as_bytes()) {
            return true;
        }
        hooked = hooked || word.starts_with(PROGRAM.as_bytes());
        from += at + 1;
    }
    let stage = CREATE_RUNTIME.as_bytes();
    hooked && config.windows(stage.len()).any(|bytes| bytes == stage)
}

/// Reads a configuration.
///
/// # Errors
/// It is no JSON, is nested more than 127 deep, or has a key twice: runtimes take both, one or the other of
/// them, and an edited configuration would say something else.
pub fn parse(config: &[u8]) -> Result<Value, ParseError> {
    let mut deserializer = serde_json::Deserializer::from_slice(config);
    let value = Tree.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Any JSON value, but none with a key twice.
struct Tree;

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Tree)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            if values.contains_key(&key) {
                let key: String = key.chars().take(80).collect();
                return Err(A::Error::custom(format_args!("the key {key:?} is there twice")));
            }
            values.insert(key, object.next_value_seed(Tree)?);
        }
        Ok(Value::Object(values))
    }
}
