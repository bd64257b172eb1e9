//! Claims and device records as files, and the locks over them.
//!
//! ```text
//! <state>/                0711
//!   claims/<claim>.json   0700   one claim each
//!   devices/<device>.json 0700   one device record each
//!   gpus/<uuid>/<claim>   0700   which claims may be on a GPU: written before the claim, removed after it
//!   locks/                0700   never renamed, never removed
//!   mps/<random>/         0711   folders of MPS control daemons
//! ```
//!
//! A file is replaced whole (temporary file, fsync, rename, fsync of the folder), so that a reader needs no lock
//! and a crash leaves the old content or the new. The folders of `gpus` only save reading the claims of other
//! GPUs; they may name a claim too many after a crash, never one too few.

mod files;
mod lock;
#[cfg(test)]
mod tests;

pub use lock::{DirectoryLock, GpuLocks, Watch};

use super::{Claim, ClaimId, Device, DeviceId};
use crate::host::Host;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The state directory.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// Where the kernel says who holds a lock.
    locks: PathBuf,
    watch: Option<Watch>,
}

/// What can go wrong with the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder refuses.
    #[error("can't {action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// A record can't be written.
    #[error(transparent)]
    Write(#[from] cdi::WriteError),
    /// The records are root's.
    #[error("can't use {}: it is root's alone; run divvy as root", .0.display())]
    NotPermitted(PathBuf),
    /// Something else stands in a folder's place, a link among them.
    #[error("can't use {}: it is not a folder; remove it, or name another with --state-dir", .0.display())]
    NotFolder(PathBuf),
    /// Somebody else could write claims: the owner.
    #[error("can't use {}: it is owned by uid {owner}, and divvy trusts what is in it; chown it to uid {me}", path.display())]
    Owned {
        /// Which folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who divvy runs as.
        me: u32,
    },
    /// Somebody else could write claims: a group, or anyone.
    #[error("can't use {}: it can be written by others than its owner, and divvy trusts what is in it; chmod go-w it", .0.display())]
    Exposed(PathBuf),
    /// A record that can't be read: who holds what is not known, so nothing is given out.
    #[error("{} is not a record of this version of divvy ({error}): nothing is given out or taken back until it is repaired or, if nothing of it is in use, removed", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        error: serde_json::Error,
    },
    /// Another process holds a lock for longer than this one may wait.
    #[error("busy: another divvy process has held {what} for {}; try again", seconds(waited))]
    Busy {
        /// The state directory or a GPU.
        what: String,
        /// How long this one waited.
        waited: Duration,
    },
    /// A name from the driver that could lead out of the folder.
    #[error("the driver reports a GPU with the UUID {0:?}, which is none")]
    BadUuid(String),
}

/// The folders below the state directory, and their modes.
const FOLDERS: [(&str, u32); 5] =
    [("claims", 0o700), ("devices", 0o700), ("gpus", 0o700), ("locks", 0o700), ("mps", 0o711)];

impl Store {
    fn of(host: &Host) -> Store {
        Store { root: host.state_dir.clone(), locks: host.processes.join("locks"), watch: None }
    }

    /// The same, and `watch` is told when this process has to wait for another one, with that one's pid if it is known.
    #[must_use]
    pub fn watched(self, watch: Option<Watch>) -> Store {
        Store { watch, ..self }
    }

    /// The state directory for one who only reads: what is missing of it holds nothing, and isn't made.
    ///
    /// # Errors
    /// Where somebody else could write into it.
    pub fn look(host: &Host) -> Result<Store, StoreError> {
        let store = Store::of(host);
        let below = FOLDERS.iter().map(|(folder, _)| store.root.join(folder));
        for folder in std::iter::once(store.root.clone()).chain(below) {
            if folder.exists() {
                files::check_folder(&folder)?;
            }
        }
        Ok(store)
    }

    /// Opens the state directory and makes what is missing of it.
    ///
    /// # Errors
    /// Where it can't be made, or somebody else could write into it.
    pub fn open(host: &Host) -> Result<Store, StoreError> {
        let store = Store::of(host);
        files::make_folder(&store.root, 0o711)?;
        for (folder, mode) in FOLDERS {
            files::make_folder(&store.root.join(folder), mode)?;
        }
        Ok(store)
    }

    /// The folder that MPS control daemons get theirs in.
    pub fn mps_folder(&self) -> PathBuf {
        self.root.join("mps")
    }

    /// Locks the records: nobody else plans, binds or ends a claim meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after `patience`.
    pub fn lock(&self, patience: Duration) -> Result<DirectoryLock, StoreError> {
        lock::directory(&self.root.join("locks"), &self.deadline(patience))
    }

    /// Locks GPUs, in the order of their UUIDs: nobody else changes them meanwhile.
    /// Never called with the directory lock held.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after `patience`, all GPUs together.
    pub fn lock_gpus(
        &self,
        uuids: &BTreeSet<&str>,
        patience: Duration,
    ) -> Result<GpuLocks, StoreError> {
        for uuid in uuids {
            checked(uuid)?;
        }
        lock::gpus(&self.root.join("locks"), uuids, &self.deadline(patience))
    }

