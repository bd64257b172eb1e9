//! `divvy cdi refresh`: keeps the spec in the engines' folder as the devices are.

use super::generate::{self, Generated};
use crate::compat::device_plugin::ResourceName;
use crate::host::Host;
use cdi::{ContainerEdits, Device, Format, FormatError, Kind, Spec, WriteError, Written};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name of the file with the devices that exist, in the folder.
pub const FILE: &str = "divvy-gpu.json";
/// The name of the file with requests.
pub const REQUESTS_FILE: &str = "divvy-requests.json";
/// How the names of files with other resources begin.
pub(super) const RESOURCE_FILE: &str = "divvy-resource_";
/// The first podman that reads CDI 0.7.0 (containers/podman#22280); older ones drop such a spec whole.
const PODMAN_WITH_GROUPS: (u32, u32) = (5, 1);

/// What a refresh did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Refreshed {
    /// The spec's file.
    pub file: PathBuf,
    /// What became of it.
    pub outcome: Outcome,
    /// Devices that are new.
    pub added: Vec<String>,
    /// Devices that are gone.
    pub removed: Vec<String>,
    /// Devices that are other than they were.
    pub changed: Vec<String>,
    /// Whether what all devices share is other than it was: files, control nodes, the hook.
    pub common_changed: bool,
    /// Sentences for people.
    pub notes: Vec<String>,
    /// The same of the files beside it: requests, and other resources of the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Refreshed>,
}

/// What became of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// There was none.
    Created,
    /// It had other content.
    Replaced,
    /// It has the content that it had.
    Unchanged,
    /// There is no device any more, and a spec can't be empty.
    Removed,
    /// There is no device, and there was no file.
    Absent,
}

