//! Which device node guards a MIG instance: the driver's capability files.

use crate::host::Host;
use std::fs;
use std::io;
use std::path::PathBuf;

/// Why a capability's node is not known.
#[derive(Debug, thiserror::Error)]
pub enum CapabilityError {
    /// The driver's file can't be read.
    #[error(
        "the capability file {path} can't be read ({source}): does the MIG device still exist, and is this the driver's /proc (--proc-root)?"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The driver's file says something else.
    #[error(
        "the capability file {path} has no line `DeviceFileMinor: N`: is this the driver's /proc (--proc-root)?"
    )]
    NoMinor {
        /// The file.
        path: PathBuf,
    },
}

/// The host's path of a capability file: of a GPU instance, or of a compute instance in it.
pub fn capability_file(
    host: &Host,
    gpu_minor: u32,
    instance: u32,
    compute: Option<u32>,
) -> PathBuf {
    let mut path = host.proc(format!("driver/nvidia/capabilities/gpu{gpu_minor}/mig/gi{instance}"));
    path.extend(compute.map(|id| format!("ci{id}")));
    path.join("access")
}

/// The N of `/dev/nvidia-caps/nvidia-capN` that a capability file names.
///
/// # Errors
/// Where there is no such file, or no minor in it.
pub fn capability_minor(path: PathBuf) -> Result<u32, CapabilityError> {
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(CapabilityError::Unreadable { path, source }),
    };
    let line = text.lines().find_map(|line| line.strip_prefix("DeviceFileMinor:"));
    let minor = line.and_then(|minor| minor.trim().parse().ok());
    minor.ok_or(CapabilityError::NoMinor { path })
}
