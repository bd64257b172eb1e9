//! The manifests that the configuration stands in: a ConfigMap with a configuration under each of its keys,
//! and the GPU Operator's ClusterPolicy that names the ConfigMap, a key and the MIG strategy.

use super::{MigStrategy, PluginConfig};
use crate::document::{self, FileError, Wrong};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::path::Path;

/// The node label that chooses one of several configurations.
pub const LABEL: &str = "nvidia.com/device-plugin.config";

/// Which of several configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The only one, the one that the ClusterPolicy names, or the one called `default`.
    #[default]
    Usual,
    /// The one of this name: the value of the label [`LABEL`] on the node.
    Named(String),
}

/// A configuration, and what it is called where it stood among others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its key in the ConfigMap.
    pub name: Option<String>,
    /// The configuration, with the ClusterPolicy's MIG strategy where there is one.
    pub config: PluginConfig,
    /// What was decided while reading and should be known, a sentence each.
    pub notes: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file, or something in it.
    #[error(transparent)]
    File(#[from] FileError),
    /// It isn't said which configuration counts.
    #[error(
        "{file} has the configurations {names}: choose one with --config-name NAME, or by the node's label with --node-label {LABEL}=NAME"
    )]
    Which {
        /// The file.
        file: String,
        /// Their names.
        names: String,
    },
    /// There is none of that name.
    #[error("{file} has no configuration {wanted:?}, but {names}")]
    Unknown {
        /// The file.
        file: String,
        /// The name that was asked for.
        wanted: String,
        /// Those that there are.
        names: String,
    },
}

/// A document's first look.
#[derive(Deserialize)]
struct Head {
    kind: Option<Spanned<String>>,
}

#[derive(Deserialize)]
struct ConfigMap {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default, deserialize_with = "document::nullable")]
    data: BTreeMap<String, Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
}

