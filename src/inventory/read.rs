//! Reading the node through NVML.

use super::boards::{Board, Boards};
use super::instances;
use super::{ComputeMode, Gpu, Inventory, Mig, PciAddress, PciIds, Process, Unusable};
use crate::host::Host;
use crate::nvml::{self, Device, GpuProcess, NvmlError, Pci, Session};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// How much of the node is wanted. Each NVML call goes to the driver, and some take milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The devices that exist, for a CDI spec of them: no compute modes, no processes, of profiles only
    /// what the devices have, of compute instances no profile. Needs no privilege.
    Devices,
    /// Everything, for planning. Needs root where MIG is on.
    Full,
}

/// Why the node can't be read. A single GPU that can't is in [`Inventory::unusable`] instead.
#[derive(Debug, Error)]
pub enum InventoryError {
    /// The driver doesn't answer at all.
    #[error(transparent)]
    Nvml(#[from] NvmlError),
    /// Two GPUs would be the same device node.
    #[error(
        "the driver says that {first} and {second} are both /dev/nvidia{minor}; a container would get one for the other; load the driver again"
    )]
    SameMinor {
        /// The N of `/dev/nvidiaN`.
        minor: u32,
        /// The UUID of one.
        first: String,
        /// The UUID of the other.
        second: String,
    },
}

/// Opens the NVML of this host's driver: the library that the host names; where its driver root isn't
/// `/`, the one below that; else the one that the dynamic linker finds.
///
/// # Errors
/// As [`Session::open`]; a version mismatch tells both versions.
pub fn open(host: &Host) -> Result<Session, NvmlError> {
    let below_root = || library_below(&host.driver_root);
    let library = host.nvml_library.clone().or_else(below_root);
    Session::open(library.as_deref()).map_err(|error| match error {
        NvmlError::VersionMismatch { library, .. } => {
            NvmlError::VersionMismatch { driver: kernel_module_version(host), library }
        }
        error => error,
    })
}

/// This host's NVML, opened when it is first asked for: to begin and to end it takes the driver 20 ms and more,
/// and much can be taken back without it.
#[derive(Debug)]
pub struct Nvml {
    host: Host,
    session: OnceCell<Session>,
}

impl Nvml {
    /// Of this host; nothing is opened yet.
    pub fn of(host: &Host) -> Nvml {
        Nvml { host: host.clone(), session: OnceCell::new() }
    }

    /// The open session.
    ///
    /// # Errors
    /// As [`open`].
    pub fn get(&self) -> Result<&Session, NvmlError> {
        match self.session.get() {
            Some(session) => Ok(session),
            None => open(&self.host).map(|session| self.session.get_or_init(|| session)),
        }
    }

    /// The GPU or MIG device with that UUID.
    ///
    /// # Errors
    /// As [`open`] and [`Session::device_by_uuid`].
    pub fn device_by_uuid(&self, uuid: &str) -> Result<Device<'_>, NvmlError> {
        self.get()?.device_by_uuid(uuid)
    }

    /// What the node has, as [`read()`].
    ///
    /// # Errors
    /// As [`open`] and [`read()`].
    pub fn inventory(&self, scope: Scope) -> Result<Inventory, InventoryError> {
        read(self.get()?, scope)
    }
}

/// The driver's library in a driver root other than `/`, in the folders that distributions use.
fn library_below(root: &Path) -> Option<PathBuf> {
    const FOLDERS: [&str; 6] = [
        "usr/lib64",
        "usr/lib/x86_64-linux-gnu",
        "usr/lib/aarch64-linux-gnu",
        "lib64",
        "lib/x86_64-linux-gnu",
        "lib/aarch64-linux-gnu",
    ];
    if root == Path::new("/") {
        return None;
    }
    let candidates = FOLDERS.map(|folder| root.join(folder).join("libnvidia-ml.so.1"));
    candidates.into_iter().find(|library| library.is_file())
}

/// The version of the kernel module that is loaded, from `driver/nvidia/version`.
pub fn kernel_module_version(host: &Host) -> Option<String> {
    version_of(&std::fs::read_to_string(host.proc("driver/nvidia/version")).ok()?)
}

