//! From the file to the values. Unknown keys are errors, with what was meant.

use super::{Config, Enforced, GpuEntry, GpuPolicy, Level};
use crate::compat::device_plugin::{self, Choice, ReadError};
use crate::document::{self, FileError, Wrong};
use crate::request::{Mode, Pin, Request};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

impl Config {
    /// Reads the file. Without one, the defaults hold.
    ///
    /// # Errors
    /// It can't be read, or something in it has no meaning: where, and what would be right.
    pub fn load(path: &Path) -> Result<Config, FileError> {
        Config::parse(&read_text(path)?, path)
    }

    /// Reads the text of a configuration; `path` is for errors.
    ///
    /// A configuration of NVIDIA's device plugin, with or without the manifests around it, is one as well.
    ///
    /// # Errors
    /// Something has no meaning.
    pub fn parse(text: &str, path: &Path) -> Result<Config, FileError> {
        if !device_plugin::is_one(text) {
            return document(text, path);
        }
        let named =
            device_plugin::read(text, path, &Choice::Usual).map_err(|error| match error {
                ReadError::File(error) => error,
                other => {
                    FileError::wrong(path, Wrong { line: 1, column: 1, message: other.to_string() })
                }
            })?;
        Ok(Config::from(&named))
    }
}

/// The file's text; none, where there is no file.
pub(super) fn read_text(path: &Path) -> Result<String, FileError> {
    match document::read(path) {
        Err(FileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(String::new())
        }
        read => read,
    }
}

/// The one document that a configuration is; the default, where it says nothing.
pub(super) fn document<T: Default + DeserializeOwned>(
    text: &str,
    path: &Path,
) -> Result<T, FileError> {
    if document::is_empty(text) {
        return Ok(T::default());
    }
    document::parse(text).map_err(|wrong| FileError::wrong(path, wrong))
}

/// Requests that CDI device names can say.
pub(super) fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Request>, D::Error> {
    let requests = Vec::<Request>::deserialize(deserializer)?;
    for request in &requests {
        request.cdi_name().map_err(D::Error::custom)?;
    }
    Ok(requests)
}

/// An entry's keys as they stand.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", schemars(rename = "GpuEntry"))]
pub(super) struct EntryForm {
    /// Which GPUs: an index, a GPU-UUID, or a product with * and ?
    #[serde(rename = "match", deserialize_with = "matched")]
    #[cfg_attr(feature = "cli", schemars(with = "Pin"))]
    gpus: Pin,
    /// Whether divvy may change the modes of the GPU
    #[serde(default)]
    managed: bool,
    /// What it may be used for; all, if not said
    modes: Option<BTreeSet<Mode>>,
    /// Claims that may take turns on it, or on one MIG device of it
    #[serde(default, deserialize_with = "replicas")]
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = 1000)))]
    replicas: Option<u32>,
    /// Claims that may be on it in all; any number, if not said
    #[serde(default, deserialize_with = "claims")]
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = 1000)))]
    claims: Option<u32>,
    /// Whether nothing but shares and resources may be asked for on it
    #[serde(default)]
    only_shares: bool,
    /// Whether MIG mode may be turned on
    #[serde(default)]
    mig_mode: MigMode,
    /// Whether the compute mode may be set for MPS
    #[serde(default)]
    compute_mode: ComputeMode,
    /// Whether MPS limits may sum to more than there is
    #[serde(default)]
    oversubscribe: bool,
    /// What must be enforced at least
    #[serde(default)]
    require: Require,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum MigMode {
    #[default]
    Leave,
    Enable,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum ComputeMode {
    #[default]
    Leave,
    Exclusive,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct Require {
    memory: Option<Level>,
    compute: Option<Level>,
}

impl TryFrom<EntryForm> for GpuEntry {
    type Error = &'static str;

    fn try_from(form: EntryForm) -> Result<GpuEntry, &'static str> {
        let default = GpuPolicy::default();
        let enable_mig = form.mig_mode == MigMode::Enable;
        let exclusive_process = form.compute_mode == ComputeMode::Exclusive;
        if !form.managed && (enable_mig || exclusive_process) {
            return Err("modes are changed on managed GPUs only: add managed: true");
        }
        let policy = GpuPolicy {
            modes: form.modes.unwrap_or(default.modes),
            replicas: form.replicas.unwrap_or(default.replicas),
            claims: form.claims,
            only_shares: form.only_shares,
            enable_mig,
            exclusive_process,
            managed: form.managed,
            oversubscribe: form.oversubscribe,
            require: Enforced {
                memory: form.require.memory.unwrap_or(Level::No),
                compute: form.require.compute.unwrap_or(Level::No),
            },
        };
        Ok(GpuEntry { gpus: form.gpus, policy })
    }
}

fn matched<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pin, D::Error> {
    match Pin::deserialize(deserializer)? {
        Pin::MigDevice(_) => Err(D::Error::custom("policies are for GPUs, not MIG devices")),
        pin => Ok(pin),
    }
}

fn replicas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match u32::deserialize(deserializer)? {
        replicas @ 1..=1000 => Ok(Some(replicas)),
        _ => Err(D::Error::custom("replicas is a number from 1 to 1000")),
    }
}

fn claims<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match u32::deserialize(deserializer)? {
        claims @ 1..=1000 => Ok(Some(claims)),
        _ => Err(D::Error::custom("claims is a number from 1 to 1000")),
    }
}
