//! Configurations that people already have, read as they are.

pub mod device_plugin;
pub mod dra;
pub mod mig_parted;
