//! What the node has. The values touch nothing; [`read()`] asks the driver, [`Capabilities`] its /proc.

#[cfg(feature = "nvml")]
mod attributes;
#[cfg(feature = "nvml")]
mod boards;
mod capabilities;
#[cfg(feature = "nvml")]
mod driver;
#[cfg(feature = "nvml")]
mod fabric;
mod gpu;
#[cfg(feature = "nvml")]
mod instances;
mod mig;
#[cfg(feature = "nvml")]
mod names;
#[cfg(feature = "nvml")]
mod read;
#[cfg(feature = "nvml")]
mod utilization;

#[cfg(feature = "nvml")]
pub use attributes::attributes;
pub use capabilities::{Capabilities, CapabilityError};
#[cfg(feature = "nvml")]
pub use fabric::cliques;
pub use gpu::{ComputeMode, Gpu, Inventory, PciAddress, PciIds, Process, Unusable, Utilization};
pub use mig::{
    Attributes, CapabilityMinors, ComputeInstance, ComputeProfile, Engines, GpuInstance, Mig,
    Placement, Profile, ProfileName, UNKNOWN_PROFILE,
};
#[cfg(feature = "nvml")]
pub use read::{InventoryError, Nvml, Scope, kernel_module_version, open, read};
#[cfg(feature = "nvml")]
pub use utilization::utilization;