/// What of a ClusterPolicy is about sharing. The rest is the operator's own business.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ClusterPolicy {
    spec: PolicySpec,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PolicySpec {
    mig: Mig,
    device_plugin: DevicePlugin,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Mig {
    strategy: Option<MigStrategy>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DevicePlugin {
    #[serde(deserialize_with = "document::nullable")]
    config: PolicyConfig,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PolicyConfig {
    name: String,
    default: String,
}

/// What a file has.
#[derive(Default)]
struct Found {
    /// The documents of ConfigMaps, with their text.
    maps: Vec<(ConfigMap, String)>,
    policy: Option<ClusterPolicy>,
    bare: Option<PluginConfig>,
}

/// Whether a text is such a file: divvy's own configuration has neither a version nor a kind.
#[must_use]
pub fn is_one(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Marks {
        version: Option<IgnoredAny>,
        kind: Option<IgnoredAny>,
    }
    document::split(text).iter().any(|one| {
        document::parse::<Marks>(one)
            .is_ok_and(|marks| marks.version.is_some() || marks.kind.is_some())
    })
}

/// Reads a configuration out of a file: bare, in a ConfigMap, or in one beside a ClusterPolicy.
///
/// # Errors
/// It can't be read, something in it has no meaning, or it isn't clear which configuration counts.
pub fn read(text: &str, path: &Path, choice: &Choice) -> Result<Named, ReadError> {
    let wrong = |wrong| ReadError::File(FileError::wrong(path, wrong));
    let found = find(text).map_err(wrong)?;
    let policy = found.policy.unwrap_or_default().spec;
    let named = match found.bare {
        Some(config) => bare(config, choice, path)?,
        None => match map(found.maps, &policy.device_plugin.config).map_err(wrong)? {
            Some((map, text)) => from_map(&map, &text, choice, &policy.device_plugin.config, path)?,
            None => without_map(&policy.device_plugin.config),
        },
    };
    Ok(with_strategy(named, policy.mig.strategy))
}

fn find(text: &str) -> Result<Found, Wrong> {
    let mut found = Found::default();
    for text in document::split(text) {
        let head: Head = document::parse(&text)?;
        let twice = |what: &str| Wrong {
            line: text.lines().take_while(|line| line.is_empty()).count() as u64 + 1,
            column: 1,
            message: format!("this is a second {what}: keep one"),
        };
        match head.kind {
            None if found.bare.is_some() => return Err(twice("configuration")),
            None => found.bare = Some(document::parse(&text)?),
            Some(kind) => match kind.value.as_str() {
                "ConfigMap" => found.maps.push((document::parse(&text)?, text)),
                "ClusterPolicy" if found.policy.is_some() => return Err(twice("ClusterPolicy")),
                "ClusterPolicy" => found.policy = Some(document::parse(&text)?),
                other => {
                    let message = format!(
                        "a {other} has no configuration of the device plugin: it is read from a ConfigMap, a ClusterPolicy, or as it is (version: v1)"
                    );
                    return Err(Wrong::at(kind.referenced, message));
                }
            },
        }
    }
    Ok(found)
}

fn bare(config: PluginConfig, choice: &Choice, path: &Path) -> Result<Named, ReadError> {
    match choice {
        Choice::Usual => Ok(Named { name: None, config, notes: Vec::new() }),
        Choice::Named(wanted) => Err(ReadError::Unknown {
            file: path.display().to_string(),
            wanted: wanted.clone(),
            names: "one without a name".to_owned(),
        }),
    }
}

/// The ConfigMap that counts: the policy's, or the only one.
fn map(
    maps: Vec<(ConfigMap, String)>,
    policy: &PolicyConfig,
) -> Result<Option<(ConfigMap, String)>, Wrong> {
    let count = maps.len();
    let mut kept =
        maps.into_iter().filter(|(map, _)| count == 1 || map.metadata.name == policy.name);
    match (kept.next(), count) {
        (None, 2..) => Err(Wrong {
            line: 1,
            column: 1,
            message: "there are several ConfigMaps, and no ClusterPolicy names one of them (spec.devicePlugin.config.name): keep one".to_owned(),
        }),
        (first, _) => Ok(first),
    }
}

fn from_map(
    map: &ConfigMap,
    text: &str,
    choice: &Choice,
    policy: &PolicyConfig,
    path: &Path,
) -> Result<Named, ReadError> {
    let file = path.display().to_string();
    let names = || map.data.keys().cloned().collect::<Vec<_>>().join(", ");
    let usual = [policy.default.as_str(), "default"];
    let name = match (choice, map.data.len()) {
        (Choice::Named(name), _) => name.as_str(),
        (Choice::Usual, 1) => map.data.keys().next().map_or("", String::as_str),
        (Choice::Usual, _) => match usual.into_iter().find(|name| map.data.contains_key(*name)) {
            Some(name) => name,
            None => return Err(ReadError::Which { file, names: names() }),
        },
    };
    let Some(said) = map.data.get(name) else {
        return Err(ReadError::Unknown { file, wanted: name.to_owned(), names: names() });
    };
    let config = document::parse_inner(&said.value, text, said.referenced)
        .map_err(|wrong| FileError::wrong(path, wrong))?;
    Ok(Named { name: Some(name.to_owned()), config, notes: Vec::new() })
}

/// A ClusterPolicy alone: what it says of MIG, and where the rest is.
fn without_map(policy: &PolicyConfig) -> Named {
    let mut notes = Vec::new();
    if !policy.name.is_empty() {
        notes.push(format!(
            "how devices are shared stands in the ConfigMap {}, which is not in this file: put both in one file, with --- between them",
            policy.name
        ));
    }
    Named { name: None, config: PluginConfig::default(), notes }
}

/// The operator hands its own strategy to the plugin as a variable, which goes before the file's.
fn with_strategy(mut named: Named, strategy: Option<MigStrategy>) -> Named {
    let Some(strategy) = strategy else { return named };
    if named.config.flags.mig_strategy.replace(strategy).is_some_and(|old| old != strategy) {
        named.notes.push(
            "flags.migStrategy differs from the ClusterPolicy's spec.mig.strategy, which goes before it".to_owned(),
        );
    }
    named
}
