//! `GpuConfig` and `MigDeviceConfig`, how the devices of a claim are shared.

use super::quantity::Quantity;
use crate::request::{Interval, Percent};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// One of the driver's two configurations.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct DeviceConfig {
    #[allow(dead_code, reason = "read for what it may say")]
    api_version: ConfigVersion,
    pub(super) kind: ConfigKind,
    #[serde(default)]
    pub(super) sharing: Option<Sharing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
enum ConfigVersion {
    #[serde(rename = "resource.nvidia.com/v1beta1")]
    V1Beta1,
}

/// What a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub(super) enum ConfigKind {
    GpuConfig,
    MigDeviceConfig,
}

/// How a device is shared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(try_from = "SharingForm")]
pub(super) enum Sharing {
    TimeSlicing(Option<Interval>),
    Mps(MpsConfig),
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "ClaimSharing"))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SharingForm {
    strategy: Strategy,
    #[serde(default)]
    time_slicing_config: Option<TimeSlicingConfig>,
    #[serde(default)]
    mps_config: Option<MpsConfig>,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "ClaimStrategy"))]
enum Strategy {
    TimeSlicing,
    #[serde(rename = "MPS")]
    Mps,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct TimeSlicingConfig {
    #[serde(default)]
    interval: Option<IntervalWord>,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
enum IntervalWord {
    Default,
    Short,
    Medium,
    Long,
}

/// Limits under MPS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MpsConfig {
    /// Of the device's threads, in per cent.
    #[serde(deserialize_with = "percent")]
    #[cfg_attr(feature = "cli", schemars(with = "Option<Percent>"))]
    pub(super) default_active_thread_percentage: Option<Percent>,
    /// Of each device's memory.
    pub(super) default_pinned_device_memory_limit: Option<Quantity>,
    /// Of the memory of the device with this index in the claim, or this UUID.
    pub(super) default_per_device_pinned_memory_limit: BTreeMap<String, Quantity>,
    /// A daemon for clients of several uids: not done.
    #[serde(deserialize_with = "one_user")]
    multi_user: Option<bool>,
}

fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Percent>, D::Error> {
    let number = u64::deserialize(deserializer)?;
    Percent::new(number).map(Some).ok_or_else(|| {
        D::Error::custom(format_args!(
            "defaultActiveThreadPercentage is a number from 1 to 100, and this is {number}"
        ))
    })
}

fn one_user<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match bool::deserialize(deserializer)? {
        false => Ok(Some(false)),
        true => Err(D::Error::custom(
            "multiUser: true is not done: a control daemon serves one uid here, whose processes can't reach those of others; make a claim for each (--uid)",
        )),
    }
}

impl TryFrom<SharingForm> for Sharing {
    type Error = &'static str;

    fn try_from(form: SharingForm) -> Result<Sharing, &'static str> {
        match (form.strategy, form.time_slicing_config, form.mps_config) {
            (Strategy::TimeSlicing, _, Some(_)) => Err(
                "mpsConfig says nothing with the strategy TimeSlicing: leave it out, or say MPS",
            ),
            (Strategy::Mps, Some(_), _) => Err(
                "timeSlicingConfig says nothing with the strategy MPS: leave it out, or say TimeSlicing",
            ),
            (Strategy::TimeSlicing, config, None) => {
                let interval = config.and_then(|config| config.interval).map(|word| match word {
                    IntervalWord::Default => Interval::Default,
                    IntervalWord::Short => Interval::Short,
                    IntervalWord::Medium => Interval::Medium,
                    IntervalWord::Long => Interval::Long,
                });
                Ok(Sharing::TimeSlicing(interval))
            }
            (Strategy::Mps, None, config) => Ok(Sharing::Mps(config.unwrap_or_default())),
        }
    }
}
