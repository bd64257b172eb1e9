//! `divvy cdi list`: what an engine would find.

use cdi::Registry;
use serde::Serialize;
use std::path::PathBuf;

/// The devices that engines know, and what is wrong with their folders.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Listing {
    /// Devices that a container can get.
    pub devices: Vec<Listed>,
    /// Devices that no container can get, since several files define them.
    pub conflicts: Vec<Conflict>,
    /// Definitions that another folder hides.
    pub shadowed: Vec<Shadowed>,
    /// Files that engines drop.
    pub unreadable: Vec<Unreadable>,
}

/// A device that a container can get.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Listed {
    /// Its full name, `nvidia.com/gpu=0`.
    pub name: String,
    /// The file that defines it.
    pub file: PathBuf,
}

/// A device that several files define.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Conflict {
    /// Its full name.
    pub name: String,
    /// The files.
    pub files: Vec<PathBuf>,
}

/// A definition without effect.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Shadowed {
    /// The device's full name.
    pub name: String,
    /// The file whose definition has no effect.
    pub file: PathBuf,
    /// The file whose definition has.
    pub by: PathBuf,
}

/// A file that engines drop.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Unreadable {
    /// The file, or a folder.
    pub file: PathBuf,
    /// Why.
    pub problem: String,
}

/// Reads the folders, the one with the lowest priority first.
pub fn list(folders: &[PathBuf]) -> Listing {
    let registry = Registry::load(folders);
    let devices = registry
        .devices()
        .map(|(name, file, _)| Listed { name: name.to_string(), file: file.path.clone() });
    let conflicts = registry.conflicts().iter().map(|conflict| Conflict {
        name: conflict.name.to_string(),
        files: conflict.files.clone(),
    });
    let shadowed = registry.shadowed().iter().map(|shadowed| Shadowed {
        name: shadowed.name.to_string(),
        file: shadowed.file.clone(),
        by: shadowed.by.clone(),
    });
    let unreadable = registry
        .errors()
        .iter()
        .map(|error| Unreadable { file: error.path().to_owned(), problem: error.to_string() });
    Listing {
        devices: devices.collect(),
        conflicts: conflicts.collect(),
        shadowed: shadowed.collect(),
        unreadable: unreadable.collect(),
    }
}
