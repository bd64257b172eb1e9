//! MIG through NVML: profiles, placements, and the life of instances.

use super::call::{struct_version, symbol, text_of, zero};
use super::device::Device;
use super::error::{Code, NvmlError};
use super::session::Session;
use nvml_wrapper_sys::bindings as c;
use std::fmt;

/// A place in slices: memory slices for a GPU instance, compute slices for a compute instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slices {
    /// The first.
    pub start: u32,
    /// How many.
    pub size: u32,
}

/// A GPU-instance profile as the driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuInstanceProfile {
    /// The id that creation and listing want; not the number that the profile was asked by.
    pub id: u32,
    /// The driver's name of it. `None` from a driver whose answer has no name (before R470).
    pub name: Option<String>,
    /// Compute slices.
    pub slices: u32,
    /// How many fit on an empty GPU.
    pub instances: u32,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Memory, in MiB.
    pub memory_mib: u64,
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

/// A compute-instance profile inside one GPU instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComputeInstanceProfile {
    /// The id that creation and listing want.
    pub id: u32,
    /// Compute slices.
    pub slices: u32,
    /// How many fit in an empty GPU instance.
    pub instances: u32,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
}

/// A GPU instance that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuInstanceInfo {
    /// The driver's id; ids are used again.
    pub id: u32,
    /// Its [`GpuInstanceProfile::id`].
    pub profile_id: u32,
    /// Where it stands, in memory slices.
    pub placement: Slices,
}

/// A compute instance that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComputeInstanceInfo {
    /// The driver's id inside its GPU instance.
    pub id: u32,
    /// Its [`ComputeInstanceProfile::id`].
    pub profile_id: u32,
    /// Where it stands, in compute slices.
    pub placement: Slices,
}

/// A handle on a GPU instance. It is NVML's, and no good once the instance is gone.
pub struct GpuInstance<'s> {
    session: &'s Session,
    raw: c::nvmlGpuInstance_t,
    label: String,
}

/// A handle on a compute instance.
pub struct ComputeInstance<'s> {
    session: &'s Session,
    raw: c::nvmlComputeInstance_t,
    label: String,
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

/// `None` for an answer that means "this GPU has no such profile".
fn absent<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, NvmlError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is(Code::InvalidArgument) || error.is_unsupported() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The structures that describe a profile, newest first. The first two carry the driver's name of it;
/// they came with R545 and R470.
#[derive(Clone, Copy)]
enum Version {
    Three,
    Two,
    One,
}

impl Version {
    fn older(self) -> Option<Version> {
        match self {
            Version::Three => Some(Version::Two),
            Version::Two => Some(Version::One),
            Version::One => None,
        }
    }
}

/// Whether the library may not know the structure that it was given. "Invalid argument" is also its
/// answer to a profile that it doesn't know.
fn too_old(error: &NvmlError) -> bool {
    let old = [Code::FunctionNotFound, Code::ArgumentVersionMismatch, Code::InvalidArgument];
    old.iter().any(|code| error.is(*code))
}

