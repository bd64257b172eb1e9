//! The GPU instances, compute instances and MIG devices of one GPU.

use super::driver::placement;
use super::{ComputeInstance, GpuInstance, Placement, Profile, ProfileName, UNKNOWN_PROFILE};
use crate::nvml::{self, Code, Device, NvmlError};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Where a driver that can't be asked says an instance stands.
const NOWHERE: Placement = Placement { start: 0, size: 0 };
/// More MIG devices than any GPU can have.
const MOST: u32 = 64;
/// How often a GPU is read whose instances come and go meanwhile.
const TRIES: u32 = 3;

/// A MIG device as its handle tells of it.
struct MigDevice<'s> {
    handle: Device<'s>,
    index: u32,
    gpu_instance: u32,
    compute_instance: u32,
    uuid: String,
}

/// A GPU instance with its handle, for its compute instances.
type Asked<'s> = (nvml::GpuInstance<'s>, GpuInstance);

/// Every GPU instance, those without compute instances, too. `profiles` are the GPU's: id, and how many
/// fit.
pub(super) fn full(
    device: &Device<'_>,
    profiles: &[(u32, u32)],
) -> Result<Vec<GpuInstance>, NvmlError> {
    steadily(|| {
        let mut instances = by_profile(device, profiles)?;
        for found in mig_devices(device)? {
            let (handle, instance) = match instances.entry(found.gpu_instance) {
                Entry::Occupied(known) => known.into_mut(),
                // Of a profile that is newer than the numbers that were asked for.
                Entry::Vacant(new) => new.insert(asked(device.gpu_instance(found.gpu_instance)?)?),
            };
            let profile_id = handle.compute_instance(found.compute_instance)?.info()?.profile_id;
            instance.compute_instances.push(compute_instance(found, profile_id));
        }
        Ok(sorted(instances.into_values().map(|(_, instance)| instance)))
    })
}

/// The GPU instances that have MIG devices.
pub(super) fn devices(
    device: &Device<'_>,
    profiles: &[Profile],
) -> Result<Vec<GpuInstance>, NvmlError> {
    steadily(|| {
        let mut instances = BTreeMap::new();
        for found in mig_devices(device)? {
            let instance = match instances.entry(found.gpu_instance) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(instance_of(device, &found, profiles)?),
            };
            instance.compute_instances.push(compute_instance(found, UNKNOWN_PROFILE));
        }
        Ok(sorted(instances.into_values()))
    })
}

/// Reads again where an instance was gone before it could be asked.
fn steadily<T>(mut read: impl FnMut() -> Result<T, NvmlError>) -> Result<T, NvmlError> {
    let mut tries = 1;
    loop {
        match read() {
            Err(error) if gone(&error) && tries < TRIES => tries += 1,
            answer => return answer,
        }
    }
}

/// Whether an instance was asked that is no longer there. Of a stale handle NVML says that the argument
/// is invalid.
fn gone(error: &NvmlError) -> bool {
    error.is(Code::NotFound) || error.is(Code::InvalidArgument)
}

fn by_profile<'s>(
    device: &Device<'s>,
    profiles: &[(u32, u32)],
) -> Result<BTreeMap<u32, Asked<'s>>, NvmlError> {
    let mut instances = BTreeMap::new();
    for (profile_id, most) in profiles {
        let handles = match device.gpu_instances(*profile_id, *most) {
            Err(error) if error.is_unsupported() || error.is(Code::InvalidArgument) => continue,
            answer => answer?,
        };
        for handle in handles {
            let (handle, instance) = asked(handle)?;
            instances.insert(instance.id, (handle, instance));
        }
    }
    Ok(instances)
}

fn asked(handle: nvml::GpuInstance<'_>) -> Result<Asked<'_>, NvmlError> {
    let instance = gpu_instance(handle.info()?);
    Ok((handle, instance))
}

fn mig_devices<'s>(device: &Device<'s>) -> Result<Vec<MigDevice<'s>>, NvmlError> {
    let mut found = Vec::new();
    for index in 0..device.max_mig_devices()?.min(MOST) {
        let Some(handle) = device.mig_device(index)? else { continue };
        found.push(MigDevice {
            index,
            gpu_instance: handle.gpu_instance_id()?,
            compute_instance: handle.compute_instance_id()?,
            uuid: handle.uuid()?,
            handle,
        });
    }
    Ok(found)
}

fn gpu_instance(info: nvml::GpuInstanceInfo) -> GpuInstance {
    GpuInstance {
        id: info.id,
        profile_id: info.profile_id,
        placement: placement(info.placement).unwrap_or(NOWHERE),
        compute_instances: Vec::new(),
    }
}

/// The GPU instance of a MIG device. Who may not ask for it, reads its profile from the device's name.
fn instance_of(
    device: &Device<'_>,
    found: &MigDevice<'_>,
    profiles: &[Profile],
) -> Result<GpuInstance, NvmlError> {
    match device.gpu_instance(found.gpu_instance).and_then(|handle| handle.info()) {
        Err(error) if error.is(Code::NoPermission) || error.is_unsupported() => {
            let name = profile_in(&found.handle.name()?);
            let profile = profiles.iter().find(|profile| Some(&profile.name) == name.as_ref());
            Ok(GpuInstance {
                id: found.gpu_instance,
                profile_id: profile.map_or(UNKNOWN_PROFILE, |profile| profile.id),
                placement: NOWHERE,
                compute_instances: Vec::new(),
            })
        }
        answer => answer.map(gpu_instance),
    }
}

/// The profile in a MIG device's name, `NVIDIA H100 80GB HBM3 MIG 1c.3g.40gb`.
fn profile_in(name: &str) -> Option<ProfileName> {
    let (_, profile) = name.rsplit_once("MIG ")?;
    let whole = match profile.split_once("c.") {
        Some((slices, rest)) if slices.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => profile,
    };
    ProfileName::parse(whole)
}

fn compute_instance(found: MigDevice<'_>, profile_id: u32) -> ComputeInstance {
    ComputeInstance {
        id: found.compute_instance,
        profile_id,
        uuid: found.uuid,
        mig_index: found.index,
    }
}

fn sorted(instances: impl Iterator<Item = GpuInstance>) -> Vec<GpuInstance> {
    let mut instances: Vec<_> = instances.collect();
    for instance in &mut instances {
        instance.compute_instances.sort_by_key(|compute| compute.id);
    }
    instances
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mig_devices_name_holds_its_profile() {
        let profile = |name| profile_in(name).map(|profile| profile.to_string());
        let whole = profile("NVIDIA H100 80GB HBM3 MIG 1g.10gb+me");
        assert_eq!(whole.as_deref(), Some("1g.10gb+me"));
        let part = profile("NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb");
        assert_eq!(part.as_deref(), Some("3g.20gb"));
        assert_eq!(profile("NVIDIA A100-SXM4-40GB"), None);
    }
}
