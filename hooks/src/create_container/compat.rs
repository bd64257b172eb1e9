//! CUDA compatibility libraries: an image may bring a newer user-mode driver than the host's, which
//! works on the host's kernel driver where NVIDIA says so.

use std::fs::File;

use divvy::hook_args::DriverVersion;
use rustix::fs::{Dir, FileType};
use serde::Deserialize;

use crate::container::Container;
use crate::elf;
use crate::tell;

/// Where CUDA images have them.
const FOLDER: &str = "/usr/local/cuda/compat";
/// The note in which newer compatibility libraries say which drivers they suit.
const SECTION: &[u8] = b".note.cuda.fwd_compatibility";
const OWNER: &[u8] = b"NVIDIA Corporation";

/// What the note says.
#[derive(Deserialize)]
struct Note {
    /// Driver branches that the libraries run on.
    #[serde(rename = "Driver", default)]
    drivers: Vec<u32>,
}

/// The folder whose libraries are to come before the driver's own, if there is one.
///
/// Whatever is odd about the image's files leaves the host's driver in use.
pub(super) fn folder(container: &Container, host: &DriverVersion) -> Option<&'static str> {
    let (name, version) = library(container)?;
    let file = match container.open_file(&format!("{FOLDER}/{name}")) {
        Ok(file) => file?,
        Err(error) => {
            tell(&format!("warning: the CUDA compatibility libraries are left out: {error}"));
            return None;
        }
    };
    suits(&file, &version, host).then_some(FOLDER)
}

/// The one `libcuda.so.<version>` in the folder. With several it can't be told which one counts.
fn library(container: &Container) -> Option<(String, DriverVersion)> {
    let folder = container.open_folder(FOLDER).ok()??;
    let mut found = None;
    for entry in Dir::read_from(folder).ok()? {
        let entry = entry.ok()?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        let Some(version) = name.strip_prefix("libcuda.so.") else { continue };
        let is_file = matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown);
        if !is_file || !version.contains('.') {
            continue;
        }
        if found.is_some() {
            tell("warning: there are several CUDA compatibility libraries; none is used");
            return None;
        }
        found = Some((name.to_owned(), version.parse().ok()?));
    }
    found
}

fn suits(file: &File, version: &DriverVersion, host: &DriverVersion) -> bool {
    let note =
        elf::note(file, SECTION, OWNER).and_then(|text| serde_json::from_slice::<Note>(&text).ok());
    match note {
        Some(note) => note.drivers.contains(&host.major()) && version.is_newer_than(host),
        // Older libraries have no note: a newer branch is then taken to be meant for older drivers.
        None => version.major() > host.major(),
    }
}