/// The version in a line such as
/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr 8 12:41:17 UTC 2025`.
fn version_of(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("NVRM version:"))?;
    let version =
        |word: &&str| word.contains('.') && word.split('.').all(|part| part.parse::<u32>().is_ok());
    line.split_whitespace().find(version).map(str::to_owned)
}

/// Reads the node.
///
/// # Errors
/// The driver doesn't answer, or two GPUs have one minor. A GPU that is lost or answers nonsense is no
/// error: it is listed as unusable.
pub fn read(session: &Session, scope: Scope) -> Result<Inventory, InventoryError> {
    let mut inventory = Inventory {
        driver_version: session.driver_version()?,
        cuda_version: session.cuda_version()?,
        ..Inventory::default()
    };
    let mut boards = Boards::default();
    for index in 0..session.device_count()? {
        match gpu(session, index, scope, &mut boards) {
            Ok(gpu) => inventory.gpus.push(gpu),
            Err(reason) => inventory.unusable.push(Unusable { index, says: reason }),
        }
    }
    minors_differ(&inventory.gpus)?;
    Ok(inventory)
}

fn minors_differ(gpus: &[Gpu]) -> Result<(), InventoryError> {
    let mut seen: HashMap<u32, &Gpu> = HashMap::new();
    for gpu in gpus {
        if let Some(first) = seen.insert(gpu.minor, gpu) {
            return Err(InventoryError::SameMinor {
                minor: gpu.minor,
                first: first.uuid.clone(),
                second: gpu.uuid.clone(),
            });
        }
    }
    Ok(())
}

/// One GPU, or why it can't be served.
fn gpu(session: &Session, index: u32, scope: Scope, boards: &mut Boards) -> Result<Gpu, String> {
    let device = session.device(index).map_err(sentence)?;
    let uuid = device.uuid().map_err(sentence)?;
    if !uuid.starts_with("GPU-") {
        return Err(format!("GPU {index}: the driver gives it the UUID {uuid:?}, which is none"));
    }
    let mut gpu = describe(&device, index, uuid).map_err(sentence)?;
    let pci = device.pci().map_err(sentence)?;
    gpu.pci = pci_address(index, &pci)?;
    gpu.pci_ids = PciIds { device: pci.device_id, subsystem: pci.subsystem_id };
    let bytes = device.memory().or_else(|error| unsupported(error, 0)).map_err(sentence)?;
    gpu.memory_mib = bytes >> 20;
    if scope == Scope::Full {
        gpu.compute_mode = compute_mode(&device).map_err(sentence)?;
        gpu.processes = processes(&device).map_err(sentence)?;
    }
    let board = Board { name: gpu.name.clone(), device_id: pci.device_id, bytes };
    gpu.mig = mig(&device, board, scope, boards).map_err(sentence)?;
    Ok(gpu)
}

fn sentence(error: NvmlError) -> String {
    error.to_string()
}

/// What a driver that can't say is taken to say.
fn unsupported<T>(error: NvmlError, instead: T) -> Result<T, NvmlError> {
    if error.is_unsupported() { Ok(instead) } else { Err(error) }
}

fn describe(device: &Device<'_>, index: u32, uuid: String) -> Result<Gpu, NvmlError> {
    Ok(Gpu {
        index,
        minor: device.minor()?,
        uuid,
        pci: PciAddress::default(),
        pci_ids: PciIds::default(),
        name: device.name()?,
        memory_mib: 0,
        compute_capability: device.compute_capability()?,
        compute_mode: ComputeMode::Default,
        mig: None,
        processes: Vec::new(),
    })
}

fn pci_address(index: u32, pci: &Pci) -> Result<PciAddress, String> {
    PciAddress::of(pci).ok_or_else(|| {
        format!("GPU {index}: the driver gives it the PCI address {:?}, which is none", pci.bus_id)
    })
}

fn compute_mode(device: &Device<'_>) -> Result<ComputeMode, NvmlError> {
    // Some drivers have no compute mode where MIG is on: then it is no obstacle.
    let mode = device.compute_mode().or_else(|e| unsupported(e, nvml::ComputeMode::Default))?;
    Ok(mode.into())
}

/// Processes that compute, MPS clients included, each once for each instance.
fn processes(device: &Device<'_>) -> Result<Vec<Process>, NvmlError> {
    let mut found = device.compute_processes().or_else(|e| unsupported(e, Vec::new()))?;
    found.extend(device.mps_processes().or_else(|e| unsupported(e, Vec::new()))?);
    let place = |p: &GpuProcess| (p.pid, p.gpu_instance, p.compute_instance);
    found.sort_by_key(place);
    found.dedup_by_key(|p| place(p));
    let read = |p: GpuProcess| Process {
        pid: p.pid,
        used_bytes: p.used_bytes,
        gpu_instance: p.gpu_instance,
        compute_instance: p.compute_instance,
    };
    Ok(found.into_iter().map(read).collect())
}

fn mig(
    device: &Device<'_>,
    board: Board,
    scope: Scope,
    boards: &mut Boards,
) -> Result<Option<Mig>, NvmlError> {
    let Some(mode) = device.mig_mode()? else { return Ok(None) };
    let mut mig = Mig { enabled: mode.current, pending: mode.pending, ..Mig::default() };
    match scope {
        Scope::Full => {
            let known = boards.full(device, board)?;
            mig.slices = known.slices;
            mig.profiles.clone_from(&known.profiles);
            if mode.current {
                mig.instances = instances::full(device, &known.ids)?;
            }
        }
        Scope::Devices if mode.current => {
            let known = boards.named(device, board)?;
            mig.instances = instances::devices(device, &known.profiles)?;
            let used = |id| mig.instances.iter().any(|instance| instance.profile_id == id);
            mig.profiles = known.profiles.iter().filter(|p| used(p.id)).cloned().collect();
        }
        Scope::Devices => {}
    }
    Ok(Some(mig))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_modules_version_is_found_in_both_drivers_files() {
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n";
        assert_eq!(version_of(closed).as_deref(), Some("550.163.01"));
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build  (root@host)\n";
        assert_eq!(version_of(open).as_deref(), Some("575.57.08"));
        assert_eq!(version_of("GCC version: 12.2.0"), None);
    }

    #[test]
    fn the_library_is_found_below_a_driver_root_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(library_below(root.path()), None);
        let folder = root.path().join("usr/lib/x86_64-linux-gnu");
        std::fs::create_dir_all(&folder).unwrap();
        let library = folder.join("libnvidia-ml.so.1");
        std::fs::write(&library, "").unwrap();
        assert_eq!(library_below(root.path()), Some(library));
        assert_eq!(library_below(Path::new("/")), None);
    }
}
