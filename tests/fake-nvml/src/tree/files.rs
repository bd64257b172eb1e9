//! Writing a tree: each step's error names its path.

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Names the path that an error is about.
pub(super) fn at<T, E: Display>(path: &Path, done: Result<T, E>) -> Result<T, String> {
    done.map_err(|error| format!("{}: {error}", path.display()))
}

/// Makes a folder and those above it.
pub(super) fn folder(path: &Path) -> Result<(), String> {
    at(path, fs::create_dir_all(path))
}

/// Writes a file and the folders above it.
pub(super) fn file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), String> {
    folder(path.parent().unwrap_or(path))?;
    at(path, fs::write(path, content))
}

/// Writes a file that can be run.
pub(super) fn program(path: &Path, content: impl AsRef<[u8]>) -> Result<(), String> {
    file(path, content)?;
    mode(path, 0o755)
}

/// Sets the permissions of a file.
pub(super) fn mode(path: &Path, mode: u32) -> Result<(), String> {
    at(path, fs::set_permissions(path, fs::Permissions::from_mode(mode)))
}

/// Makes a symbolic link and the folders above it.
pub(super) fn link(path: &Path, target: &str) -> Result<(), String> {
    folder(path.parent().unwrap_or(path))?;
    at(path, symlink(target, path))
}

/// Copies a program or a library.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    folder(to.parent().unwrap_or(to))?;
    at(from, fs::copy(from, to))?;
    mode(to, 0o755)
}
