//! The driver, asked through NVML: one session, plain values, no symbol presumed.
//!
//! Formats and meanings are those of NVIDIA's nvml.h (12 and 13). What an older library lacks is asked in
//! the older way where there is one; what can't be asked is an error that says so
//! ([`NvmlError::is_unsupported`]).

mod call;
mod device;
mod error;
mod fabric;
mod instance;
mod process;
mod profile;
mod session;

pub use device::{Activation, ComputeMode, Device, MigAttributes, MigMode, Pci};
pub use error::{Code, NvmlError};
pub use fabric::{Fabric, FabricState};
pub use instance::{ComputeInstance, ComputeInstanceInfo, GpuInstance, GpuInstanceInfo};
pub use process::{GpuProcess, ProcessUtilization};
pub use profile::{ComputeInstanceProfile, GpuInstanceProfile, Slices};
pub use session::Session;
