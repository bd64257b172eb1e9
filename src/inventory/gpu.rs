//! GPUs as the driver reports them.

use super::Mig;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One look at the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Inventory {
    /// The driver's version, `550.163.01`.
    pub driver_version: String,
    /// The newest CUDA version that the driver serves, as (major, minor).
    pub cuda_version: (u32, u32),
    /// The GPUs that answer, by NVML index.
    pub gpus: Vec<Gpu>,
    /// The GPUs that don't: lost from the bus, or with answers that make no sense.
    pub unusable: Vec<Unusable>,
}

/// A GPU that can't be served, and why. The others can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Unusable {
    /// NVML's index of it.
    pub index: u32,
    /// One sentence for people.
    pub says: String,
}

/// A physical GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gpu {
    /// NVML's index; changes when GPUs come or go.
    pub index: u32,
    /// The N of `/dev/nvidiaN`; may differ from the index.
    pub minor: u32,
    /// `GPU-…`, the identity.
    pub uuid: String,
    /// Where it sits.
    pub pci: PciAddress,
    /// What its board is to PCI.
    pub pci_ids: PciIds,
    /// The product name, `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// CUDA compute capability as (major, minor).
    pub compute_capability: (u32, u32),
    /// Who may open a context on it.
    pub compute_mode: ComputeMode,
    /// MIG, where the GPU can do it.
    pub mig: Option<Mig>,
    /// Processes that compute on it. Graphics processes are not counted.
    pub processes: Vec<Process>,
}

impl Gpu {
    /// Whether MIG mode is on now.
    pub fn mig_enabled(&self) -> bool {
        self.mig.as_ref().is_some_and(|mig| mig.enabled)
    }
}

/// A process with a compute context on a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// The pid in the namespace that NVML was asked in.
    pub pid: u32,
    /// GPU memory it uses, in bytes, where the driver says.
    pub used_bytes: Option<u64>,
    /// The GPU instance it runs in.
    pub gpu_instance: Option<u32>,
    /// The compute instance it runs in.
    pub compute_instance: Option<u32>,
}

/// What one process used of a GPU in the driver's last sample of it, in per cent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Utilization {
    /// The pid in the namespace that NVML was asked in.
    pub pid: u32,
    /// Of the multiprocessors' time.
    pub multiprocessors: u32,
    /// Of the memory's bandwidth.
    pub memory: u32,
    /// Of the video encoders' time.
    pub encoder: u32,
    /// Of the video decoders' time.
    pub decoder: u32,
}

/// Who may open a context on a GPU (`nvmlComputeMode_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ComputeMode {
    /// Any number of processes.
    #[default]
    Default,
    /// No process.
    Prohibited,
    /// One process, which may be an MPS server.
    ExclusiveProcess,
}

/// As `nvidia-smi` writes it.
impl std::fmt::Display for ComputeMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ComputeMode::Default => "DEFAULT",
            ComputeMode::Prohibited => "PROHIBITED",
            ComputeMode::ExclusiveProcess => "EXCLUSIVE_PROCESS",
        })
    }
}

/// A PCI address, `0000:1a:00.0` as sysfs writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    /// PCI domain.
    pub domain: u32,
    /// Bus in the domain.
    pub bus: u8,
    /// Device on the bus; a GPU's function is always 0.
    pub device: u8,
}

/// PCI's numbers of a board, each as device × 65536 + vendor: 0x20B010DE is an A100 with 40 GB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PciIds {
    /// Of the GPU.
    pub device: u32,
    /// Of the board that it is on.
    pub subsystem: u32,
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.0", self.domain, self.bus, self.device)
    }
}

impl Serialize for PciAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
