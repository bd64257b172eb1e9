//! What the driver installed: found once, as plain values.
//!
//! Everything lies below the driver root, and links are followed as if that root were `/`: none leads
//! out of it. Device nodes lie below the dev root, which may be another.

mod elf;
mod files;
mod ld_cache;
mod libraries;
mod nodes;
mod root;
#[cfg(test)]
mod tests;

pub use nodes::{DrmNode, Nodes, NodesError, node_exists};

use crate::host::Host;
use root::Root;
use std::path::{Path, PathBuf};

/// The user-space part of one driver version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriverFiles {
    /// The driver's version, `550.163.01`.
    pub version: String,
    /// Shared libraries and X server modules.
    pub libraries: Vec<DriverFile>,
    /// Links that a container needs beside the libraries.
    pub links: Vec<Link>,
    /// The folders of the libraries as containers see them, for their library cache.
    pub library_folders: Vec<String>,
    /// Programs, `nvidia-smi` and the like.
    pub binaries: Vec<DriverFile>,
    /// Profile files of EGL, Vulkan, OpenCL, OptiX, GBM and X.
    pub profiles: Vec<DriverFile>,
    /// Firmware of the GPU's system processor.
    pub firmware: Vec<DriverFile>,
    /// Sockets of the driver's services.
    pub sockets: Vec<DriverFile>,
}

/// A file of the driver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DriverFile {
    /// Where a container expects it.
    pub container_path: String,
    /// Where it is on the host, with every link resolved.
    pub host_path: String,
}

/// A symbolic link to make in a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Where the link is.
    pub path: String,
    /// What it says, relative to its folder.
    pub target: String,
}

/// Folders to look in, in place of the usual ones. Each as the driver root sees it, or as a path of the
/// host below that root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// For libraries, in place of `ld.so.cache` and the usual folders.
    pub libraries: Vec<PathBuf>,
    /// For profile files, in place of `/etc` and the data folders.
    pub profiles: Vec<PathBuf>,
}

/// Why the driver's files can't be found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No library of the version that the kernel module has.
    #[error(
        "no library of driver {version} lies under {} (looked in {searched}): install the driver's libraries of that version, or name their place with --driver-root or --library-search-path",
        root.display()
    )]
    NoLibraries {
        /// The version looked for.
        version: String,
        /// The driver root.
        root: PathBuf,
        /// The folders looked in.
        searched: String,
    },
    /// A CDI spec is UTF-8.
    #[error("the driver root {} is not UTF-8, so no CDI spec can name its files: choose another --driver-root", root.display())]
    NotText {
        /// The root.
        root: PathBuf,
    },
}

impl DriverFiles {
    /// Finds the files of a driver version below the host's driver root.
    ///
    /// # Errors
    /// Where there is no library of that version (the driver's user-space part is missing or another's),
    /// or the root's name can't stand in a spec.
    pub fn find(host: &Host, version: &str, search: &Search) -> Result<DriverFiles, Error> {
        if root::text(&host.driver_root).is_none() {
            return Err(Error::NotText { root: host.driver_root.clone() });
        }
        let root = Root::new(&host.driver_root);
        let candidates = libraries::candidates(&root, &search.libraries);
        let found = libraries::find(&root, version, &candidates);
        if found.folders.is_empty() {
            return Err(Error::NoLibraries {
                version: version.to_owned(),
                root: host.driver_root.clone(),
                searched: list(&candidates),
            });
        }
        Ok(DriverFiles {
            version: version.to_owned(),
            libraries: found.files,
            links: found.links,
            library_folders: found.folders,
            binaries: files::binaries(&root),
            profiles: files::profiles(&root, &search.profiles),
            firmware: files::firmware(&root, host, version),
            sockets: files::sockets(&root),
        })
    }
}

impl DriverFile {
    /// The file at a container's path; `None` where the host has none.
    fn find(root: &Root, path: &Path) -> Option<DriverFile> {
        let resolved = root.resolve(path)?;
        let host_path = root::text(&root.host_path(&resolved))?;
        Some(DriverFile { container_path: root::text(path)?, host_path })
    }

    /// A file that containers get where its resolved path is.
    fn in_place(root: &Root, resolved: &Path) -> Option<DriverFile> {
        let host_path = root::text(&root.host_path(resolved))?;
        Some(DriverFile { container_path: root::text(resolved)?, host_path })
    }
}

fn list(folders: &[PathBuf]) -> String {
    let texts: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    texts.join(", ")
}
