//! Which boot and which load of the driver a record belongs to.

use super::Host;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

/// MIG instances, compute modes and control daemons live at most as long as this stays the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NodeIdentity {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Inode of `/sys/module/nvidia`, which sysfs gives out anew each time that the driver is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_load: Option<u64>,
}

impl Host {
    /// This boot, and this load of the driver.
    ///
    /// # Errors
    /// Where the boot id can't be read.
    pub fn identity(&self) -> io::Result<NodeIdentity> {
        let path = self.proc("sys/kernel/random/boot_id");
        let boot_id = fs::read_to_string(&path).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("can't read the boot id in {}: {error}", path.display()),
            )
        })?;
        let driver_load =
            fs::metadata(self.sys_root.join("module/nvidia")).ok().map(|module| module.ino());
        Ok(NodeIdentity { boot_id: boot_id.trim().to_owned(), driver_load })
    }

    /// 64 random bits, for names that nobody can guess.
    ///
    /// # Errors
    /// Where the kernel has no randomness to give.
    pub fn random(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Milliseconds since boot, sleep included; never set back.
    pub fn uptime_ms(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        u64::try_from(now.tv_sec).unwrap_or(0) * 1000
            + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
    }
}
