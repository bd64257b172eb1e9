//! MIG devices: a GPU instance at a place, a compute instance in it.
//!
//! Ids are used again, and so are UUIDs, which the driver derives from them. So an instance is divvy's
//! only where all that the journal tells of it agrees, and is destroyed only where no process is on it.

use super::{Node, ShareError, Undone, present};
use crate::claim::{self, Before, Outcome, Step};
use crate::inventory::{Placement, ProfileName};
use crate::nvml::{Code, ComputeInstance, Device, GpuInstance, NvmlError};

/// More instances of one profile than any GPU can have.
const MOST: u32 = 64;
/// Numbers of compute-instance profiles in nvml.h, with room for newer ones.
const COMPUTE_PROFILES: u32 = 16;

/// A GPU instance as it was planned.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) gpu: &'a str,
    pub(super) profile_id: u32,
    pub(super) profile: &'a ProfileName,
    pub(super) place: Placement,
}

/// A compute instance as it was planned, and the record that it belongs to.
#[derive(Debug)]
pub(super) struct WantedCompute<'a> {
    pub(super) record: &'a claim::Device,
    pub(super) gpu: &'a str,
    pub(super) profile_id: u32,
}

/// What the journal tells of a step that was begun.
#[derive(Debug)]
pub(super) struct Begun<'a> {
    pub(super) before: &'a Before,
    pub(super) outcome: Option<&'a Outcome>,
}

impl Begun<'_> {
    /// Whether an instance was there before.
    fn knew(&self, id: u32) -> bool {
        matches!(self.before, Before::Instances(known) if known.contains(&id))
    }
}

/// Ids of the GPU instances of a profile.
pub(super) fn gpu_instances(
    node: &Node<'_>,
    gpu: &str,
    profile_id: u32,
) -> Result<Vec<u32>, ShareError> {
    let device = node.nvml.device_by_uuid(gpu)?;
    let instances = device.gpu_instances(profile_id, MOST)?;
    let ids: Result<_, NvmlError> = instances.iter().map(|found| Ok(found.info()?.id)).collect();
    Ok(ids?)
}

pub(super) fn create_gpu_instance(node: &Node<'_>, wanted: &Wanted<'_>) -> Result<u32, ShareError> {
    let device = node.nvml.device_by_uuid(wanted.gpu)?;
    match device.create_gpu_instance(wanted.profile_id, wanted.place.into()) {
        Ok(instance) => Ok(instance.info()?.id),
        Err(error) if error.is(Code::InsufficientResources) => Err(ShareError::NoRoom {
            gpu: wanted.gpu.to_owned(),
            profile: wanted.profile.clone(),
            placement: wanted.place,
        }),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn destroy_gpu_instance(
    node: &Node<'_>,
    wanted: &Wanted<'_>,
    begun: &Begun<'_>,
) -> Result<Undone, ShareError> {
    let Some(device) = present(node, wanted.gpu)? else { return Ok(Undone::Lost) };
    let instance = match begun.outcome {
        Some(Outcome::GpuInstance(id)) => at(&device, *id, wanted.profile_id, wanted.place)?,
        _ => interrupted(&device, wanted, begun)?,
    };
    let Some((id, instance)) = instance else { return Ok(Undone::Gone) };
    let processes = || processes_in(&device, id);
    match processes()? {
        pids if pids.is_empty() => destroyed(instance.destroy(), processes),
        pids => Ok(Undone::InUse { pids }),
    }
}

/// A GPU instance by its id, if it is what the journal says.
pub(super) fn at<'n>(
    device: &Device<'n>,
    id: u32,
    profile_id: u32,
    place: Placement,
) -> Result<Option<(u32, GpuInstance<'n>)>, NvmlError> {
    let instance = match device.gpu_instance(id) {
        Err(error) if denies(&error) && !has_instance(device, profile_id, id)? => return Ok(None),
        answer => answer?,
    };
    let info = instance.info()?;
    let same = (info.profile_id, info.placement) == (profile_id, place.into());
    Ok(same.then_some((id, instance)))
}

/// The GPU instance of a step that was interrupted: at the planned place, not there before, and empty.
/// One with a compute instance is another's work, since divvy hadn't come so far.
fn interrupted<'n>(
    device: &Device<'n>,
    wanted: &Wanted<'_>,
    begun: &Begun<'_>,
) -> Result<Option<(u32, GpuInstance<'n>)>, NvmlError> {
    for instance in listed(device, wanted.profile_id)? {
        let info = instance.info()?;
        if info.placement == wanted.place.into() && !begun.knew(info.id) {
            return Ok(is_empty(&instance)?.then_some((info.id, instance)));
        }
    }
    Ok(None)
}

