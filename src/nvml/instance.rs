//! The life of GPU instances and compute instances, and the MIG devices that they make.

use super::call::symbol;
use super::device::Device;
use super::error::{Code, NvmlError};
use super::profile::Slices;
use super::session::Session;
use nvml_wrapper_sys::bindings as c;
use std::fmt;

/// A GPU instance that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuInstanceInfo {
    /// The driver's id; ids are used again.
    pub id: u32,
    /// Its [`GpuInstanceProfile::id`](super::GpuInstanceProfile::id).
    pub profile_id: u32,
    /// Where it stands, in memory slices.
    pub placement: Slices,
}

/// A compute instance that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComputeInstanceInfo {
    /// The driver's id inside its GPU instance.
    pub id: u32,
    /// Its [`ComputeInstanceProfile::id`](super::ComputeInstanceProfile::id).
    pub profile_id: u32,
    /// Where it stands, in compute slices.
    pub placement: Slices,
}

/// A handle on a GPU instance. It is NVML's, and no good once the instance is gone.
pub struct GpuInstance<'s> {
    pub(super) session: &'s Session,
    pub(super) raw: c::nvmlGpuInstance_t,
    pub(super) label: String,
}

/// A handle on a compute instance.
pub struct ComputeInstance<'s> {
    pub(super) session: &'s Session,
    pub(super) raw: c::nvmlComputeInstance_t,
    pub(super) label: String,
}

impl fmt::Debug for GpuInstance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GpuInstance({})", self.label)
    }
}

impl fmt::Debug for ComputeInstance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ComputeInstance({})", self.label)
    }
}

impl<'s> Device<'s> {
    /// Makes a GPU instance at a place. Needs root and MIG mode; takes up to seconds.
    ///
    /// # Errors
    /// [`Code::InsufficientResources`] where the place is taken.
    pub fn create_gpu_instance(
        &self,
        profile_id: u32,
        placement: Slices,
    ) -> Result<GpuInstance<'s>, NvmlError> {
        let api = &self.session.api;
        let place = c::nvmlGpuInstancePlacement_t { start: placement.start, size: placement.size };
        let symbol = symbol!(api, nvmlDeviceCreateGpuInstanceWithPlacement);
        let raw = api.create_at(&self.label, symbol, (self.raw, profile_id), &place)?;
        Ok(self.instance(raw, "new GPU instance"))
    }

    /// The GPU instances of a profile. Needs root. `most` is [`GpuInstanceProfile::instances`](super::GpuInstanceProfile::instances).
    ///
    /// # Errors
    /// MIG mode is off, the GPU has no such profile, or the caller isn't root.
    pub fn gpu_instances(
        &self,
        profile_id: u32,
        most: u32,
    ) -> Result<Vec<GpuInstance<'s>>, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlDeviceGetGpuInstances);
        let raw = api.list_at(&self.label, symbol, (self.raw, profile_id), most)?;
        Ok(raw.into_iter().map(|raw| self.instance(raw, "a GPU instance")).collect())
    }

    /// A GPU instance by id. Needs root.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is none.
    pub fn gpu_instance(&self, id: u32) -> Result<GpuInstance<'s>, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlDeviceGetGpuInstanceById);
        let raw = api.get_at(&self.label, symbol, (self.raw, id))?;
        Ok(self.instance(raw, &format!("GPU instance {id}")))
    }

    fn instance(&self, raw: c::nvmlGpuInstance_t, what: &str) -> GpuInstance<'s> {
        GpuInstance { session: self.session, raw, label: format!("{}, {what}", self.label) }
    }

    /// How many MIG devices the GPU can have: their indexes are below this, with gaps.
    ///
    /// # Errors
    /// The device doesn't answer or can't do MIG.
    pub fn max_mig_devices(&self) -> Result<u32, NvmlError> {
        let api = &self.session.api;
        api.get(&self.label, symbol!(api, nvmlDeviceGetMaxMigDeviceCount), self.raw)
    }

    /// The MIG device at an index; `None` for a gap.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn mig_device(&self, index: u32) -> Result<Option<Device<'s>>, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlDeviceGetMigDeviceHandleByIndex);
        let label = format!("{}, MIG device {index}", self.label);
        match api.get_at(&self.label, symbol, (self.raw, index)) {
            Ok(raw) => Ok(Some(Device { session: self.session, raw, label })),
            Err(error) if error.is(Code::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Of a MIG device: the id of its GPU instance.
    ///
    /// # Errors
    /// It is none, or gone.
    pub fn gpu_instance_id(&self) -> Result<u32, NvmlError> {
        let api = &self.session.api;
        api.get(&self.label, symbol!(api, nvmlDeviceGetGpuInstanceId), self.raw)
    }

    /// Of a MIG device: the id of its compute instance.
    ///
    /// # Errors
    /// It is none, or gone.
    pub fn compute_instance_id(&self) -> Result<u32, NvmlError> {
        let api = &self.session.api;
        api.get(&self.label, symbol!(api, nvmlDeviceGetComputeInstanceId), self.raw)
    }
}

impl<'s> GpuInstance<'s> {
    /// What and where it is.
    ///
    /// # Errors
    /// It is gone.
    pub fn info(&self) -> Result<GpuInstanceInfo, NvmlError> {
        let info = self.raw_info()?;
        Ok(GpuInstanceInfo {
            id: info.id,
            profile_id: info.profileId,
            placement: Slices { start: info.placement.start, size: info.placement.size },
        })
    }

    fn raw_info(&self) -> Result<c::nvmlGpuInstanceInfo_t, NvmlError> {
        let api = &self.session.api;
        api.get(&self.label, symbol!(api, nvmlGpuInstanceGetInfo), self.raw)
    }

    /// Makes a compute instance; the driver chooses the place. Needs root.
    ///
    /// # Errors
    /// [`Code::InsufficientResources`] where it doesn't fit.
    pub fn create_compute_instance(
        &self,
        profile_id: u32,
    ) -> Result<ComputeInstance<'s>, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlGpuInstanceCreateComputeInstance);
        let raw = api.get_at(&self.label, symbol, (self.raw, profile_id))?;
        Ok(self.compute(raw, "new compute instance"))
    }

    /// The compute instances of a profile. Needs root.
    ///
    /// # Errors
    /// It is gone, or has no such profile.
    pub fn compute_instances(
        &self,
        profile_id: u32,
        most: u32,
    ) -> Result<Vec<ComputeInstance<'s>>, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlGpuInstanceGetComputeInstances);
        let raw = api.list_at(&self.label, symbol, (self.raw, profile_id), most)?;
        Ok(raw.into_iter().map(|raw| self.compute(raw, "a compute instance")).collect())
    }

    /// A compute instance by id. Needs root.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is none.
    pub fn compute_instance(&self, id: u32) -> Result<ComputeInstance<'s>, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlGpuInstanceGetComputeInstanceById);
        let raw = api.get_at(&self.label, symbol, (self.raw, id))?;
        Ok(self.compute(raw, &format!("compute instance {id}")))
    }

    fn compute(&self, raw: c::nvmlComputeInstance_t, what: &str) -> ComputeInstance<'s> {
        ComputeInstance { session: self.session, raw, label: format!("{}, {what}", self.label) }
    }

    /// Destroys it. Needs root, and no compute instance in it.
    ///
    /// # Errors
    /// [`Code::InUse`] while it has compute instances or processes. The handle is spent either way;
    /// [`Device::gpu_instance`] gives another.
    pub fn destroy(self) -> Result<(), NvmlError> {
        let api = &self.session.api;
        api.give(&self.label, symbol!(api, nvmlGpuInstanceDestroy), self.raw)
    }
}

