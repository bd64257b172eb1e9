//! Configurations of NVIDIA's mig-parted, `version: v1`: layouts of MIG devices by label.
//!
//! ```yaml
//! version: v1
//! mig-configs:
//!   two-kinds:                       # a label: free text
//!   - device-filter: "0x20B010DE"    # PCI device and vendor, one or a list; all GPUs, if not said
//!     devices: [0, 1]                # or all
//!     mig-enabled: true
//!     mig-devices:                   # {} is MIG mode without instances
//!       "1g.5gb": 2
//!       "1g.5gb+me": 1
//!       "1c.3g.20gb": 3              # compute instances that part one GPU instance
//!   - devices: [2]
//!     mig-enabled: false
//! ```
//!
//! The form is that of mig-parted 0.15 (`api/spec/v1`). A Kubernetes ConfigMap around it is taken off.

mod read;
#[cfg(test)]
mod tests;

use crate::inventory::{Gpu, PciIds, ProfileName};
use crate::suggest::nearest;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// The layouts of a file, by label.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(try_from = "read::Form")]
#[cfg_attr(feature = "cli", schemars(with = "read::Form"))]
pub struct Layouts {
    labels: BTreeMap<String, Vec<Entry>>,
}

/// A place in the file, for errors that are found later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// From 1.
    pub line: u64,
    /// From 1.
    pub column: u64,
}

/// What some GPUs should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Boards that it is for; empty for all.
    pub filter: Vec<DeviceFilter>,
    /// Which GPUs of those.
    pub devices: Devices,
    /// Where it says which.
    pub devices_at: At,
    /// What they should be.
    pub want: Want,
    /// Where the entry begins.
    pub at: At,
}

impl Entry {
    /// Whether it is for boards like this GPU's.
    pub fn is_for(&self, gpu: &Gpu) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|filter| filter.matches(gpu.pci_ids))
    }
}

/// Which GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// All.
    All,
    /// By NVML's index, which counts all GPUs of the node.
    Indices(Vec<u32>),
}

/// A kind of board, by PCI's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceFilter {
    /// Device × 65536 + vendor.
    pub device: u32,
    /// The same of the subsystem, where it counts.
    pub subsystem: Option<u32>,
}

impl DeviceFilter {
    fn matches(self, ids: PciIds) -> bool {
        self.device == ids.device && self.subsystem.is_none_or(|wanted| wanted == ids.subsystem)
    }
}

impl fmt::Display for DeviceFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08X}", self.device)?;
        self.subsystem.map_or(Ok(()), |subsystem| write!(f, ":0x{subsystem:08X}"))
    }
}

/// What a GPU should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Want {
    /// Whole: MIG mode off.
    Off,
    /// MIG mode on, with these MIG devices and no others.
    On(Vec<Wish>),
}

impl Want {
    /// Whether both say the same, wherever they say it.
    pub fn same(&self, other: &Want) -> bool {
        let devices = |want: &Want| match want {
            Want::Off => None,
            Want::On(wishes) => {
                let counted = wishes.iter().filter(|wish| wish.count > 0);
                let pairs = counted.map(|wish| (wish.profile.to_string(), wish.count));
                Some(pairs.collect::<BTreeMap<_, _>>())
            }
        };
        devices(self) == devices(other)
    }
}

/// A number of MIG devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Of which profile.
    pub profile: MigProfile,
    /// How many.
    pub count: u32,
    /// Where it is said.
    pub at: At,
}

/// A MIG device's profile: `3g.40gb`, or `1c.3g.40gb` for a part of such a GPU instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MigProfile {
    /// The GPU instance's.
    pub name: ProfileName,
    /// Compute slices, where they are fewer than the GPU instance has.
    pub compute: Option<u32>,
}

impl MigProfile {
    /// Reads a profile.
    ///
    /// # Errors
    /// What is wrong with it, and how one is written.
    pub fn parse(text: &str) -> Result<MigProfile, String> {
        let shown: String = text.chars().take(40).collect();
        let none = || {
            format!(
                "{shown:?} is no MIG profile: one is written as 1g.10gb, as 1g.10gb+me (or +me.all, +gfx, -me), or as 1c.3g.40gb"
            )
        };
        let (compute, rest) = match text.split_once("c.") {
            Some((slices, rest)) => {
                let plain = !slices.starts_with('0') && slices.bytes().all(|b| b.is_ascii_digit());
                let slices = slices.parse::<u32>().ok().filter(|n| plain && *n > 0);
                (Some(slices.ok_or_else(none)?), rest)
            }
            None => (None, text),
        };
        let name = ProfileName::parse(rest).ok_or_else(none)?;
        match compute {
            Some(slices) if slices > name.slices => Err(format!(
                "{shown:?} is no MIG profile: a GPU instance of {} compute slices has no part of {slices}",
                name.slices
            )),
            _ => Ok(MigProfile { compute: compute.filter(|slices| *slices < name.slices), name }),
        }
    }
}

impl fmt::Display for MigProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(slices) = self.compute {
            write!(f, "{slices}c.")?;
        }
        self.name.fmt(f)
    }
}

/// There is no layout of that label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The label is none of the file's.
    #[error("there is no layout {label:?}: {}", meant(label, labels))]
    Unknown {
        /// What was asked for.
        label: String,
        /// What there is.
        labels: Vec<String>,
    },
    /// There is none to choose.
    #[error("the file has no layout: mig-configs is empty")]
    None,
    /// No label was given, and there are several layouts.
    #[error("the file has {} layouts: name one with --label ({})", labels.len(), labels.join(", "))]
    NotSaid {
        /// What there is.
        labels: Vec<String>,
    },
}

fn meant(label: &str, labels: &[String]) -> String {
    let known: Vec<&str> = labels.iter().map(String::as_str).collect();
    match nearest(label, &known) {
        Some(meant) => format!("is {meant:?} meant?"),
        None => format!("the file has {}", labels.join(", ")),
    }
}

impl Layouts {
    /// The layout of a label; without one, the only layout that there is.
    ///
    /// # Errors
    /// There is none of that label, or the only one is none.
    pub fn select(&self, label: Option<&str>) -> Result<&[Entry], LabelError> {
        let labels = || self.labels.keys().cloned().collect();
        match label {
            Some(label) => self
                .labels
                .get(label)
                .map(Vec::as_slice)
                .ok_or_else(|| LabelError::Unknown { label: label.to_owned(), labels: labels() }),
            None if self.labels.len() == 1 => {
                Ok(self.labels.values().next().map_or(&[], Vec::as_slice))
            }
            None if self.labels.is_empty() => Err(LabelError::None),
            None => Err(LabelError::NotSaid { labels: labels() }),
        }
    }

    /// The labels, in their order.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.keys().map(String::as_str)
    }
}