pub(super) fn is_empty(instance: &GpuInstance<'_>) -> Result<bool, NvmlError> {
    for (_, profile) in instance.compute_instance_profiles(COMPUTE_PROFILES)? {
        if !instance.compute_instances(profile.id, MOST)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The GPU instance that a record's steps made, where it is still there.
fn own<'n>(
    device: &Device<'n>,
    record: &claim::Device,
) -> Result<Option<(u32, GpuInstance<'n>)>, NvmlError> {
    let made = record.steps.iter().find_map(|entry| match (&entry.step, &entry.outcome) {
        (Step::CreateGpuInstance { profile_id, placement, .. }, Some(Outcome::GpuInstance(id))) => {
            Some((*id, *profile_id, *placement))
        }
        _ => None,
    });
    let Some((id, profile_id, place)) = made else { return Ok(None) };
    at(device, id, profile_id, place)
}

fn own_or_gone<'n>(
    device: &Device<'n>,
    wanted: &WantedCompute<'_>,
) -> Result<GpuInstance<'n>, ShareError> {
    let (_, instance) = own(device, wanted.record)?.ok_or_else(|| ShareError::InstanceGone {
        device: wanted.record.id.to_string(),
        gpu: wanted.gpu.to_owned(),
    })?;
    Ok(instance)
}

/// Ids of the compute instances of a profile in the record's GPU instance.
pub(super) fn compute_instances(
    node: &Node<'_>,
    wanted: &WantedCompute<'_>,
) -> Result<Vec<u32>, ShareError> {
    let device = node.nvml.device_by_uuid(wanted.gpu)?;
    let instances = own_or_gone(&device, wanted)?.compute_instances(wanted.profile_id, MOST)?;
    let ids: Result<_, NvmlError> = instances.iter().map(|found| Ok(found.info()?.id)).collect();
    Ok(ids?)
}

pub(super) fn create_compute_instance(
    node: &Node<'_>,
    wanted: &WantedCompute<'_>,
) -> Result<Outcome, ShareError> {
    let device = node.nvml.device_by_uuid(wanted.gpu)?;
    let instance = own_or_gone(&device, wanted)?;
    let compute = instance.create_compute_instance(wanted.profile_id)?;
    let id = compute.info()?.id;
    Ok(Outcome::ComputeInstance { id, uuid: uuid(&device, &instance, &compute)? })
}

/// The UUID of the MIG device that a compute instance makes.
pub(super) fn uuid(
    device: &Device<'_>,
    instance: &GpuInstance<'_>,
    compute: &ComputeInstance<'_>,
) -> Result<String, NvmlError> {
    if let Some(uuid) = compute.mig_uuid()? {
        return Ok(uuid);
    }
    let wanted = (instance.info()?.id, compute.info()?.id);
    for index in 0..device.max_mig_devices()?.min(MOST) {
        let Some(mig) = device.mig_device(index)? else { continue };
        if (mig.gpu_instance_id()?, mig.compute_instance_id()?) == wanted {
            return mig.uuid();
        }
    }
    let (gpu_instance, compute_instance) = wanted;
    Err(NvmlError::Call {
        call: "nvmlDeviceGetMigDeviceHandleByIndex",
        subject: format!("MIG device of GPU instance {gpu_instance}/{compute_instance}"),
        code: Code::NotFound,
    })
}

