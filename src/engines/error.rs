use super::Engine;
use std::io;
use std::path::{Path, PathBuf};

/// Why an engine's configuration was not changed. Whatever the error, what is on the disk is whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine isn't here.
    #[error(
        "{engine} isn't on this machine: there is neither the program {program} nor {place}; \
         to write its configuration all the same, name the file with {option}"
    )]
    Absent {
        /// The engine.
        engine: Engine,
        /// Its program.
        program: &'static str,
        /// Where its configuration would be.
        place: PathBuf,
        /// The option that names a file.
        option: &'static str,
    },
    /// A file can't be read.
    #[error("{path} can't be read: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what its engine reads, so nobody knows what a change in it would mean.
    #[error("{path}:{line}:{column}: {message}; nothing was written: mend the file first", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// containerd's first format, which names plugins otherwise and which containerd 2 only converts.
    #[error(
        "{path} is a containerd configuration of version 1 (no `version` in it); write it as version 2: \
         `containerd config dump` prints it so; where it only says disabled_plugins = [\"cri\"], put `version = 2` \
         before that and take \"cri\" out",
        path = .path.display()
    )]
    FirstVersion {
        /// The file.
        path: PathBuf,
    },
    /// The file that divvy would write is somebody else's.
    #[error("{path} is there, and divvy didn't write it; move it away", path = .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A file that the engine reads later takes the effect away.
    #[error("{by} is read after {ours} and {how}; give --drop-in {remedy}", by = .by.display(), ours = .ours.display(), remedy = .remedy.display())]
    Overruled {
        /// The later file.
        by: PathBuf,
        /// divvy's own.
        ours: PathBuf,
        /// What the later file does.
        how: &'static str,
        /// A name that is read later still.
        remedy: PathBuf,
    },
    /// A default runtime that isn't there would stop every container.
    #[error("{path} is not there: as the default runtime it would keep every container from starting; install it, or name it with {option}", path = .path.display())]
    NoProgram {
        /// The program.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
    },
    /// A link leads out of the root.
    #[error("{path} leads to {target}, outside of the root {root}: nothing was written there", path = .path.display(), target = .target.display(), root = .root.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
        /// The root.
        root: PathBuf,
    },
    /// Somebody changed a file while divvy planned.
    #[error("{path} was changed meanwhile; run it again", path = .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file can't be written.
    #[error("{path}: {step}: {source}", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What failed.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A record of what was changed is unreadable.
    #[error("{path}, the record of what divvy changed, can't be read: {message}; remove it, and `--remove` takes out what it recognises", path = .path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

impl Error {
    /// Whether divvy could have gone on, and would not.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Error::FirstVersion { .. }
                | Error::NotOurs { .. }
                | Error::Overruled { .. }
                | Error::NoProgram { .. }
                | Error::Outside { .. }
        )
    }

    /// An error at a byte of a text.
    pub(super) fn malformed(path: &Path, text: &str, byte: usize, message: String) -> Error {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(start..).map_or(0, |line| line.chars().count()) + 1;
        Error::Malformed { path: path.into(), line, column, message }
    }

    /// A drop-in that a later file takes the effect from; the remedy is a name that is read later still.
    pub(super) fn overruled(by: &Path, ours: &Path, how: &'static str) -> Error {
        let ending = ours.extension().unwrap_or_default().to_string_lossy();
        let last = ours.with_file_name(format!("zz-divvy.{ending}"));
        let stem = by.file_stem().unwrap_or_default().to_string_lossy();
        let remedy = if last.as_path() > by {
            last
        } else {
            ours.with_file_name(format!("{stem}_divvy.{ending}"))
        };
        Error::Overruled { by: by.to_owned(), ours: ours.to_owned(), how, remedy }
    }
}
