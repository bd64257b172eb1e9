//! The driver's programs and libraries, where they serve this process and not a container.

use super::{Node, ShareError};
use crate::driver_files::{DriverFiles, Search};
use crate::host::Host;
use std::path::{Path, PathBuf};

/// Where programs lie under a driver root. Debian keeps `nvidia-smi` in the last without its link.
pub(super) const FOLDERS: [&str; 6] =
    ["usr/bin", "usr/sbin", "bin", "sbin", "run/current-system/sw/bin", "usr/lib/nvidia/current"];

/// A program of the driver's; `None` where it isn't installed.
pub(super) fn find(host: &Host, name: &str) -> Option<PathBuf> {
    let candidates = FOLDERS.map(|folder| host.driver_root.join(folder).join(name));
    candidates.into_iter().find(|program| program.is_file())
}

/// The driver's libraries where the dynamic linker doesn't find them: below another root than `/`.
///
/// The programs run as they are, not in that root (chroot): there they would find neither divvy's folders
/// nor, in many driver containers, this machine's /dev and /proc. So they have this machine's libc, and
/// of that root the driver's libraries alone.
pub(super) fn libraries(node: &Node<'_>) -> Result<Vec<PathBuf>, ShareError> {
    if node.host.driver_root == Path::new("/") {
        return Ok(Vec::new());
    }
    let version = node.nvml.get()?.driver_version()?;
    let files = DriverFiles::find(node.host, &version, &Search::default())?;
    Ok(files.libraries.into_iter().map(|file| PathBuf::from(file.host_path)).collect())
}

/// The folders of those libraries.
pub(super) fn library_folders(node: &Node<'_>) -> Result<Vec<PathBuf>, ShareError> {
    let libraries = libraries(node)?;
    let mut folders: Vec<PathBuf> =
        libraries.iter().filter_map(|library| library.parent()).map(Path::to_owned).collect();
    folders.sort();
    folders.dedup();
    Ok(folders)
}
