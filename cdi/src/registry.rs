//! The devices that an engine would find: all specs of some folders, and which definition of a device wins.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{ContainerEdits, Device, Format, Kind, QualifiedName, ReadError, Spec, read_file};

/// A spec and where it comes from.
#[derive(Clone, Debug)]
pub struct SpecFile {
    /// The file.
    pub path: PathBuf,
    /// The place of its folder among the folders that were read: a higher one wins.
    pub priority: usize,
    /// What it says.
    pub spec: Spec,
}

/// Several files of one priority define the same device: no engine resolves it, for any container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The device.
    pub name: QualifiedName,
    /// The files that define it, in the order in which they were read.
    pub files: Vec<PathBuf>,
}

/// A definition that a folder of higher priority replaces without a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The device.
    pub name: QualifiedName,
    /// The file whose definition has no effect.
    pub file: PathBuf,
    /// The file whose definition wins.
    pub by: PathBuf,
}

/// A device that no container would get.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No file that could be read defines it.
    #[error("no CDI spec defines {name}{}", unread_note(unread))]
    Unknown {
        /// The device.
        name: QualifiedName,
        /// Files and folders that could not be read, and may define it.
        unread: Vec<PathBuf>,
    },
    /// Several files of one priority define it.
    #[error("{} files define {name}: {}; remove all but one", files.len(), list(files))]
    Conflict {
        /// The device.
        name: QualifiedName,
        /// The files.
        files: Vec<PathBuf>,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let mut text = String::new();
    for (index, path) in paths.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}{}", path.display());
    }
    text
}

fn unread_note(unread: &[PathBuf]) -> String {
    match unread {
        [] => String::new(),
        _ => format!("; these could not be read and may define it: {}", list(unread)),
    }
}

/// Where a device is defined: indices of the file and, in its spec, of the device.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: usize,
    device: usize,
}

/// What was found in the folders.
#[derive(Debug, Default)]
pub struct Registry {
    files: Vec<SpecFile>,
    errors: Vec<ReadError>,
    devices: BTreeMap<QualifiedName, Place>,
    conflicts: Vec<Conflict>,
    shadowed: Vec<Shadowed>,
}

impl Registry {
    /// Reads every `.json` and `.yaml` file of `folders`, the one with the lowest priority first, as engines do:
    /// a file that is wrong costs its own devices only, a folder that isn't there costs nothing.
    pub fn load<P: AsRef<Path>>(folders: &[P]) -> Registry {
        let mut registry = Registry::default();
        for (priority, folder) in folders.iter().enumerate() {
            registry.read_folder(priority, folder.as_ref());
        }
        registry.settle_all();
        registry
    }

    fn read_folder(&mut self, priority: usize, folder: &Path) {
        let paths = match spec_paths(folder) {
            Ok(paths) => paths,
            Err(source) => {
                self.errors.push(ReadError::Io { path: folder.into(), source });
                return;
            }
        };
        for path in paths {
            match read_file(&path) {
                Ok(spec) => self.files.push(SpecFile { path, priority, spec }),
                Err(error) => self.errors.push(error),
            }
        }
    }

    fn settle_all(&mut self) {
        let mut definitions: BTreeMap<QualifiedName, Vec<Place>> = BTreeMap::new();
        for (file, SpecFile { spec, .. }) in self.files.iter().enumerate() {
            for (device, Device { name, .. }) in spec.devices.iter().enumerate() {
                let places = definitions.entry(spec.kind.device(name.clone())).or_default();
                places.push(Place { file, device });
            }
        }
        for (name, places) in definitions {
            self.settle(name, &places);
        }
    }

    /// Decides which of a device's definitions wins. A conflict in a folder is one for all, even where a folder of
    /// higher priority has a definition too: the reference library has it so.
    fn settle(&mut self, name: QualifiedName, places: &[Place]) {
        let file = |place: &Place| self.files.get(place.file);
        let priority = |place: &Place| file(place).map(|file| file.priority);
        let path = |place: &Place| file(place).map(|file| file.path.clone());
        let rivals = |place: &&Place| {
            places.iter().filter(|other| priority(other) == priority(place)).count() > 1
        };
        let files: Vec<_> = places.iter().filter(rivals).filter_map(path).collect();
        if !files.is_empty() {
            self.conflicts.push(Conflict { name, files });
            return;
        }
        let Some(winner) = places.iter().max_by_key(|place| priority(place)) else { return };
        let Some(by) = path(winner) else { return };
        let losers = places.iter().filter(|place| place.file != winner.file).filter_map(path);
        let shadowed: Vec<_> =
            losers.map(|file| Shadowed { name: name.clone(), file, by: by.clone() }).collect();
        self.shadowed.extend(shadowed);
        self.devices.insert(name, *winner);
    }

    /// The specs that could be read, in the order of reading.
    pub fn files(&self) -> &[SpecFile] {
        &self.files
    }

    /// The files and folders that could not be read, in the order in which they were met.
    pub fn errors(&self) -> &[ReadError] {
        &self.errors
    }

    /// The devices that several files of one priority define, by name.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// The definitions that have no effect, by name of the device.
    pub fn shadowed(&self) -> &[Shadowed] {
        &self.shadowed
    }

    /// The devices that a container can get, by name, each with the file that defines it.
    pub fn devices(&self) -> impl Iterator<Item = (&QualifiedName, &SpecFile, &Device)> {
        self.devices.iter().filter_map(|(name, place)| {
            let (file, device) = self.at(*place)?;
            Some((name, file, device))
        })
    }

    /// The specs that define devices of that kind.
    pub fn definitions_of(&self, kind: &Kind) -> impl Iterator<Item = &SpecFile> {
        self.files.iter().filter(move |file| file.spec.kind == *kind)
    }

    /// The device of that name, and the file that defines it.
    ///
    /// # Errors
    /// When no file, or several of one priority, define it.
    pub fn resolve(&self, name: &QualifiedName) -> Result<(&SpecFile, &Device), ResolveError> {
        if let Some(found) = self.devices.get(name).and_then(|place| self.at(*place)) {
            return Ok(found);
        }
        match self.conflicts.iter().find(|conflict| conflict.name == *name) {
            Some(Conflict { files, .. }) => {
                Err(ResolveError::Conflict { name: name.clone(), files: files.clone() })
            }
            None => Err(ResolveError::Unknown {
                name: name.clone(),
                unread: self.errors.iter().map(|error| error.path().into()).collect(),
            }),
        }
    }

    /// What an engine would put into a container that is given `names`, in that order: the shared edits of a spec
    /// once, before those of its first device.
    ///
    /// # Errors
    /// As [`Registry::resolve`], for the first name that can't be resolved.
    pub fn edits(&self, names: &[QualifiedName]) -> Result<ContainerEdits, ResolveError> {
        let mut edits = ContainerEdits::default();
        let mut seen: Vec<&Path> = Vec::new();
        for name in names {
            let (file, device) = self.resolve(name)?;
            if !seen.contains(&file.path.as_path()) {
                seen.push(&file.path);
                edits.append(file.spec.container_edits.clone());
            }
            edits.append(device.container_edits.clone());
        }
        Ok(edits)
    }

    fn at(&self, place: Place) -> Option<(&SpecFile, &Device)> {
        let file = self.files.get(place.file)?;
        Some((file, file.spec.devices.get(place.device)?))
    }
}

/// The files of a folder that engines take for specs, by name.
fn spec_paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() && Format::of_path(&entry.path()).is_some() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
