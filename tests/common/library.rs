//! Shared libraries of a few lines, where the simulated NVML knows too much.

use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A shared library in a folder of its own, gone when dropped.
#[derive(Debug)]
pub(crate) struct Library {
    /// The library.
    pub(crate) path: PathBuf,
    _dir: TempDir,
}

/// Builds a shared library from C.
pub(crate) fn build(source: &str) -> Library {
    let dir = tempfile::tempdir().unwrap();
    let (code, path) = (dir.path().join("library.c"), dir.path().join("library.so"));
    std::fs::write(&code, source).unwrap();
    let mut compiler = Command::new("cc");
    let done = compiler.args(["-shared", "-fPIC", "-o"]).arg(&path).arg(&code).status();
    assert!(done.expect("cc comes with build-essential").success());
    Library { path, _dir: dir }
}