pub(super) fn destroy_compute_instance(
    node: &Node<'_>,
    wanted: &WantedCompute<'_>,
    begun: &Begun<'_>,
) -> Result<Undone, ShareError> {
    let Some(device) = present(node, wanted.gpu)? else { return Ok(Undone::Lost) };
    let Some((id, instance)) = own(&device, wanted.record)? else { return Ok(Undone::Gone) };
    let compute = match begun.outcome {
        Some(Outcome::ComputeInstance { id, uuid: recorded }) => {
            match made_compute(&instance, wanted.profile_id, *id)? {
                Some(compute) if uuid(&device, &instance, &compute)? == *recorded => Some(compute),
                _ => None,
            }
        }
        _ => interrupted_compute(&instance, wanted.profile_id, begun)?,
    };
    let Some(compute) = compute else { return Ok(Undone::Gone) };
    let processes = || processes_in(&device, id);
    match processes()? {
        pids if pids.is_empty() => destroyed(compute.destroy(), processes),
        pids => Ok(Undone::InUse { pids }),
    }
}

/// A compute instance by its id; `None` where it is gone.
pub(super) fn made_compute<'n>(
    instance: &GpuInstance<'n>,
    profile_id: u32,
    id: u32,
) -> Result<Option<ComputeInstance<'n>>, NvmlError> {
    let error = match instance.compute_instance(id) {
        Err(error) if denies(&error) => error,
        answer => return answer.map(Some),
    };
    for compute in instance.compute_instances(profile_id, MOST)? {
        if compute.info()?.id == id {
            return Err(error);
        }
    }
    Ok(None)
}

fn interrupted_compute<'n>(
    instance: &GpuInstance<'n>,
    profile_id: u32,
    begun: &Begun<'_>,
) -> Result<Option<ComputeInstance<'n>>, NvmlError> {
    for compute in instance.compute_instances(profile_id, MOST)? {
        if !begun.knew(compute.info()?.id) {
            return Ok(Some(compute));
        }
    }
    Ok(None)
}

/// Whether an answer says that an instance isn't there. Alone it proves nothing: an instance that is there
/// would be forgotten. The list of instances must agree.
fn denies(error: &NvmlError) -> bool {
    error.is(Code::NotFound) || error.is_unsupported()
}

/// The GPU instances of a profile: none where MIG mode is off, and the list can't be asked for.
fn listed<'n>(device: &Device<'n>, profile_id: u32) -> Result<Vec<GpuInstance<'n>>, NvmlError> {
    match device.gpu_instances(profile_id, MOST) {
        Err(error) if denies(&error) && is_off(device)? => Ok(Vec::new()),
        answer => answer,
    }
}

fn is_off(device: &Device<'_>) -> Result<bool, NvmlError> {
    Ok(device.mig_mode()?.is_some_and(|mode| !mode.current))
}

fn has_instance(device: &Device<'_>, profile_id: u32, id: u32) -> Result<bool, NvmlError> {
    for instance in listed(device, profile_id)? {
        if instance.info()?.id == id {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the GPU has a MIG device of that UUID.
pub(super) fn has_device(gpu: &Device<'_>, uuid: &str) -> Result<bool, NvmlError> {
    for index in 0..gpu.max_mig_devices()?.min(MOST) {
        let Some(device) = gpu.mig_device(index)? else { continue };
        if device.uuid()? == uuid {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Processes in a GPU instance, where the driver tells.
pub(super) fn processes_in(device: &Device<'_>, instance: u32) -> Result<Vec<u32>, NvmlError> {
    processes_of(device, instance, None)
}

/// Processes in a GPU instance, or in one compute instance of it.
pub(super) fn processes_of(
    device: &Device<'_>,
    instance: u32,
    compute: Option<u32>,
) -> Result<Vec<u32>, NvmlError> {
    let processes = match device.compute_processes() {
        Err(error) if error.is_unsupported() => Vec::new(),
        processes => processes?,
    };
    let inside = processes.iter().filter(|process| {
        // One that the driver tells no compute instance of could be in this one.
        process.gpu_instance == Some(instance)
            && (compute.is_none()
                || process.compute_instance.is_none()
                || process.compute_instance == compute)
    });
    Ok(inside.map(|process| process.pid).collect())
}

pub(super) fn destroyed(
    answer: Result<(), NvmlError>,
    processes: impl Fn() -> Result<Vec<u32>, NvmlError>,
) -> Result<Undone, ShareError> {
    match answer {
        Ok(()) => Ok(Undone::Gone),
        Err(error) if error.is(Code::InUse) => Ok(Undone::InUse { pids: processes()? }),
        Err(error) => Err(error.into()),
    }
}
