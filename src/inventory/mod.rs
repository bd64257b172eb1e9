//! What the node has: values only. Nothing here touches the machine.

mod gpu;
mod mig;

pub use gpu::{ComputeMode, Gpu, Inventory, PciAddress, Process, Unusable};
pub use mig::{
    CapabilityMinors, ComputeInstance, ComputeProfile, Engines, GpuInstance, Mig, Placement,
    Profile, ProfileName,
};
