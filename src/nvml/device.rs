//! What NVML says of one GPU or MIG device, and the modes that can be set on it.

use super::call::{field_u32, struct_version, symbol, text_of, unsigned, zero};
use super::error::{Code, NvmlError};
use super::session::Session;
use nvml_wrapper_sys::bindings as c;
use std::fmt;

/// A GPU or a MIG device.
pub struct Device<'s> {
    pub(super) session: &'s Session,
    pub(super) raw: c::nvmlDevice_t,
    /// What errors call it.
    pub(super) label: String,
}

impl fmt::Debug for Device<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.label)
    }
}

/// Where a GPU sits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pci {
    /// PCI domain.
    pub domain: u32,
    /// Bus in the domain.
    pub bus: u32,
    /// Device on the bus.
    pub device: u32,
    /// Device id in the high half, vendor id in the low.
    pub device_id: u32,
    /// As `device_id`, of the subsystem.
    pub subsystem_id: u32,
    /// NVML's own way of writing the address, `00000000:1A:00.0`.
    pub bus_id: String,
}

/// MIG mode now and after the next reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigMode {
    /// Whether MIG mode is on.
    pub current: bool,
    /// Whether it is on after the next GPU reset.
    pub pending: bool,
}

/// What became of a MIG mode that was set. NVML reports success in all three cases.
#[must_use = "the mode may not be the one that was asked for"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The mode is as asked.
    Active,
    /// The mode comes with the next GPU reset.
    ResetRequired,
    /// The mode was not set; [`Code::InUse`] where somebody uses the GPU.
    Refused(Code),
}

/// `nvmlComputeMode_t`. Its 1, one thread at a time, has been gone since CUDA 8 and is read as
/// exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComputeMode {
    /// Any number of processes.
    Default,
    /// No process.
    Prohibited,
    /// One process.
    ExclusiveProcess,
}

/// What a MIG device has (`nvmlDeviceAttributes_t`). Engines are those of its GPU instance, which its
/// compute instances share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigAttributes {
    /// Streaming multiprocessors of the compute instance.
    pub multiprocessors: u32,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Compute slices of the GPU instance.
    pub gpu_slices: u32,
    /// Compute slices of the compute instance.
    pub compute_slices: u32,
    /// Copy engines.
    pub copy: u32,
    /// Video decoders.
    pub decoder: u32,
    /// Video encoders.
    pub encoder: u32,
    /// JPEG decoders.
    pub jpeg: u32,
    /// Optical-flow accelerators.
    pub ofa: u32,
}

