//! Records as JSON files, replaced whole or not at all.

use super::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// No record's name begins like this; a file that is being written does.
const TEMPORARY: char = '.';

/// Names what failed and on what.
fn failed<T>(result: io::Result<T>, action: &'static str, path: &Path) -> Result<T, StoreError> {
    result.map_err(|error| StoreError::Io { action, path: path.to_owned(), error })
}

/// Makes a folder with exactly that mode, or checks the one that is there.
pub(super) fn make_folder(path: &Path, mode: u32) -> Result<(), StoreError> {
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    if !path.exists() {
        failed(fs::create_dir_all(parent), "make the folder", parent)?;
        match DirBuilder::new().mode(mode).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                failed(made, "make the folder", path)?;
                // The umask may have taken bits that others need to pass through.
                failed(
                    fs::set_permissions(path, Permissions::from_mode(mode)),
                    "set the mode of",
                    path,
                )?;
            }
        }
    }
    check_folder(path)
}

/// Checks that nobody else can write into a folder.
pub(super) fn check_folder(path: &Path) -> Result<(), StoreError> {
    let metadata = failed(fs::symlink_metadata(path), "look at", path)?;
    judge(
        path,
        metadata.is_dir(),
        metadata.uid(),
        metadata.mode(),
        rustix::process::geteuid().as_raw(),
    )
}

/// Whether a folder with that owner and mode may be trusted by the user `me`. A link is no folder, wherever it leads.
pub(super) fn judge(
    path: &Path,
    is_folder: bool,
    owner: u32,
    mode: u32,
    me: u32,
) -> Result<(), StoreError> {
    let path = path.to_owned();
    if !is_folder {
        Err(StoreError::NotFolder(path))
    } else if owner == 0 && me != 0 {
        Err(StoreError::NotPermitted(path))
    } else if owner != me {
        Err(StoreError::Owned { path, owner, me })
    } else if mode & 0o022 != 0 {
        Err(StoreError::Exposed(path))
    } else {
        Ok(())
    }
}

/// Reads a record; `None` where there is none.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => failed(bytes, "read", path)?,
    };
    let record = serde_json::from_slice(&bytes);
    record.map(Some).map_err(|error| StoreError::Corrupt { path: path.to_owned(), error })
}

/// Reads every record in a folder, by file name.
pub(super) fn read_all<T: DeserializeOwned>(folder: &Path) -> Result<Vec<T>, StoreError> {
    let names = names(folder)?;
    // A record that went between the two looks is gone for good: its claim was released.
    names.iter().filter_map(|name| read(&folder.join(name)).transpose()).collect()
}

/// The names in a folder, sorted, without temporary files. None where the folder isn't there.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = all_names(folder)?;
    names.retain(|name| !name.starts_with(TEMPORARY));
    Ok(names)
}

fn all_names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => failed(entries, "read the folder", folder)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(failed(entry, "read the folder", folder)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Writes a record under a temporary name, makes it durable, and gives it its name.
pub(super) fn write<T: Serialize>(path: &Path, record: &T) -> Result<(), StoreError> {
    let mut bytes =
        failed(serde_json::to_vec_pretty(record).map_err(io::Error::from), "write", path)?;
    bytes.push(b'\n');
    Ok(cdi::write_atomically(path, &bytes)?)
}

/// Makes an empty file.
pub(super) fn touch(path: &Path) -> Result<(), StoreError> {
    failed(
        OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop),
        "write",
        path,
    )
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => failed(removed, "remove", path),
    }
}

/// Removes temporary files of one record, which nobody writes any more.
pub(super) fn remove_interrupted(file: &Path) -> Result<(), StoreError> {
    failed(cdi::remove_interrupted(file), "remove what was left beside", file)
}

/// Removes temporary files, of records that `which` picks by file name; the caller keeps their writers out.
pub(super) fn remove_temporaries(
    folder: &Path,
    which: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    for name in all_names(folder)? {
        let Some(record) = name.strip_prefix(TEMPORARY) else { continue };
        if which(record.rsplit_once('-').map_or(record, |(record, _)| record)) {
            remove(&folder.join(&name))?;
        }
    }
    Ok(())
}
