//! The driver: kernel module, libraries, GPUs that answer.

use super::finding::{Finding, Name};
use super::mend::{Mend, advice, run};
use super::{Judged, Looked};
use crate::driver_files::{DriverFiles, Search};
use crate::host::Host;
use crate::inventory::{self, Inventory};
use crate::nvml::{NvmlError, Session};

/// What was seen of the driver.
#[derive(Debug)]
pub struct Driver {
    /// The version of the kernel module that is loaded.
    pub module: Option<String>,
    /// Whether nouveau is loaded, the kernel's own driver of these GPUs.
    pub nouveau: bool,
    /// What NVML answers.
    pub nvml: Result<String, NvmlError>,
    /// Why the user-space part isn't whole.
    pub libraries: Option<String>,
}

impl Driver {
    /// Looks at it.
    pub fn look(host: &Host, session: &Result<Session, NvmlError>) -> Driver {
        let module = inventory::kernel_module_version(host);
        let nvml = match session {
            Ok(session) => session.driver_version(),
            Err(error) => Err(error.clone()),
        };
        let find = |version| DriverFiles::find(host, version, &Search::default()).err();
        let libraries = module.as_deref().and_then(find).map(|error| error.to_string());
        let nouveau = host.sys_root.join("module/nouveau").is_dir();
        Driver { module, nouveau, nvml, libraries }
    }
}

const RELOAD: &str = "modprobe -r nvidia-uvm nvidia-drm nvidia-modeset nvidia && modprobe nvidia";

pub(super) fn judge(driver: &Driver, inventory: &Looked<Inventory>) -> Judged {
    let mut findings = Vec::new();
    let module = "/proc/driver/nvidia/version";
    if driver.module.is_none() && driver.nouveau {
        let what = "nouveau has the GPUs: the NVIDIA kernel module can't be loaded beside it";
        let how = format!("/sys/module/nouveau is there, and {module} isn't");
        let mend = run("echo 'blacklist nouveau' >> /etc/modprobe.d/blacklist-nouveau.conf")
            .but("then make the initial RAM disk anew, where it has nouveau, and reboot");
        findings.push(Finding::new(Name::NouveauLoaded, what, how, mend));
    } else if driver.module.is_none() {
        let how = format!("{module} isn't there");
        let what = "the NVIDIA kernel module isn't loaded";
        findings.push(Finding::new(Name::ModuleMissing, what, how, run("modprobe nvidia")));
    }
    findings.extend(driver.nvml.as_ref().err().and_then(|error| nvml(driver, error)));
    if let Some(libraries) = &driver.libraries {
        let what = "the driver's libraries don't go with its kernel module";
        let mend = advice("install the driver's user-space packages of that version");
        findings.push(Finding::new(Name::LibrariesMissing, what, libraries, mend));
    }
    if let Ok(inventory) = inventory {
        for gpu in &inventory.unusable {
            let what = format!("GPU {} doesn't answer", gpu.index);
            let mend = run(format!("nvidia-smi --gpu-reset -i {}", gpu.index))
                .but("with no process on it; where that fails, reboot");
            findings.push(Finding::new(Name::GpuLost, what, &gpu.says, mend));
        }
        if inventory.gpus.is_empty() && inventory.unusable.is_empty() {
            let what = "the driver has no GPU";
            let mend = run("lspci -k -d 10de:")
                .but("shows whether there is one, and what has it; it may be bound to vfio-pci");
            findings.push(Finding::new(Name::NoGpu, what, "NVML counts none", mend));
        }
    }
    let gpus = inventory.as_ref().map_or(0, |inventory| inventory.gpus.len());
    let version = driver.module.as_deref().unwrap_or("no driver");
    let plural = if gpus == 1 { "" } else { "s" };
    Judged { says: format!("{version}, {gpus} GPU{plural}"), findings }
}

fn nvml(driver: &Driver, error: &NvmlError) -> Option<Finding> {
    let finding =
        |name, what: &str, mend: Mend| Some(Finding::new(name, what, error.to_string(), mend));
    match error {
        NvmlError::Library { .. } | NvmlError::NotNvml { .. } => finding(
            Name::LibraryMissing,
            "the driver's library libnvidia-ml.so.1 can't be loaded",
            advice(
                "install the driver's user-space packages, or name their root with --driver-root",
            ),
        ),
        NvmlError::VersionMismatch { .. } => finding(
            Name::VersionMismatch,
            "kernel module and libraries are of different drivers: every GPU container fails until they agree",
            run(RELOAD).but("with no process on any GPU; or reboot"),
        ),
        // Said already: a driver that isn't loaded doesn't answer.
        NvmlError::Call { .. } if driver.module.is_none() => None,
        NvmlError::Call { .. } => finding(
            Name::NvmlFails,
            "the driver doesn't answer",
            run("dmesg | grep -i nvrm").but("tells why"),
        ),
    }
}

/// Whether the driver keeps GPUs initialised.
#[derive(Debug)]
pub struct Persistence {
    /// Indices of GPUs whose persistence mode is off.
    pub off: Vec<u32>,
    /// Whether nvidia-persistenced is there, which keeps them instead.
    pub daemon: bool,
}

impl Persistence {
    /// Looks at it.
    ///
    /// # Errors
    /// Where the driver doesn't say.
    pub fn look(
        host: &Host,
        session: &Session,
        inventory: &Inventory,
    ) -> Result<Persistence, String> {
        let mut off = Vec::new();
        for gpu in &inventory.gpus {
            let mode = session.device(gpu.index).and_then(|device| device.persistence_mode());
            if !mode.map_err(|error| error.to_string())? {
                off.push(gpu.index);
            }
        }
        let socket = host.driver_root.join("run/nvidia-persistenced/socket");
        Ok(Persistence { off, daemon: socket.exists() })
    }
}

pub(super) fn judge_persistence(persistence: &Persistence) -> Judged {
    let says = match (persistence.daemon, persistence.off.is_empty()) {
        (true, _) => "nvidia-persistenced keeps the GPUs",
        (false, true) => "persistence mode is on",
        (false, false) => "persistence mode is off",
    };
    let finding = |index: &u32| {
        Finding::new(
            Name::PersistenceOff,
            format!(
                "GPU {index} is initialised anew when its last user goes: starts are slow, and modes that were set may be forgotten"
            ),
            "its persistence mode is off, and there is no socket of nvidia-persistenced",
            run("systemctl enable --now nvidia-persistenced").but(format!(
                "where there is no such service: nvidia-smi -i {index} -pm 1, until the next boot"
            )),
        )
    };
    let off = persistence.off.iter().filter(|_| !persistence.daemon);
    Judged { says: says.to_owned(), findings: off.map(finding).collect() }
}
