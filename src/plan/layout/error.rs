//! What a layout asks for and this node can't be.

use crate::compat::mig_parted::{At, DeviceFilter, MigProfile};
use crate::inventory::{PciIds, ProfileName};
use crate::suggest::nearest;

/// A layout that this node can't have. Nothing was touched.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LayoutError {
    /// There is no GPU.
    #[error("there is no GPU that answers: see `divvy status`")]
    NoGpu,
    /// None of its entries is for a GPU of this node.
    #[error(
        "the layout is for no GPU of this node: its device filters are {}, and here {}",
        list(filters),
        here(gpus)
    )]
    NoMatch {
        /// What it is for.
        filters: Vec<DeviceFilter>,
        /// What there is: index and PCI's numbers.
        gpus: Vec<(u32, PciIds)>,
    },
    /// An index without a GPU.
    #[error("there is no GPU {index}{}", has.as_ref().map_or_else(String::new, |has| format!(": this node has {has}")))]
    NoSuchDevice {
        /// The index.
        index: u32,
        /// What there is.
        has: Option<String>,
        /// Where it is named.
        at: At,
    },
    /// A GPU that is named and doesn't answer.
    #[error("GPU {index} can't be used: {reason}")]
    Unusable {
        /// The index.
        index: u32,
        /// What the driver says.
        reason: String,
        /// Where it is named.
        at: At,
    },
    /// A GPU that is named and that the entry's own filter leaves out.
    #[error("GPU {index} is 0x{:08X} (subsystem 0x{:08X}), which the entry's device filter leaves out: take it out of devices, or add it to the filter", ids.device, ids.subsystem)]
    FilteredOut {
        /// The index.
        index: u32,
        /// What it is.
        ids: PciIds,
        /// Where it is named.
        at: At,
    },
    /// Two entries want different things of one GPU.
    #[error("GPU {index} is to be two things at once: the entry of line {} says another", first.line)]
    TwoEntries {
        /// The index.
        index: u32,
        /// The other entry.
        first: At,
        /// The entry.
        at: At,
    },
    /// MIG devices on GPUs that can't do MIG.
    #[error("{} can't do MIG", gpus.join(", "))]
    NotCapable {
        /// `GPU 0 (NVIDIA L4)`.
        gpus: Vec<String>,
        /// Where they are named.
        at: At,
    },
    /// The board has no such profile.
    #[error("GPU {gpu} ({name}) has no profile {}{}", profile.name, meant(&profile.name, has))]
    NoProfile {
        /// NVML's index.
        gpu: u32,
        /// The product.
        name: String,
        /// What was wanted.
        profile: MigProfile,
        /// What it has.
        has: Vec<ProfileName>,
        /// Where it is wanted.
        at: At,
    },
    /// The profile can't be parted like that.
    #[error("{} of GPU {gpu} ({name}) has no part of {} compute slices: it has parts of {}", profile.name, profile.compute.unwrap_or(profile.name.slices), list(has))]
    NoComputeProfile {
        /// NVML's index.
        gpu: u32,
        /// The product.
        name: String,
        /// What was wanted.
        profile: MigProfile,
        /// What it has, in slices.
        has: Vec<u32>,
        /// Where it is wanted.
        at: At,
    },
    /// More than an empty GPU holds.
    #[error(
        "these MIG devices don't fit on GPU {gpu} ({name}) together, even while it is empty: {why}"
    )]
    DoesNotFit {
        /// NVML's index.
        gpu: u32,
        /// The product.
        name: String,
        /// What gives out.
        why: String,
        /// The entry.
        at: At,
    },
}

impl LayoutError {
    /// Where in the file it is, if at one place.
    pub fn at(&self) -> Option<At> {
        match self {
            LayoutError::NoGpu | LayoutError::NoMatch { .. } => None,
            LayoutError::NoSuchDevice { at, .. }
            | LayoutError::Unusable { at, .. }
            | LayoutError::FilteredOut { at, .. }
            | LayoutError::TwoEntries { at, .. }
            | LayoutError::NotCapable { at, .. }
            | LayoutError::NoProfile { at, .. }
            | LayoutError::NoComputeProfile { at, .. }
            | LayoutError::DoesNotFit { at, .. } => Some(*at),
        }
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn here(gpus: &[(u32, PciIds)]) -> String {
    let gpu = |(index, ids): &(u32, PciIds)| {
        format!("GPU {index} is 0x{:08X}:0x{:08X}", ids.device, ids.subsystem)
    };
    gpus.iter().map(gpu).collect::<Vec<_>>().join(", ")
}

fn meant(profile: &ProfileName, has: &[ProfileName]) -> String {
    let names: Vec<String> = has.iter().map(ToString::to_string).collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    match nearest(&profile.to_string(), &known) {
        Some(meant) => format!(": is {meant} meant? It has {}", names.join(", ")),
        None => format!(": it has {}", names.join(", ")),
    }
}
