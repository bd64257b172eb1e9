//! The configuration of NVIDIA's Kubernetes device plugin, `version: v1`, and the manifests around it.
//!
//! The format is that of k8s-device-plugin 0.17 to 0.20 (`api/config/v1`). The plugin reads `rename` and
//! `devices` and does nothing with them; here they hold.

mod flags;
mod manifest;
mod sharing;
#[cfg(test)]
mod tests;

pub use flags::{
    AllocationPolicy, DeviceIdStrategy, DiscoveryStrategy, Flags, GfdFlags, PluginFlags, Words,
};
pub use manifest::{Choice, LABEL, Named, ReadError, is_one, read};
pub use sharing::{
    DeviceRef, Devices, MAX_REPLICAS, Replicated, Resource, ResourceName, Sharing, Strategy,
};

use crate::document::nullable;
use serde::{Deserialize, Serialize};

/// What the plugin does on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginConfig {
    /// The format's version.
    pub version: Version,
    /// Options of the plugin's command line.
    #[serde(default, deserialize_with = "nullable")]
    pub flags: Flags,
    /// Names for devices by product. The plugin reads none: here one that is set is an error.
    #[serde(default, deserialize_with = "nullable")]
    pub resources: Patterns,
    /// How devices are shared.
    #[serde(default, deserialize_with = "nullable")]
    pub sharing: Sharing,
    /// Channels between nodes.
    #[serde(default, deserialize_with = "nullable")]
    pub imex: Imex,
}

/// The format's version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// The only one that there is.
    #[default]
    V1,
}

/// What MIG devices are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MigStrategy {
    /// They are not offered.
    #[default]
    None,
    /// `nvidia.com/gpu`, as GPUs are: every GPU is cut, and all MIG devices are alike.
    Single,
    /// `nvidia.com/mig-1g.10gb`, by their profile.
    Mixed,
}

/// `resources:`, names by product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Patterns {
    /// Of GPUs.
    #[serde(default, deserialize_with = "no_patterns")]
    pub gpus: (),
    /// Of MIG devices.
    #[serde(default, deserialize_with = "no_patterns")]
    pub mig: (),
}

/// The plugin accepts these two lists and ignores them; the entry that every plugin has, all GPUs as
/// `nvidia.com/gpu`, says what holds anyway.
fn no_patterns<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pattern {
        pattern: String,
        name: String,
    }
    let patterns: Vec<Pattern> = nullable(deserializer)?;
    match patterns
        .iter()
        .find(|one| one.pattern != "*" || !matches!(one.name.as_str(), "gpu" | "nvidia.com/gpu"))
    {
        None => Ok(()),
        Some(Pattern { pattern, name }) => Err(serde::de::Error::custom(format_args!(
            "{pattern:?} can't be called {name:?}: neither NVIDIA's plugin nor divvy names devices by product; \
             give the devices that are shared another name with rename under sharing"
        ))),
    }
}

/// `imex:`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Imex {
    /// The channels that every container gets.
    #[serde(rename = "channelIDs")]
    pub channel_ids: Vec<u32>,
    /// Whether a channel must be there.
    pub required: bool,
}

impl PluginConfig {
    /// What the configuration asks for and divvy doesn't do: a sentence each, with what to use instead.
    #[must_use]
    pub fn without_effect(&self) -> Vec<String> {
        let mut sentences = self.flags.without_effect();
        if !self.imex.channel_ids.is_empty() {
            sentences.push(
                "imex.channelIDs is left out: channels between nodes are added by `nvidia-ctk cdi generate --mode imex`"
                    .to_owned(),
            );
        }
        sentences
    }
}
