//! The minors of MIG devices' capability nodes, as the driver tells them in /proc.

use super::CapabilityMinors;
use crate::host::Host;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the capability nodes of a MIG device aren't known.
#[derive(Debug, Error)]
pub enum CapabilityError {
    /// Neither the instance's own file nor the driver's table has it.
    #[error(
        "the driver tells no capability node for {name}: {} is missing and {} doesn't name it; check that the nvidia module is loaded and that /proc is the host's",
        file.display(), table.display()
    )]
    Missing {
        /// `gpu0/gi3/access`.
        name: String,
        /// The instance's own file.
        file: PathBuf,
        /// The driver's table.
        table: PathBuf,
    },
    /// A file that is there and can't be read.
    #[error("can't read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that says something else.
    #[error("{} doesn't say `DeviceFileMinor: <number>`; it is not the NVIDIA driver's file", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// The driver's capabilities. Reads what it is asked for, and its table at most once.
#[derive(Debug)]
pub struct Capabilities<'h> {
    host: &'h Host,
    table: OnceCell<HashMap<String, u32>>,
}

impl<'h> Capabilities<'h> {
    /// Capabilities of the driver whose /proc the host has.
    pub fn new(host: &'h Host) -> Capabilities<'h> {
        Capabilities { host, table: OnceCell::new() }
    }

    /// The minors of a MIG device's nodes below `/dev/nvidia-caps`.
    ///
    /// The instances' own files (`capabilities/gpuM/mig/giG/…`) are asked first, since they exist as long
    /// as the instances do; the static table of all that could be (`nvidia-caps/mig-minors`) is asked
    /// for what has none.
    ///
    /// # Errors
    /// The driver has neither; the error names both files.
    pub fn minors(
        &self,
        gpu_minor: u32,
        gpu_instance: u32,
        compute_instance: u32,
    ) -> Result<CapabilityMinors, CapabilityError> {
        let instance = format!("gi{gpu_instance}/access");
        let compute = format!("gi{gpu_instance}/ci{compute_instance}/access");
        Ok(CapabilityMinors {
            gpu_instance: self.minor(gpu_minor, &instance)?,
            compute_instance: self.minor(gpu_minor, &compute)?,
        })
    }

    fn minor(&self, gpu_minor: u32, access: &str) -> Result<u32, CapabilityError> {
        let folder = format!("driver/nvidia/capabilities/gpu{gpu_minor}/mig");
        let file = self.host.proc(folder).join(access);
        if let Some(text) = read(&file)? {
            return device_file_minor(&text).ok_or(CapabilityError::Malformed { path: file });
        }
        let name = format!("gpu{gpu_minor}/{access}");
        let table = self.host.proc("driver/nvidia-caps/mig-minors");
        match self.table(&table)?.get(&name) {
            Some(minor) => Ok(*minor),
            None => Err(CapabilityError::Missing { name, file, table }),
        }
    }

    fn table(&self, path: &Path) -> Result<&HashMap<String, u32>, CapabilityError> {
        if let Some(table) = self.table.get() {
            return Ok(table);
        }
        let text = read(path)?.unwrap_or_default();
        Ok(self.table.get_or_init(|| mig_minors(&text)))
    }
}

/// The file's text; `None` where there is no such file.
fn read(path: &Path) -> Result<Option<String>, CapabilityError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(source) => Err(CapabilityError::Read { path: path.to_owned(), source }),
    }
}

/// The minor that a capability's file tells: its line `DeviceFileMinor: 12`.
fn device_file_minor(text: &str) -> Option<u32> {
    let minor = text.lines().find_map(|line| line.strip_prefix("DeviceFileMinor:"))?;
    minor.trim().parse().ok()
}

/// The driver's table: a line `gpu0/gi1/ci0/access 13` for each capability that could be. Other lines
/// (`config 1`, `monitor 2`) are kept under their own names; what isn't such a line is passed over.
fn mig_minors(text: &str) -> HashMap<String, u32> {
    let entry = |line: &str| {
        let (name, minor) = line.rsplit_once(' ')?;
        Some((name.to_owned(), minor.parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ACCESS: &str = "DeviceFileMinor: 12\nDeviceFileMode: 292\nDeviceFileModify: 1\n";

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host { proc_root: root.path().into(), ..Host::default() };
        (root, host)
    }

    #[test]
    fn the_instances_own_files_come_first() {
        let (_root, host) = host(&[
            ("driver/nvidia/capabilities/gpu0/mig/gi1/access", ACCESS),
            ("driver/nvidia/capabilities/gpu0/mig/gi1/ci0/access", "DeviceFileMinor: 13\n"),
            ("driver/nvidia-caps/mig-minors", "gpu0/gi1/access 99\ngpu0/gi1/ci0/access 100\n"),
        ]);
        let minors = Capabilities::new(&host).minors(0, 1, 0).unwrap();
        assert_eq!(minors, CapabilityMinors { gpu_instance: 12, compute_instance: 13 });
    }

    #[test]
    fn the_table_serves_what_has_no_file() {
        let table = "config 1\nmonitor 2\ngpu0/gi0/access 3\ngpu7/gi14/access 2012\n\
                     gpu7/gi14/ci7/access 2020\nnonsense\n";
        let (_root, host) = host(&[("driver/nvidia-caps/mig-minors", table)]);
        let minors = Capabilities::new(&host).minors(7, 14, 7).unwrap();
        assert_eq!(minors, CapabilityMinors { gpu_instance: 2012, compute_instance: 2020 });
    }

    #[test]
    fn a_missing_node_is_named_with_both_files() {
        let (_root, host) = host(&[("driver/nvidia-caps/mig-minors", "gpu0/gi1/access 3\n")]);
        let text = Capabilities::new(&host).minors(0, 1, 0).unwrap_err().to_string();
        assert!(text.contains("gpu0/gi1/ci0/access"), "{text}");
        assert!(text.contains("driver/nvidia/capabilities/gpu0/mig/gi1/ci0/access"), "{text}");
        assert!(text.contains("driver/nvidia-caps/mig-minors"), "{text}");
    }

    #[test]
    fn a_file_of_another_kind_is_an_error() {
        for text in ["", "DeviceFileMinor: x\n", "DeviceFileMinor: -1\n", "Minor: 3\n"] {
            let (_root, host) = host(&[("driver/nvidia/capabilities/gpu0/mig/gi1/access", text)]);
            let error = Capabilities::new(&host).minors(0, 1, 0).unwrap_err();
            assert!(matches!(error, CapabilityError::Malformed { .. }), "{error}");
        }
    }
}