impl<'s> Device<'s> {
    /// The GPU-instance profiles of this GPU, each with its number in nvml.h
    /// (`NVML_GPU_INSTANCE_PROFILE_…`), which is not its id. MIG mode may be off. Asks for every number
    /// below `numbers`; one that the GPU or the driver doesn't have is left out.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn gpu_instance_profiles(
        &self,
        numbers: u32,
    ) -> Result<Vec<(u32, GpuInstanceProfile)>, NvmlError> {
        let mut profiles = Vec::new();
        let mut version = Version::Three;
        // Until one answer came it isn't known which structures the library takes.
        let mut settled = false;
        for number in 0..numbers {
            let mut answer = self.profile(number, version);
            let mut tried = version;
            while let (false, Err(error), Some(older)) = (settled, &answer, tried.older()) {
                if !too_old(error) {
                    break;
                }
                tried = older;
                answer = self.profile(number, tried);
            }
            if let Some(profile) = absent(answer)? {
                (settled, version) = (true, tried);
                profiles.push((number, profile));
            }
        }
        Ok(profiles)
    }

    fn profile(&self, number: u32, version: Version) -> Result<GpuInstanceProfile, NvmlError> {
        let api = &self.session.api;
        let at = (self.raw, number);
        let named = || symbol!(api, nvmlDeviceGetGpuInstanceProfileInfoV);
        match version {
            Version::Three => {
                let mut asked: c::nvmlGpuInstanceProfileInfo_v3_t = zero();
                asked.version = struct_version::<c::nvmlGpuInstanceProfileInfo_v3_t>(3);
                api.get_at_from(&self.label, named(), at, asked).map(|info| profile_of_v3(&info))
            }
            Version::Two => {
                let mut asked: c::nvmlGpuInstanceProfileInfo_v2_t = zero();
                asked.version = struct_version::<c::nvmlGpuInstanceProfileInfo_v2_t>(2);
                api.get_at_from(&self.label, named(), at, asked).map(|info| profile_of_v2(&info))
            }
            Version::One => {
                let symbol = symbol!(api, nvmlDeviceGetGpuInstanceProfileInfo);
                api.get_at(&self.label, symbol, at).map(|info| profile_of_v1(&info))
            }
        }
    }

    /// Where a profile can stand on an empty GPU, whether MIG mode is on or not.
    ///
    /// # Errors
    /// The device doesn't answer or has no such profile.
    pub fn possible_placements(&self, profile_id: u32) -> Result<Vec<Slices>, NvmlError> {
        let api = &self.session.api;
        let at = (self.raw, profile_id);
        let newest = symbol!(api, nvmlDeviceGetGpuInstancePossiblePlacements_v2);
        let placements = match api.list_at(&self.label, newest, at, 0) {
            Err(error) if error.is_unsupported() => {
                let first = symbol!(api, nvmlDeviceGetGpuInstancePossiblePlacements);
                api.list_at(&self.label, first, at, 0)
            }
            answer => answer,
        }?;
        Ok(placements.iter().map(|p| Slices { start: p.start, size: p.size }).collect())
    }

    /// How many more of a profile fit now.
    ///
    /// # Errors
    /// MIG mode is off, or the GPU has no such profile.
    pub fn remaining_capacity(&self, profile_id: u32) -> Result<u32, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlDeviceGetGpuInstanceRemainingCapacity);
        api.get_at(&self.label, symbol, (self.raw, profile_id))
    }

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

    /// The GPU instances of a profile. Needs root. `most` is [`GpuInstanceProfile::instances`].
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

    /// A compute-instance profile by its number in nvml.h (`NVML_COMPUTE_INSTANCE_PROFILE_…`), with
    /// shared engines. `None` where the GPU instance has no such profile.
    ///
    /// # Errors
    /// It is gone.
    pub fn compute_instance_profile(
        &self,
        number: u32,
    ) -> Result<Option<ComputeInstanceProfile>, NvmlError> {
        let api = &self.session.api;
        let shared = c::NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED;
        let symbol = symbol!(api, nvmlGpuInstanceGetComputeInstanceProfileInfo);
        // The first version of the structure has all that is wanted, and every driver takes it.
        let info: c::nvmlComputeInstanceProfileInfo_t = zero();
        absent(api.get_at2_from(&self.label, symbol, (self.raw, number, shared), info).map(
            |info| ComputeInstanceProfile {
                id: info.id,
                slices: info.sliceCount,
                instances: info.instanceCount,
                multiprocessors: info.multiprocessorCount,
            },
        ))
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

macro_rules! profile_of {
    ($function:ident, $info:ty, $name:expr) => {
        fn $function(info: &$info) -> GpuInstanceProfile {
            let name: fn(&$info) -> Option<String> = $name;
            GpuInstanceProfile {
                id: info.id,
                name: name(info),
                slices: info.sliceCount,
                instances: info.instanceCount,
                multiprocessors: info.multiprocessorCount,
                memory_mib: info.memorySizeMB,
                copy: info.copyEngineCount,
                decoder: info.decoderCount,
                encoder: info.encoderCount,
                jpeg: info.jpegCount,
                ofa: info.ofaCount,
            }
        }
    };
}
profile_of!(profile_of_v3, c::nvmlGpuInstanceProfileInfo_v3_t, |info| Some(text_of(&info.name)));
profile_of!(profile_of_v2, c::nvmlGpuInstanceProfileInfo_v2_t, |info| Some(text_of(&info.name)));
profile_of!(profile_of_v1, c::nvmlGpuInstanceProfileInfo_t, |_| None);
