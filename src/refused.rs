//! Refusals that are kept: crun shows the exit code of a hook and nothing else, podman of a filter not even
//! that, so a person finds the sentence here.
//!
//! One file each in `refused` below the state directory, named by the claim that was not made; the newest
//! hundred are kept.

use crate::claim::ClaimId;
use crate::host::Host;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

/// The folder in the state directory.
pub const FOLDER: &str = "refused";
/// How many are kept.
const KEPT: usize = 100;
/// The longest sentence that is kept, in bytes; what it quotes may be hostile.
const MAX_SENTENCE: usize = 4 << 10;

/// A container that was not started, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Refused {
    /// The claim that was not made.
    pub claim: ClaimId,
    /// When, in seconds of Unix time.
    pub time: u64,
    /// The container's id, where the road knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What was asked for, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<String>,
    /// One sentence: what failed, on what, why, what to do.
    pub message: String,
}

/// A refusal that can't be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} {}: {source}", path.display())]
pub struct RefusedError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Refused {
    /// A refusal of now.
    #[must_use]
    pub fn new(claim: ClaimId, message: &str) -> Refused {
        let line: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let end = (0..=MAX_SENTENCE.min(line.len())).rev().find(|end| line.is_char_boundary(*end));
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
        let message = line.get(..end.unwrap_or(0)).unwrap_or_default().to_owned();
        Refused { claim, time, container: None, requests: None, message }
    }

    /// Keeps it, in place of one with the same id, and lets the oldest go.
    ///
    /// # Errors
    /// Where the state directory can't be written to.
    pub fn keep(&self, host: &Host) -> Result<(), RefusedError> {
        let folder = folder(host);
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| RefusedError { action, path, source }
        };
        make(&host.state_dir, 0o711).map_err(failed("make", &host.state_dir))?;
        make(&folder, 0o700).map_err(failed("make", &folder))?;
        let path = file(host, &self.claim);
        let text =
            serde_json::to_vec(self).map_err(io::Error::from).map_err(failed("write", &path))?;
        cdi::write_atomically(&path, &text)
            .map_err(|error| failed("write", &path)(io::Error::other(error)))?;
        for old in by_age(&folder).into_iter().skip(KEPT) {
            let _ = fs::remove_file(old);
        }
        Ok(())
    }

    /// The refusal that is kept under this id.
    ///
    /// # Errors
    /// There is none, or it can't be read.
    pub fn read(host: &Host, id: &ClaimId) -> Result<Refused, RefusedError> {
        let path = file(host, id);
        let read = fs::read(&path).and_then(|text| Ok(serde_json::from_slice(&text)?));
        read.map_err(|source| RefusedError { action: "read the refusal", path, source })
    }

    /// Every refusal that is kept, the newest first. What can't be read is left out.
    #[must_use]
    pub fn all(host: &Host) -> Vec<Refused> {
        let texts = by_age(&folder(host)).into_iter().filter_map(|path| fs::read(path).ok());
        texts.filter_map(|text| serde_json::from_slice(&text).ok()).collect()
    }
}

fn folder(host: &Host) -> PathBuf {
    host.state_dir.join(FOLDER)
}

fn file(host: &Host, id: &ClaimId) -> PathBuf {
    folder(host).join(format!("{id}.json"))
}

fn make(folder: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match fs::DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folder.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::DirBuilder::new().mode(mode).create(folder)
        }
        made => made,
    }
}

/// The files of the folder, the newest first.
fn by_age(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let records = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "json"));
    let mut files: Vec<(SystemTime, PathBuf)> = records
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort_by(|a, b| b.cmp(a));
    files.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> (tempfile::TempDir, Host) {
        let dir = tempfile::tempdir().unwrap();
        let host = Host { state_dir: dir.path().join("run/divvy"), ..Host::default() };
        (dir, host)
    }

    #[test]
    fn what_is_kept_is_read_back_as_one_line() {
        let (_dir, host) = host();
        let id: ClaimId = "c1".parse().unwrap();
        assert!(Refused::read(&host, &id).is_err() && Refused::all(&host).is_empty());
        Refused::new(id.clone(), "first").keep(&host).unwrap();
        let long = format!("no\nroom {}", "é".repeat(MAX_SENTENCE));
        let kept = Refused { container: Some("abc".into()), ..Refused::new(id.clone(), &long) };
        kept.keep(&host).unwrap();
        assert_eq!(Refused::read(&host, &id).unwrap(), kept);
        assert!(kept.message.starts_with("no room é") && kept.message.len() <= MAX_SENTENCE);
        assert_eq!(Refused::all(&host), [kept]);
    }

    #[test]
    fn the_oldest_go() {
        let (_dir, host) = host();
        for n in 0..KEPT + 3 {
            Refused::new(format!("c{n}").parse().unwrap(), "no").keep(&host).unwrap();
        }
        let kept = Refused::all(&host);
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[0].claim.as_str(), format!("c{}", KEPT + 2));
    }
}
