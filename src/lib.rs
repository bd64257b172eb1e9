//! divvy lets containers share NVIDIA GPUs on one machine.
//!
//! The rooms stand on floors, and a room uses only the rooms below its own floor:
//!
//! | floor | rooms |
//! |---|---|
//! | 6 | `cli` |
//! | 5 | [`doctor`], `engines`, [`labels`], [`metrics`], [`ops`], [`status`] |
//! | 4 | [`claim::store`], [`history`], [`refused`], `share` |
//! | 3 | [`claim::repair`], [`edits`], [`oci`], [`plan`] |
//! | 2 | [`claim`], [`compat`], [`config`], [`hook_args`], [`inventory`], [`request`] |
//! | 1 | [`driver_files`], [`host`], `nvml` |

pub mod claim;
#[cfg(all(feature = "cli", feature = "nvml"))]
pub mod cli;
pub mod compat;
pub mod config;
#[cfg(all(feature = "cli", feature = "nvml"))]
pub mod doctor;
pub mod document;
pub mod driver_files;
pub mod edits;
#[cfg(feature = "cli")]
pub mod engines;
pub mod history;
pub mod hook_args;
pub mod host;
pub mod inventory;
pub mod labels;
pub mod metrics;
#[cfg(feature = "nvml")]
pub mod nvml;
pub mod oci;
pub mod ops;
pub mod plan;
pub mod refused;
pub mod request;
#[cfg(feature = "cli")]
mod schema;
#[cfg(feature = "nvml")]
pub mod share;
pub mod status;
mod suggest;
