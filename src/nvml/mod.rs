//! The driver, asked through NVML: one session, plain values, no symbol presumed.
//!
//! Formats and meanings are those of NVIDIA's nvml.h (12 and 13). What an older library lacks is asked in
//! the older way where there is one; what can't be asked is an error that says so
//! ([`NvmlError::is_unsupported`]).

mod call;
mod device;
mod error;
mod mig;
mod process;
mod session;

pub use device::{Activation, ComputeModeCode, Device, MigMode, Pci};
pub use error::{Code, NvmlError};
pub use mig::{
    ComputeInstance, ComputeInstanceInfo, ComputeInstanceProfile, GpuInstance, GpuInstanceInfo,
    GpuInstanceProfile, Slices,
};
pub use process::{GpuProcess, ProcessUtilization};
pub use session::Session;