    fn deadline(&self, patience: Duration) -> lock::Deadline<'_> {
        lock::Deadline::after(patience, &self.locks, self.watch)
    }

    /// One claim, if there is one of that id.
    ///
    /// # Errors
    /// Where its file can't be read.
    pub fn claim(&self, id: &ClaimId) -> Result<Option<Claim>, StoreError> {
        files::read(&self.claim_file(id))
    }

    /// Every claim, by id.
    ///
    /// # Errors
    /// Where one can't be read: what it holds is not known then.
    pub fn claims(&self) -> Result<Vec<Claim>, StoreError> {
        files::read_all(&self.root.join("claims"))
    }

    /// The claims that may be on one of these GPUs, by id.
    ///
    /// # Errors
    /// As for [`Store::claims`].
    pub fn claims_on(&self, gpus: &BTreeSet<&str>) -> Result<Vec<Claim>, StoreError> {
        let mut ids = BTreeSet::new();
        for gpu in gpus {
            ids.extend(files::names(&self.root.join("gpus").join(checked(gpu)?))?);
        }
        let ids = ids.iter().filter_map(|name| name.parse::<ClaimId>().ok());
        ids.filter_map(|id| self.claim(&id).transpose()).collect()
    }

    /// One device record, if it is there.
    ///
    /// # Errors
    /// Where its file can't be read.
    pub fn device(&self, id: &DeviceId) -> Result<Option<Device>, StoreError> {
        files::read(&self.device_file(id))
    }

    /// Every device record, by id.
    ///
    /// # Errors
    /// Where one can't be read.
    pub fn devices(&self) -> Result<Vec<Device>, StoreError> {
        files::read_all(&self.root.join("devices"))
    }

    /// The device records that these claims name. One that is not there is left out: its undo is through.
    ///
    /// # Errors
    /// Where one can't be read.
    pub fn devices_of(&self, claims: &[Claim]) -> Result<Vec<Device>, StoreError> {
        let ids: BTreeSet<&DeviceId> = claims.iter().flat_map(Claim::devices).collect();
        ids.into_iter().filter_map(|id| self.device(id).transpose()).collect()
    }

    /// Writes a claim that is new or has changed. `gpus` are those that its devices are on.
    ///
    /// # Errors
    /// Where it can't be written; the old content stands then.
    pub fn save_claim(
        &self,
        _: &DirectoryLock,
        claim: &Claim,
        gpus: &BTreeSet<&str>,
    ) -> Result<(), StoreError> {
        for gpu in gpus {
            let folder = self.root.join("gpus").join(checked(gpu)?);
            files::make_folder(&folder, 0o700)?;
            files::touch(&folder.join(claim.id.as_str()))?;
        }
        files::write(&self.claim_file(&claim.id), claim)
    }

    /// Removes a claim whose devices are all undone.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub fn remove_claim(&self, _: &DirectoryLock, id: &ClaimId) -> Result<(), StoreError> {
        files::remove(&self.claim_file(id))?;
        for gpu in files::names(&self.root.join("gpus"))? {
            files::remove(&self.root.join("gpus").join(gpu).join(id.as_str()))?;
        }
        Ok(())
    }

    /// Writes a device record that is new or has changed.
    ///
    /// # Errors
    /// Where it can't be written; the old content stands then.
    pub fn save_device(&self, device: &Device) -> Result<(), StoreError> {
        files::write(&self.device_file(&device.id), device)
    }

    /// Removes a device record whose steps are all undone.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub fn remove_device(&self, id: &DeviceId) -> Result<(), StoreError> {
        let file = self.device_file(id);
        files::remove(&file)?;
        files::remove_interrupted(&file)
    }

    /// Removes what a crash left behind between a file's writing and its naming.
    ///
    /// # Errors
    /// Where a leftover can't be removed.
    pub fn sweep(&self, _: &DirectoryLock) -> Result<(), StoreError> {
        files::remove_temporaries(&self.root.join("claims"), |_| true)?;
        // A record that is there may be written just now: its journal goes on under the locks of its GPUs.
        let devices = self.root.join("devices");
        files::remove_temporaries(&devices, |record| !devices.join(record).exists())?;
        for gpu in files::names(&self.root.join("gpus"))? {
            let folder = self.root.join("gpus").join(gpu);
            for name in files::names(&folder)? {
                if !self.root.join("claims").join(format!("{name}.json")).exists() {
                    files::remove(&folder.join(name))?;
                }
            }
        }
        Ok(())
    }

    fn claim_file(&self, id: &ClaimId) -> PathBuf {
        self.root.join("claims").join(format!("{id}.json"))
    }

    fn device_file(&self, id: &DeviceId) -> PathBuf {
        self.root.join("devices").join(format!("{id}.json"))
    }
}

/// A time as people wait it, in whole seconds.
pub(crate) fn seconds(time: &Duration) -> String {
    match (time.as_millis() + 500) / 1000 {
        0 => "less than a second".to_owned(),
        1 => "1 second".to_owned(),
        n => format!("{n} seconds"),
    }
}

/// A UUID that is fit to be a file name.
fn checked(uuid: &str) -> Result<&Path, StoreError> {
    let letters = uuid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if letters && (1..=64).contains(&uuid.len()) {
        Ok(Path::new(uuid))
    } else {
        Err(StoreError::BadUuid(uuid.chars().take(80).collect()))
    }
}
