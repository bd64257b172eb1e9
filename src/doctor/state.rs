//! The folder that claims lie in.

use super::Judged;
use super::finding::{Finding, Name};
use super::mend::{self, Mend, advice, run};
use crate::host::Host;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The folders below it that divvy reads.
const BELOW: [&str; 5] = ["claims", "devices", "gpus", "locks", "mps"];
/// What `statfs` says of tmpfs and ramfs.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// What was seen of it.
#[derive(Clone, Debug)]
pub struct StateDir {
    /// Where it is.
    pub folder: PathBuf,
    /// It and those below it, as far as they are there.
    pub found: Vec<FoundFolder>,
    /// Whether it is gone with a boot; `None` where that can't be told, or it isn't there.
    pub in_memory: Option<bool>,
    /// The uid that divvy runs as.
    pub uid: u32,
}

/// One folder of it.
#[derive(Clone, Debug)]
pub struct FoundFolder {
    /// Where.
    pub path: PathBuf,
    /// Whether it is a folder, and no link to one.
    pub is_folder: bool,
    /// Its owner.
    pub owner: u32,
    /// Its permission bits.
    pub mode: u32,
}

impl StateDir {
    /// Looks at it.
    pub fn look(host: &Host) -> StateDir {
        let folder = host.state_dir.clone();
        let below = BELOW.iter().map(|name| folder.join(name));
        let found = std::iter::once(folder.clone()).chain(below).filter_map(found).collect();
        let kind = rustix::fs::statfs(&folder).ok();
        // Its type differs from machine to machine, and the numbers are positive 32-bit ones.
        let kind = kind.and_then(|answer| u64::try_from(answer.f_type).ok());
        StateDir {
            in_memory: kind.map(|kind| IN_MEMORY.contains(&kind)),
            uid: rustix::process::geteuid().as_raw(),
            folder,
            found,
        }
    }
}

fn found(path: PathBuf) -> Option<FoundFolder> {
    let metadata = fs::symlink_metadata(&path).ok()?;
    Some(FoundFolder {
        path,
        is_folder: metadata.is_dir(),
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
    })
}

pub(super) fn judge(seen: &StateDir) -> Judged {
    let mut findings: Vec<Finding> =
        seen.found.iter().filter_map(|folder| untrusted(seen, folder)).collect();
    let own = seen.found.iter().find(|folder| folder.path == seen.folder);
    findings.extend(own.filter(|folder| folder.is_folder && folder.mode & 0o001 == 0).map(closed));
    if seen.in_memory == Some(false) {
        findings.push(Finding::new(
            Name::StateDisk,
            format!(
                "{} isn't in memory: claims outlive the boot that their devices are gone with, and each step waits for a disk",
                seen.folder.display()
            ),
            "it is neither on tmpfs nor on ramfs",
            advice("name a folder on tmpfs with --state-dir or in the configuration: /run/divvy, as a rule"),
        ));
    }
    let says = match (own, seen.in_memory) {
        (None, _) => format!("no {} yet", seen.folder.display()),
        (Some(folder), Some(true)) => format!("in memory, mode {:04o}", folder.mode),
        (Some(folder), _) => format!("mode {:04o}", folder.mode),
    };
    Judged { says, findings }
}

/// Whoever could write there could hand out GPUs, so divvy reads nothing of it.
fn untrusted(seen: &StateDir, folder: &FoundFolder) -> Option<Finding> {
    let path = mend::path(&folder.path);
    let (how, mend): (String, Mend) = if !folder.is_folder {
        ("it is no folder".to_owned(), advice("remove it: divvy makes the folder"))
    } else if folder.owner != 0 && folder.owner != seen.uid {
        (format!("uid {} owns it", folder.owner), run(format!("chown root:root {path}")))
    } else if folder.mode & 0o022 != 0 {
        let how =
            format!("its mode is {:04o}: others than its owner can write into it", folder.mode);
        (how, run(format!("chmod go-w {path}")))
    } else {
        return None;
    };
    let what = format!("divvy doesn't trust {}: no claim is made or ended", folder.path.display());
    Some(Finding::new(Name::StateUntrusted, what, how, mend))
}

fn closed(folder: &FoundFolder) -> Finding {
    Finding::new(
        Name::StateClosed,
        format!(
            "MPS clients of users other than root don't reach their daemons below {}",
            folder.path.display()
        ),
        format!("its mode is {:04o}", folder.mode),
        run(format!("chmod 0711 {}", mend::path(&folder.path))),
    )
}
