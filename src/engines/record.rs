//! What divvy wrote, and what had been there: kept outside of the engines' folders, so that a removal can put
//! back what nobody could tell from the files alone.

use super::{Engine, Error};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where records lie. They outlive a boot, as the configuration does.
pub(super) const FOLDER: &str = "/var/lib/divvy/engines";

/// What divvy did to one engine's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// The name that the runtime was given.
    pub runtime_name: String,
    /// The files.
    pub files: Vec<Trace>,
    /// The folders that were made, an outer one before an inner one.
    pub folders: Vec<PathBuf>,
}

/// One file before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// The file.
    pub path: PathBuf,
    /// Its text; `None` where it was not there.
    pub before: Option<String>,
    /// The text that divvy wrote.
    pub after: String,
}

impl Record {
    pub(super) fn file(engine: Engine) -> PathBuf {
        Path::new(FOLDER).join(format!("{}.json", engine.word()))
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Record, Error> {
        serde_json::from_str(text)
            .map_err(|error| Error::Record { path: path.into(), message: error.to_string() })
    }

    pub(super) fn trace(&self, path: &Path) -> Option<&Trace> {
        self.files.iter().find(|trace| trace.path == path)
    }
}
