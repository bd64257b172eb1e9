//! `shares:`, the administrator's own names for requests.

use crate::request::Request;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::borrow::Borrow;
use std::fmt;

/// A share's name: a CDI device name that means nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShareName(String);

impl ShareName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ShareName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShareName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ShareName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ShareName, D::Error> {
        let name = String::deserialize(deserializer)?;
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        let (first, last) = (name.bytes().next(), name.bytes().last());
        if !(edge(first) && edge(last) && name.bytes().all(letter) && name.len() <= 63) {
            return Err(D::Error::custom(format_args!(
                "{name:?} can't be a share's name: use 1 to 63 letters, digits, '_', '-' and '.', \
                 a letter or digit at both ends"
            )));
        }
        if Request::from_cdi_name(&name).is_ok() {
            return Err(D::Error::custom(format_args!(
                "{name:?} can't be a share's name: it is a request of its own"
            )));
        }
        Ok(ShareName(name))
    }
}

#[cfg(feature = "cli")]
crate::schema::text!(ShareName, "ShareName", "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$");
