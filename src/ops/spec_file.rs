//! The transient CDI file of a prepared claim: written last of all, removed first of all.

use crate::claim::ClaimId;
use crate::host::Host;
use cdi::{ContainerEdits, Spec};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The kind of prepared claims' devices.
const KIND: &str = "divvy/claim";
/// How the names of their files begin.
pub(super) const CLAIM_FILE: &str = "divvy-claim_";

/// What can go wrong with a claim's CDI file.
#[derive(Debug, thiserror::Error)]
pub enum SpecFileError {
    /// A claim id that is no name of a CDI device; there is none.
    #[error(transparent)]
    Name(#[from] cdi::NameError),
    /// Its content can't be written as JSON.
    #[error(transparent)]
    Format(#[from] cdi::FormatError),
    /// It can't be written.
    #[error(transparent)]
    Write(#[from] cdi::WriteError),
    /// It can't be removed.
    #[error("can't remove the CDI file {}: {error}", path.display())]
    Remove {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
}

/// The name that engines know a claim's devices by.
pub fn name(id: &ClaimId) -> String {
    format!("{KIND}={id}")
}

/// Writes the file that lets engines give the claim's devices to containers.
pub(super) fn write(host: &Host, id: &ClaimId, edits: ContainerEdits) -> Result<(), SpecFileError> {
    Ok(cdi::write_atomically(&path(host, id), text(id, edits)?.as_bytes())?)
}

/// Whether the file is there and says that.
pub(super) fn is_as(
    host: &Host,
    id: &ClaimId,
    edits: &ContainerEdits,
) -> Result<bool, SpecFileError> {
    let text = text(id, edits.clone())?;
    Ok(fs::read(path(host, id)).is_ok_and(|there| there == text.as_bytes()))
}

fn text(id: &ClaimId, edits: ContainerEdits) -> Result<String, SpecFileError> {
    let device = cdi::Device::new(id.as_str().parse()?, edits);
    let spec = Spec::new(KIND.parse()?, vec![device], ContainerEdits::default());
    Ok(cdi::Format::Json.encode(&spec)?)
}

/// Removes it, if it is there, or what a preparation that died while writing it left.
pub(super) fn remove(host: &Host, id: &ClaimId) -> Result<(), SpecFileError> {
    let path = path(host, id);
    let removed = match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => cdi::remove_interrupted(&path),
    };
    let removed = match removed {
        // Where a file stands in the folder's place there is nothing in it.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(()),
        removed => removed,
    };
    removed.map_err(|error| SpecFileError::Remove { path, error })
}

/// In the last CDI folder, which is the one that goes with a boot.
fn path(host: &Host, id: &ClaimId) -> PathBuf {
    let folder = host.cdi_dirs.last().map_or_else(|| Path::new("/var/run/cdi"), PathBuf::as_path);
    folder.join(format!("{CLAIM_FILE}{id}.json"))
}