impl Device<'_> {
    /// `GPU-…` or `MIG-…`.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn uuid(&self) -> Result<String, NvmlError> {
        let api = &self.session.api;
        api.text(&self.label, symbol!(api, nvmlDeviceGetUUID), self.raw)
    }

    /// NVML's index.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn index(&self) -> Result<u32, NvmlError> {
        let api = &self.session.api;
        api.get(&self.label, symbol!(api, nvmlDeviceGetIndex), self.raw)
    }

    /// The N of `/dev/nvidiaN`.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn minor(&self) -> Result<u32, NvmlError> {
        let api = &self.session.api;
        api.get(&self.label, symbol!(api, nvmlDeviceGetMinorNumber), self.raw)
    }

    /// The product name.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn name(&self) -> Result<String, NvmlError> {
        let api = &self.session.api;
        api.text(&self.label, symbol!(api, nvmlDeviceGetName), self.raw)
    }

    /// Where it sits.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn pci(&self) -> Result<Pci, NvmlError> {
        let api = &self.session.api;
        let pci = api.get(&self.label, symbol!(api, nvmlDeviceGetPciInfo_v3), self.raw)?;
        Ok(Pci {
            domain: pci.domain,
            bus: pci.bus,
            device: pci.device,
            device_id: pci.pciDeviceId,
            subsystem_id: pci.pciSubSystemId,
            bus_id: text_of(&pci.busId),
        })
    }

    /// Memory, in bytes, the part that the driver keeps for itself included.
    ///
    /// # Errors
    /// The device doesn't answer; a device without memory of its own says [`Code::NotSupported`].
    pub fn memory(&self) -> Result<u64, NvmlError> {
        let api = &self.session.api;
        let mut asked: c::nvmlMemory_v2_t = zero();
        asked.version = struct_version::<c::nvmlMemory_v2_t>(2);
        let newest =
            api.get_from(&self.label, symbol!(api, nvmlDeviceGetMemoryInfo_v2), self.raw, asked);
        match newest {
            Ok(memory) => Ok(memory.total),
            // Drivers before R510.
            Err(error) if error.is_unsupported() || error.is(Code::ArgumentVersionMismatch) => {
                let memory =
                    api.get(&self.label, symbol!(api, nvmlDeviceGetMemoryInfo), self.raw)?;
                Ok(memory.total)
            }
            Err(error) => Err(error),
        }
    }

    /// CUDA compute capability as (major, minor).
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn compute_capability(&self) -> Result<(u32, u32), NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlDeviceGetCudaComputeCapability);
        let (major, minor) = api.pair(&self.label, symbol, self.raw)?;
        Ok((unsigned(major), unsigned(minor)))
    }

    /// Whether the driver stays loaded for it without clients.
    ///
    /// # Errors
    /// The device doesn't answer, or has no such mode.
    pub fn persistence_mode(&self) -> Result<bool, NvmlError> {
        let api = &self.session.api;
        let mode = api.get(&self.label, symbol!(api, nvmlDeviceGetPersistenceMode), self.raw)?;
        Ok(mode == c::nvmlEnableState_enum_NVML_FEATURE_ENABLED)
    }

    /// Who may open a context.
    ///
    /// # Errors
    /// The device doesn't answer, or has no such mode: some drivers have none where MIG is on.
    pub fn compute_mode(&self) -> Result<ComputeMode, NvmlError> {
        let api = &self.session.api;
        let mode = api.get(&self.label, symbol!(api, nvmlDeviceGetComputeMode), self.raw)?;
        Ok(match mode {
            c::nvmlComputeMode_enum_NVML_COMPUTEMODE_DEFAULT => ComputeMode::Default,
            c::nvmlComputeMode_enum_NVML_COMPUTEMODE_PROHIBITED => ComputeMode::Prohibited,
            _ => ComputeMode::ExclusiveProcess,
        })
    }

    /// Sets who may open a context. Needs root.
    ///
    /// # Errors
    /// The device doesn't have the mode, or the caller isn't root.
    pub fn set_compute_mode(&self, mode: ComputeMode) -> Result<(), NvmlError> {
        let api = &self.session.api;
        let raw = match mode {
            ComputeMode::Default => c::nvmlComputeMode_enum_NVML_COMPUTEMODE_DEFAULT,
            ComputeMode::Prohibited => c::nvmlComputeMode_enum_NVML_COMPUTEMODE_PROHIBITED,
            ComputeMode::ExclusiveProcess => {
                c::nvmlComputeMode_enum_NVML_COMPUTEMODE_EXCLUSIVE_PROCESS
            }
        };
        api.set(&self.label, symbol!(api, nvmlDeviceSetComputeMode), self.raw, raw)
    }

    /// MIG mode; `None` where the GPU or the driver can't do MIG. It must say so twice: a GPU that one false
    /// answer makes one without MIG would be given away whole, with the MIG devices on it.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn mig_mode(&self) -> Result<Option<MigMode>, NvmlError> {
        let api = &self.session.api;
        let on = c::nvmlEnableState_enum_NVML_FEATURE_ENABLED;
        let ask = || api.pair(&self.label, symbol!(api, nvmlDeviceGetMigMode), self.raw);
        let answer = match ask() {
            Err(error) if error.is_unsupported() => ask(),
            answer => answer,
        };
        match answer {
            Ok((current, pending)) => {
                Ok(Some(MigMode { current: current == on, pending: pending == on }))
            }
            Err(error) if error.is_unsupported() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Of a MIG device: what it has.
    ///
    /// # Errors
    /// It is none, or gone.
    pub fn mig_attributes(&self) -> Result<MigAttributes, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlDeviceGetAttributes_v2);
        let raw: c::nvmlDeviceAttributes_t = api.get(&self.label, symbol, self.raw)?;
        Ok(MigAttributes {
            multiprocessors: raw.multiprocessorCount,
            memory_mib: raw.memorySizeMB,
            gpu_slices: raw.gpuInstanceSliceCount,
            compute_slices: raw.computeInstanceSliceCount,
            copy: raw.sharedCopyEngineCount,
            decoder: raw.sharedDecoderCount,
            encoder: raw.sharedEncoderCount,
            jpeg: raw.sharedJpegCount,
            ofa: raw.sharedOfaCount,
        })
    }

    /// Turns MIG mode on or off. Needs root and an idle GPU; instances are lost when it goes off.
    ///
    /// # Errors
    /// The call itself failed. That the mode didn't change is in [`Activation`].
    pub fn set_mig_mode(&self, on: bool) -> Result<Activation, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlDeviceSetMigMode);
        let status = api.get_at(&self.label, symbol, (self.raw, u32::from(on)))?;
        Ok(match (status, Code::from_raw(status)) {
            (c::nvmlReturn_enum_NVML_SUCCESS, _) => Activation::Active,
            (_, Code::ResetRequired) => Activation::ResetRequired,
            (_, code) => Activation::Refused(code),
        })
    }

    /// Whether MIG mode changes without a GPU reset (Hopper and later). A driver that doesn't know the
    /// question says no.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn resetless_mig(&self) -> Result<bool, NvmlError> {
        let api = &self.session.api;
        let mut field: c::nvmlFieldValue_t = zero();
        field.fieldId = c::field_id::NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED;
        let symbol = symbol!(api, nvmlDeviceGetFieldValues);
        match api.get_at_from(&self.label, symbol, (self.raw, 1), field) {
            Ok(field) => Ok(field_u32(&field) == Some(1)),
            Err(error) if error.is_unsupported() || error.is(Code::InvalidArgument) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
