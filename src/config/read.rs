//! From the file to the values. Unknown keys are errors, with what was meant.

use super::{Config, ConfigError, Enforced, GpuEntry, GpuPolicy, Level, RequestSources};
use crate::request::{Mode, Pin, Request};
use crate::suggest::Key;
use crate::yaml::YamlError;
use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::{fmt, marker};

/// A hundred times what a node with 64 GPUs and as many shares needs.
const MAX_BYTES: u64 = 1 << 20;

impl Config {
    /// Reads the file. Without one, the defaults hold.
    ///
    /// # Errors
    /// It can't be read, or something in it has no meaning: where, and what would be right.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        Config::parse(&read_text(path)?, path)
    }

    /// Reads the text of a configuration; `path` is for errors.
    ///
    /// # Errors
    /// Something has no meaning.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        document(text, path)
    }
}

/// The file's text; none, where there is no file.
pub(super) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file.map_err(read)?,
    };
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(read)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
    }
    Ok(text)
}

/// The one document that a configuration is; the default, where it says nothing.
pub(super) fn document<T: Default + DeserializeOwned>(
    text: &str,
    path: &Path,
) -> Result<T, ConfigError> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(T::default());
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let YamlError { message, line, column } = error.into();
        ConfigError::Wrong { path: path.to_owned(), line, column, message }
    })
}

/// A mapping with known keys.
pub(super) trait Table: Default {
    const OF: &'static str;
    const KEYS: &'static [&'static str];

    /// Reads the value of one of the keys.
    fn set<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

struct TableVisitor<T>(marker::PhantomData<T>);

impl<'de, T: Table> Visitor<'de> for TableVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: a mapping with the keys {}", T::OF, T::KEYS.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut table = T::default();
        while let Some(key) = map.next_key_seed(Key { of: T::OF, keys: T::KEYS })? {
            table.set(key, &mut map)?;
        }
        Ok(table)
    }
}

pub(super) fn table<'de, T: Table, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(TableVisitor(marker::PhantomData))
}

impl Table for Config {
    const OF: &'static str = "the configuration";
    const KEYS: &'static [&'static str] =
        &["gpus", "shares", "cdi-names", "requests", "host", "runtime"];

    fn set<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "gpus" => self.gpus = map.next_value()?,
            "shares" => self.shares = shares(map.next_value()?).map_err(A::Error::custom)?,
            "cdi-names" => self.cdi_names = map.next_value::<Named>()?.0,
            "requests" => self.requests = map.next_value()?,
            "host" => self.host = map.next_value()?,
            "runtime" => self.runtime = map.next_value()?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Config, D::Error> {
        table(deserializer)
    }
}

/// Checks that share names are CDI device names that mean nothing else.
fn shares(shares: BTreeMap<String, Request>) -> Result<BTreeMap<String, Request>, String> {
    for name in shares.keys() {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        let (first, last) = (name.bytes().next(), name.bytes().last());
        if !(edge(first) && edge(last) && name.bytes().all(letter) && name.len() <= 63) {
            return Err(format!(
                "{name:?} can't be a share's name: use 1 to 63 letters, digits, '_', '-' and '.', \
                 a letter or digit at both ends"
            ));
        }
        if Request::from_cdi_name(name).is_ok() {
            return Err(format!("{name:?} can't be a share's name: it is a request of its own"));
        }
    }
    Ok(shares)
}

/// Requests that CDI device names can say.
struct Named(Vec<Request>);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Named, D::Error> {
        let requests = Vec::<Request>::deserialize(deserializer)?;
        for request in &requests {
            request.cdi_name().map_err(D::Error::custom)?;
        }
        Ok(Named(requests))
    }
}

impl Table for RequestSources {
    const OF: &'static str = "requests";
    const KEYS: &'static [&'static str] = &["from-environment", "from-pod-annotations"];

    fn set<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let said = map.next_value()?;
        match key {
            "from-environment" => self.from_environment = said,
            _ => self.from_pod_annotations = said,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for RequestSources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RequestSources, D::Error> {
        table(deserializer)
    }
}

