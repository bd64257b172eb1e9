//! Locks with deadlines. The kernel drops a lock when its holder dies, however it dies.

use super::StoreError;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
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

pub(super) fn directory(
    folder: &Path,
    deadline: &Deadline<'_>,
) -> Result<DirectoryLock, StoreError> {
    Ok(DirectoryLock {
        _file: acquire(&folder.join("directory"), deadline, || "the state directory".to_owned())?,
    })
}

pub(super) fn gpus(
    folder: &Path,
    uuids: &BTreeSet<&str>,
    deadline: &Deadline<'_>,
) -> Result<GpuLocks, StoreError> {
    let lock = |uuid: &&str| acquire(&folder.join(uuid), deadline, || (*uuid).to_owned());
    Ok(GpuLocks { _files: uuids.iter().map(lock).collect::<Result<_, _>>()? })
}

/// Who is told of a long wait, with the pid of who has the lock where that is known.
pub type Watch = fn(Option<u32>);

/// How long it may take, and who is told that it takes long.
pub(super) struct Deadline<'a> {
    patience: Duration,
    start: Instant,
    /// The kernel's list of locks.
    locks: &'a Path,
    watch: Cell<Option<Watch>>,
}

/// Nobody at a terminal wants to hear of a shorter wait.
const LONG: Duration = Duration::from_secs(1);

impl Deadline<'_> {
    pub(super) fn after(patience: Duration, locks: &Path, watch: Option<Watch>) -> Deadline<'_> {
        Deadline { patience, start: Instant::now(), locks, watch: Cell::new(watch) }
    }

    /// Says once that a lock keeps this process waiting.
    fn tell(&self, lock: &File) {
        if self.start.elapsed() >= LONG
            && let Some(watch) = self.watch.take()
        {
            watch(holder(self.locks, lock));
        }
    }
}

/// Who has a lock, where the kernel tells this process.
fn holder(locks: &Path, lock: &File) -> Option<u32> {
    let lock = lock.metadata().ok()?;
    let (major, minor) = (rustix::fs::major(lock.dev()), rustix::fs::minor(lock.dev()));
    let file = format!("{major:02x}:{minor:02x}:{}", lock.ino());
    let text = fs::read_to_string(locks).ok()?;
    text.lines().find_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 4711 00:1a:42 0 EOF`; a pid of another namespace is 0.
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, on, ..] = words[..] else { return None };
        (on == file).then(|| pid.parse().ok().filter(|pid| *pid != 0))?
    })
}

/// Polls, since a lock that is waited for in the kernel has no deadline.
fn acquire(
    path: &Path,
    deadline: &Deadline<'_>,
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
            Err(TryLockError::WouldBlock) => {
                deadline.tell(&file);
                thread::sleep(pause);
            }
        }
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}