/// Why the spec was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another file in the folder has the same devices. With two, engines resolve none.
    #[error(
        "{} defines {kind} devices already, and with a second file engines would resolve none of them: remove it and stop what writes it (nvidia-cdi-refresh.service, say), or choose another --vendor", file.display()
    )]
    Taken {
        /// The other file.
        file: PathBuf,
        /// The kind.
        kind: Kind,
    },
    /// The folder's files can't be listed.
    #[error("the CDI folder {} can't be read: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The devices.
    #[error(transparent)]
    Generate(#[from] generate::Error),
    /// The spec as text.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The file.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The file, when there is no device any more.
    #[error("{} describes devices that are gone, and can't be removed: {source}", file.display())]
    Remove {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One of divvy's files, on a machine that it leaves.
    #[error("the CDI file {} can't be removed: {source}", file.display())]
    Leave {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No folder to write to.
    #[error("no CDI folder is known: name one with --cdi-dir")]
    NoFolder,
}

/// The file `name` that a refresh writes: in the last CDI folder, whose devices hide those of the others.
///
/// # Errors
/// Where the host has no CDI folder, or another file in it defines devices of the kind.
pub fn file(host: &Host, kind: &Kind, name: &str) -> Result<PathBuf, Error> {
    let folder = host.cdi_dirs.last().ok_or(Error::NoFolder)?;
    let file = folder.join(name);
    match others(folder, &file, kind)? {
        Some(other) => Err(Error::Taken { file: other, kind: kind.clone() }),
        None => Ok(file),
    }
}

/// Another file in the folder with devices of the kind. What can't be read is no spec for engines either.
fn others(folder: &Path, own: &Path, kind: &Kind) -> Result<Option<PathBuf>, Error> {
    let is_spec = |path: &PathBuf| path != own && Format::of_path(path).is_some();
    let same_kind = |path: &PathBuf| cdi::read_file(path).is_ok_and(|spec| spec.kind == *kind);
    Ok(files(folder)?.into_iter().filter(is_spec).find(same_kind))
}

/// What is in a CDI folder, by name; a folder that isn't there has nothing.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::Folder { folder: folder.to_owned(), source }),
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// Writes what was generated to the file, where it differs from what is there. Where there is no device,
/// which is a state and no failure, removes the file.
///
/// # Errors
/// Where generating failed for another reason, or the file can't be written.
pub fn refresh(
    file: PathBuf,
    generated: Result<Generated, generate::Error>,
) -> Result<Refreshed, Error> {
    // What can't be read counts as nothing: engines could make nothing of it either.
    let old = cdi::read_file(&file).ok();
    match generated {
        Ok(generated) => write(file, old, generated),
        Err(generate::Error::NoDevices { reason }) => remove(file, old, reason),
        Err(error) => Err(error.into()),
    }
}

/// What a refresh would do; nothing is changed.
///
/// # Errors
/// As for [`refresh`], where generating failed.
pub fn look(
    file: PathBuf,
    generated: Result<Generated, generate::Error>,
) -> Result<Refreshed, Error> {
    let old = cdi::read_file(&file).ok();
    match generated {
        Ok(generated) => {
            let text = Format::Json.encode(&generated.spec)?;
            let outcome = match fs::read(&file) {
                Ok(there) if there == text.as_bytes() => Outcome::Unchanged,
                Ok(_) => Outcome::Replaced,
                Err(_) => Outcome::Created,
            };
            Ok(compare(file, outcome, old.as_ref(), Some(&generated.spec), generated.left_out))
        }
        Err(generate::Error::NoDevices { reason }) => {
            let outcome = if file.exists() { Outcome::Removed } else { Outcome::Absent };
            Ok(compare(
                file,
                outcome,
                old.as_ref(),
                None,
                vec![format!("there is no device: {reason}")],
            ))
        }
        Err(error) => Err(error.into()),
    }
}

fn write(file: PathBuf, old: Option<Spec>, generated: Generated) -> Result<Refreshed, Error> {
    let text = Format::Json.encode(&generated.spec)?;
    let outcome = match cdi::write_if_changed(&file, text.as_bytes())? {
        Written::Created => Outcome::Created,
        Written::Replaced => Outcome::Replaced,
        Written::Unchanged => Outcome::Unchanged,
    };
    Ok(compare(file, outcome, old.as_ref(), Some(&generated.spec), generated.left_out))
}

fn remove(file: PathBuf, old: Option<Spec>, reason: String) -> Result<Refreshed, Error> {
    let outcome = match fs::remove_file(&file) {
        Ok(()) => Outcome::Removed,
        Err(error) if error.kind() == ErrorKind::NotFound => Outcome::Absent,
        Err(source) => return Err(Error::Remove { file, source }),
    };
    Ok(compare(file, outcome, old.as_ref(), None, vec![format!("there is no device: {reason}")]))
}

fn compare(
    file: PathBuf,
    outcome: Outcome,
    old: Option<&Spec>,
    new: Option<&Spec>,
    notes: Vec<String>,
) -> Refreshed {
    let before = by_name(old);
    let after = by_name(new);
    let names = |of: &BTreeMap<&str, &ContainerEdits>,
                 keep: &dyn Fn(&str, &ContainerEdits) -> bool| {
        let kept = of.iter().filter(|(name, edits)| keep(name, edits));
        kept.map(|(name, _)| (*name).to_owned()).collect::<Vec<String>>()
    };
    let common = |spec: Option<&Spec>| spec.map(|spec| spec.container_edits.clone());
    Refreshed {
        file,
        outcome,
        added: names(&after, &|name, _| !before.contains_key(name)),
        removed: names(&before, &|name, _| !after.contains_key(name)),
        changed: names(&after, &|name, edits| before.get(name).is_some_and(|old| *old != edits)),
        common_changed: old.is_some() && new.is_some() && common(old) != common(new),
        notes,
        others: Vec::new(),
    }
}

/// The name of the file with the devices of a resource that is not `nvidia.com/gpu`.
#[must_use]
pub fn resource_file(name: &ResourceName) -> String {
    format!("{RESOURCE_FILE}{}.json", name.class())
}

/// The files of resources that are not among those that were just written.
///
/// # Errors
/// The folder can't be read.
pub fn other_resources(host: &Host, kept: &[Refreshed]) -> Result<Vec<PathBuf>, Error> {
    let folder = host.cdi_dirs.last().ok_or(Error::NoFolder)?;
    let is_resource = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(RESOURCE_FILE) && name.ends_with(".json")
    };
    let is_kept = |file: &PathBuf| kept.iter().any(|one| one.file == *file);
    Ok(files(folder)?.into_iter().filter(|file| is_resource(file) && !is_kept(file)).collect())
}

fn by_name(spec: Option<&Spec>) -> BTreeMap<&str, &ContainerEdits> {
    let devices = spec.map_or(&[][..], |spec| spec.devices.as_slice());
    devices
        .iter()
        .map(|Device { name, container_edits, .. }| (name.as_str(), container_edits))
        .collect()
}

/// Asks the podman of this machine, where there is one, whether it is too old for groups in a spec.
/// Gives its version then.
pub fn podman_without_groups() -> Option<String> {
    let output = Command::new("podman").arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.trim().strip_prefix("podman version ")?;
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    let number = (numbers.next()??, numbers.next()??);
    (number < PODMAN_WITH_GROUPS).then(|| version.to_owned())
}

#[cfg(test)]
mod tests;
