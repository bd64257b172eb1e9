//! The use cases: what the commands do.

pub mod bind;
#[cfg(feature = "nvml")]
pub mod disconnect;
pub mod generate;
#[cfg(feature = "nvml")]
pub mod grant;
#[cfg(feature = "nvml")]
mod journal;
pub mod list;
#[cfg(feature = "nvml")]
pub mod mig;
#[cfg(feature = "nvml")]
pub mod prepare;
#[cfg(feature = "nvml")]
pub mod reconcile;
pub mod refresh;
#[cfg(feature = "nvml")]
pub mod release;
#[cfg(feature = "nvml")]
pub mod remove_specs;
#[cfg(feature = "nvml")]
pub mod spec_file;
pub mod validate;
