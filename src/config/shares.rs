//! `shares:`, the administrator's own names for requests.

use crate::request::{Alias, Request};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Borrow;
use std::collections::BTreeSet;
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

/// A request with a name, and who may ask for it by that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedShare {
    request: Request,
    /// Uids; with `groups`, `None` where anybody may.
    users: Option<BTreeSet<u32>>,
    groups: Option<BTreeSet<u32>>,
}

/// Who asks for a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "asker")]
pub enum Asker {
    /// The machine's administrator, by a command of his own.
    Root,
    /// A user: who called the command, or whose uid the container's first process has on the host.
    User {
        /// The uid.
        uid: u32,
        /// The groups that are known for sure; none of a container's, which it can choose.
        gids: BTreeSet<u32>,
    },
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asker::Root => f.write_str("root"),
            Asker::User { uid, .. } => write!(f, "uid {uid}"),
        }
    }
}

impl NamedShare {
    /// What it stands for, without its name.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// What it stands for, asked for by this name.
    #[must_use]
    pub fn named(&self, name: &ShareName) -> Request {
        match Alias::parse(name.as_str()) {
            Some(alias) => self.request.clone().with_alias(alias),
            None => self.request.clone(),
        }
    }

    /// Whether somebody may ask for it.
    #[must_use]
    pub fn is_for(&self, asker: &Asker) -> bool {
        match (asker, &self.users, &self.groups) {
            (Asker::Root, ..) | (_, None, None) => true,
            (Asker::User { uid, gids }, users, groups) => {
                users.as_ref().is_some_and(|users| users.contains(uid))
                    || groups.as_ref().is_some_and(|groups| !groups.is_disjoint(gids))
            }
        }
    }
}

/// A share's keys as they stand.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "NamedShare"))]
#[serde(deny_unknown_fields)]
struct ShareForm {
    /// What it stands for
    request: Request,
    /// The uids that may ask for it; with groups, not said: anybody may
    #[serde(default)]
    users: Option<BTreeSet<u32>>,
    /// The gids whose members may ask for it
    #[serde(default)]
    groups: Option<BTreeSet<u32>>,
}

impl<'de> Deserialize<'de> for NamedShare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NamedShare, D::Error> {
        deserializer.deserialize_any(ShareVisitor)
    }
}

struct ShareVisitor;

impl<'de> Visitor<'de> for ShareVisitor {
    type Value = NamedShare;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request, as in mig:1g.10gb, or {request: mig:1g.10gb, users: [1000]}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<NamedShare, E> {
        let request = text.parse::<Request>().map_err(|error| E::custom(error.sentence()))?;
        bare(request)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NamedShare, A::Error> {
        let ShareForm { request, users, groups } =
            ShareForm::deserialize(MapAccessDeserializer::new(map))?;
        Ok(NamedShare { users, groups, ..bare(request)? })
    }
}

fn bare<E: Error>(request: Request) -> Result<NamedShare, E> {
    match request.alias() {
        Some(_) => Err(E::custom("a share's request has no name of its own: leave 'as' out")),
        None => Ok(NamedShare { request, users: None, groups: None }),
    }
}

#[cfg(feature = "cli")]
impl schemars::JsonSchema for NamedShare {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (request, form) =
            (generator.subschema_for::<Request>(), generator.subschema_for::<ShareForm>());
        schemars::json_schema!({ "anyOf": [request, form] })
    }
}
