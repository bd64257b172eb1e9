//! The named device that a request comes from.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What is asked for by name: one of the administrator's shares (`notebook`), or a replica of a shared
/// device (`nvidia.com/gpu=0::3`). Two requests that differ in nothing else are two shares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(String);

impl Alias {
    /// Reads a name: letters, digits and `_.:/=-`, a letter or digit at both ends, 191 bytes at most.
    pub fn parse(text: &str) -> Option<Alias> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"_.:/=-".contains(&b);
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        let edges = edge(text.bytes().next()) && edge(text.bytes().last());
        (edges && text.len() <= 191 && text.bytes().all(letter)).then(|| Alias(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The resource that a replica is of: what stands before the `=`.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.0.split_once('=').map(|(resource, _)| resource)
    }
}

/// What an alias is.
pub(super) const ALIAS: &str =
    "a name behind 'as' has letters, digits and _.:/=-, a letter or digit at both ends";

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Alias {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Alias {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Alias, D::Error> {
        let text = String::deserialize(deserializer)?;
        Alias::parse(&text).ok_or_else(|| serde::de::Error::custom(ALIAS))
    }
}

#[cfg(feature = "cli")]
crate::schema::text!(Alias, "Alias", "^[A-Za-z0-9]([A-Za-z0-9_.:/=-]*[A-Za-z0-9])?$");
