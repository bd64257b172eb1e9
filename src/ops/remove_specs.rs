//! `divvy cdi refresh --remove`: takes the CDI files away that divvy keeps, for a machine that it leaves.

use super::refresh::{Error, FILE, REQUESTS_FILE, RESOURCE_FILE, files};
use super::spec_file::CLAIM_FILE;
use crate::hook_args::PROGRAM;
use crate::host::Host;
use cdi::{Format, Spec};
use serde::Serialize;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What became of the CDI files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Removed {
    /// Files that divvy kept, and that are gone.
    pub removed: Vec<PathBuf>,
    /// Files that somebody had divvy write elsewhere, or wrote by hand: their containers start by divvy's hook, and
    /// fail without it.
    pub left: Vec<PathBuf>,
}

/// Removes divvy's own files from every CDI folder of the host, or only says which, with `dry_run`.
///
/// # Errors
/// Where a folder can't be read, or a file can't be removed.
pub fn remove_specs(host: &Host, dry_run: bool) -> Result<Removed, Error> {
    let mut done = Removed::default();
    for folder in &host.cdi_dirs {
        for file in files(folder)? {
            if is_own(&file) {
                if !dry_run {
                    remove(&file)?;
                }
                done.removed.push(file);
            } else if Format::of_path(&file).is_some() && runs_divvy(&file) {
                done.left.push(file);
            }
        }
    }
    Ok(done)
}

fn remove(file: &Path) -> Result<(), Error> {
    match fs::remove_file(file) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(Error::Leave { file: file.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Whether divvy alone writes files of this name.
fn is_own(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let begins = [RESOURCE_FILE, CLAIM_FILE].iter().any(|beginning| name.starts_with(beginning));
    [FILE, REQUESTS_FILE].contains(&name) || (begins && name.ends_with(".json"))
}

/// Whether a container of this file starts by a hook of divvy's. What can't be read is no spec for engines either.
fn runs_divvy(file: &Path) -> bool {
    let runs = |spec: Spec| {
        let devices = spec.devices.iter().map(|device| &device.container_edits);
        let mut hooks = devices.chain([&spec.container_edits]).flat_map(|edits| &edits.hooks);
        hooks.any(|hook| Path::new(&hook.path).file_name().is_some_and(|name| name == PROGRAM))
    };
    cdi::read_file(file).is_ok_and(runs)
}
