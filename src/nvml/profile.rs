//! What a GPU can be cut into: profiles and placements.

use super::call::{struct_version, symbol, text_of, zero};
use super::device::Device;
use super::error::{Code, NvmlError};
use super::instance::GpuInstance;
use nvml_wrapper_sys::bindings as c;

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

/// `None` for an answer that means "this GPU has no such profile".
fn absent<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, NvmlError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_absence() => Ok(None),
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

impl Device<'_> {
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
}

impl GpuInstance<'_> {
    /// What it can be cut into, with shared engines, each with its number in nvml.h
    /// (`NVML_COMPUTE_INSTANCE_PROFILE_…`). Two may have the same slices: a whole 7g on some boards.
    /// Asks for every number below `numbers`; nvml.h of CUDA 13 knows 9.
    ///
    /// # Errors
    /// It is gone.
    pub fn compute_instance_profiles(
        &self,
        numbers: u32,
    ) -> Result<Vec<(u32, ComputeInstanceProfile)>, NvmlError> {
        let api = &self.session.api;
        let shared = c::NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED;
        let mut profiles = Vec::new();
        for number in 0..numbers {
            // The first version of the structure has all that is wanted, and every driver takes it.
            let symbol = symbol!(api, nvmlGpuInstanceGetComputeInstanceProfileInfo);
            let info: c::nvmlComputeInstanceProfileInfo_t = zero();
            let answer = api.get_at2_from(&self.label, symbol, (self.raw, number, shared), info);
            if let Some(info) = absent(answer)? {
                let profile = ComputeInstanceProfile {
                    id: info.id,
                    slices: info.sliceCount,
                    instances: info.instanceCount,
                    multiprocessors: info.multiprocessorCount,
                };
                profiles.push((number, profile));
            }
        }
        Ok(profiles)
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
