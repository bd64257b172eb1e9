//! Locks with deadlines. The kernel drops a lock when its holder dies, however it dies.

use super::StoreError;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The right to change claims; given back when dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// The right to change some GPUs; given back when dropped.
#[derive(Debug)]
pub struct GpuLocks {
    _files: Vec<File>,
}

pub(super) fn directory(folder: &Path, patience: Duration) -> Result<DirectoryLock, StoreError> {
    let deadline = Deadline::after(patience);
    Ok(DirectoryLock {
        _file: acquire(&folder.join("directory"), &deadline, || "the state directory".to_owned())?,
    })
}

pub(super) fn gpus(
    folder: &Path,
    uuids: &BTreeSet<&str>,
    patience: Duration,
) -> Result<GpuLocks, StoreError> {
    let deadline = Deadline::after(patience);
    let lock = |uuid: &&str| acquire(&folder.join(uuid), &deadline, || (*uuid).to_owned());
    Ok(GpuLocks { _files: uuids.iter().map(lock).collect::<Result<_, _>>()? })
}

struct Deadline {
    patience: Duration,
    start: Instant,
}

impl Deadline {
    fn after(patience: Duration) -> Deadline {
        Deadline { patience, start: Instant::now() }
    }
}

/// Polls, since a lock that is waited for in the kernel has no deadline.
fn acquire(
    path: &Path,
    deadline: &Deadline,
    what: impl FnOnce() -> String,
) -> Result<File, StoreError> {
    let failed = |action, error| StoreError::Io { action, path: path.to_owned(), error };
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let file = opened.map_err(|error| failed("open the lock", error))?;
    let mut pause = Duration::from_micros(200);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
            Err(TryLockError::WouldBlock) if deadline.start.elapsed() >= deadline.patience => {
                return Err(StoreError::Busy { what: what(), waited: deadline.patience });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}