impl ComputeInstance<'_> {
    /// What and where it is.
    ///
    /// # Errors
    /// It is gone.
    pub fn info(&self) -> Result<ComputeInstanceInfo, NvmlError> {
        let info = self.raw_info()?;
        Ok(ComputeInstanceInfo {
            id: info.id,
            profile_id: info.profileId,
            placement: Slices { start: info.placement.start, size: info.placement.size },
        })
    }

    /// `MIG-…`: the UUID of the MIG device that it makes, in two calls and without a walk over the
    /// GPU's MIG devices. `None` from a driver that names the parent GPU in the instance's place; then
    /// the walk is the way.
    ///
    /// # Errors
    /// It is gone.
    pub fn mig_uuid(&self) -> Result<Option<String>, NvmlError> {
        let api = &self.session.api;
        let device = self.raw_info()?.device;
        let uuid = api.text(&self.label, symbol!(api, nvmlDeviceGetUUID), device)?;
        Ok(uuid.starts_with("MIG-").then_some(uuid))
    }

    fn raw_info(&self) -> Result<c::nvmlComputeInstanceInfo_t, NvmlError> {
        let api = &self.session.api;
        match api.get(&self.label, symbol!(api, nvmlComputeInstanceGetInfo_v2), self.raw) {
            Err(error) if error.is_unsupported() => {
                api.get(&self.label, symbol!(api, nvmlComputeInstanceGetInfo), self.raw)
            }
            answer => answer,
        }
    }

    /// Destroys it. Needs root.
    ///
    /// # Errors
    /// [`Code::InUse`] while a process uses it. The handle is spent either way.
    pub fn destroy(self) -> Result<(), NvmlError> {
        let api = &self.session.api;
        api.give(&self.label, symbol!(api, nvmlComputeInstanceDestroy), self.raw)
    }
}