/// An entry's keys as they stand.
#[derive(Default)]
struct EntryForm {
    matched: Option<Pin>,
    managed: bool,
    modes: Option<BTreeSet<Mode>>,
    replicas: Option<u32>,
    mig_mode: Option<MigMode>,
    compute_mode: Option<ComputeMode>,
    oversubscribe: bool,
    require: Option<Require>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MigMode {
    Leave,
    Enable,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ComputeMode {
    Leave,
    Exclusive,
}

impl Table for EntryForm {
    const OF: &'static str = "an entry of gpus";
    const KEYS: &'static [&'static str] = &[
        "match",
        "managed",
        "modes",
        "replicas",
        "mig-mode",
        "compute-mode",
        "oversubscribe",
        "require",
    ];

    fn set<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "match" => self.matched = Some(map.next_value::<Matched>()?.0),
            "managed" => self.managed = map.next_value()?,
            "modes" => self.modes = Some(map.next_value()?),
            "replicas" => self.replicas = Some(map.next_value::<Replicas>()?.0),
            "mig-mode" => self.mig_mode = Some(map.next_value()?),
            "compute-mode" => self.compute_mode = Some(map.next_value()?),
            "oversubscribe" => self.oversubscribe = map.next_value()?,
            _ => self.require = Some(map.next_value()?),
        }
        Ok(())
    }
}

impl EntryForm {
    fn entry(self) -> Result<GpuEntry, &'static str> {
        let default = GpuPolicy::default();
        let gpus =
            self.matched.ok_or("an entry of gpus needs the key \"match\": \"*\" is every GPU")?;
        let enable_mig = self.mig_mode == Some(MigMode::Enable);
        let exclusive_process = self.compute_mode == Some(ComputeMode::Exclusive);
        if !self.managed && (enable_mig || exclusive_process) {
            return Err("modes are changed on managed GPUs only: add managed: true");
        }
        let require = self.require.unwrap_or_default();
        let policy = GpuPolicy {
            modes: self.modes.unwrap_or(default.modes),
            replicas: self.replicas.unwrap_or(default.replicas),
            enable_mig,
            exclusive_process,
            managed: self.managed,
            oversubscribe: self.oversubscribe,
            require: Enforced {
                memory: require.memory.unwrap_or(Level::No),
                compute: require.compute.unwrap_or(Level::No),
            },
        };
        Ok(GpuEntry { gpus, policy })
    }
}

impl<'de> Deserialize<'de> for GpuEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<GpuEntry, D::Error> {
        table::<EntryForm, D>(deserializer)?.entry().map_err(D::Error::custom)
    }
}

struct Matched(Pin);

impl<'de> Deserialize<'de> for Matched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Matched, D::Error> {
        let pin = Pin::deserialize(deserializer)?;
        match pin {
            Pin::MigDevice(_) => Err(D::Error::custom("policies are for GPUs, not MIG devices")),
            _ => Ok(Matched(pin)),
        }
    }
}

struct Replicas(u32);

impl<'de> Deserialize<'de> for Replicas {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Replicas, D::Error> {
        match u32::deserialize(deserializer)? {
            replicas @ 1..=1000 => Ok(Replicas(replicas)),
            _ => Err(D::Error::custom("replicas is a number from 1 to 1000")),
        }
    }
}

#[derive(Default)]
struct Require {
    memory: Option<Level>,
    compute: Option<Level>,
}

impl Table for Require {
    const OF: &'static str = "require";
    const KEYS: &'static [&'static str] = &["memory", "compute"];

    fn set<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let level = Some(map.next_value()?);
        match key {
            "memory" => self.memory = level,
            _ => self.compute = level,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Require {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Require, D::Error> {
        table(deserializer)
    }
}
