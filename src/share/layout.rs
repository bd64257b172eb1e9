//! GPU instances and compute instances by themselves: those that an administrator cuts a GPU into.
//!
//! They are nobody's, and stand in no journal. What is destroyed is what it was said to be, and idle.

use super::mig;
use super::{Node, ShareError, Undone, mig_mode, nodes, present};
use crate::inventory::{Placement, ProfileName};
use crate::nvml::{Activation, Device, GpuInstance, NvmlError};
use std::path::PathBuf;

/// A GPU instance that stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The GPU's UUID.
    pub gpu: &'a str,
    /// The driver's id of it.
    pub id: u32,
    /// The driver's profile id.
    pub profile_id: u32,
    /// Where it stands.
    pub placement: Placement,
}

/// The capability nodes of one instance, and their links, where they are or would be.
pub type Nodes = Vec<PathBuf>;

/// What became of a change of MIG mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeSet {
    /// It is so now.
    Now,
    /// It will be so after a reset of the GPU.
    AfterReset,
}

/// Whether MIG mode changes at once on a GPU.
///
/// # Errors
/// The GPU doesn't answer.
pub fn mode_changes_at_once(node: &Node<'_>, gpu: &str) -> Result<bool, ShareError> {
    Ok(node.nvml.device_by_uuid(gpu)?.resetless_mig()?)
}

/// Turns MIG mode on or off, or asks for what only a reset brings. The GPU is not reset.
///
/// # Errors
/// The driver refuses, or says that it was done and it wasn't.
pub fn set_mig_mode(node: &Node<'_>, gpu: &str, on: bool) -> Result<ModeSet, ShareError> {
    let device = node.nvml.device_by_uuid(gpu)?;
    match device.set_mig_mode(on)? {
        Activation::Active => mig_mode::check(&device, gpu, on).map(|()| ModeSet::Now),
        Activation::ResetRequired => Ok(ModeSet::AfterReset),
        Activation::Refused(code) => {
            // Nothing is left to happen at a time that nobody chose.
            let _ = device.set_mig_mode(!on);
            Err(ShareError::MigRefused { gpu: gpu.to_owned(), on, code })
        }
    }
}

/// Makes a GPU instance: its id.
///
/// # Errors
/// [`ShareError::NoRoom`] where the place is taken by now.
pub fn create_gpu_instance(
    node: &Node<'_>,
    gpu: &str,
    profile_id: u32,
    profile: &ProfileName,
    place: Placement,
) -> Result<u32, ShareError> {
    let wanted = mig::Wanted { gpu, profile_id, profile, place };
    mig::create_gpu_instance(node, &wanted)
}

/// Destroys a GPU instance. [`Undone::Lost`] where it is gone, or another, by now.
///
/// # Errors
/// The driver fails.
pub fn destroy_gpu_instance(node: &Node<'_>, standing: Standing<'_>) -> Result<Undone, ShareError> {
    let Some((device, instance)) = instance(node, standing)? else { return Ok(Undone::Lost) };
    let processes = || mig::processes_in(&device, standing.id);
    match processes()? {
        pids if pids.is_empty() => mig::destroyed(instance.destroy(), processes),
        pids => Ok(Undone::InUse { pids }),
    }
}

/// Makes a compute instance: its id and the MIG device's UUID.
///
/// # Errors
/// The GPU instance is gone, or it doesn't fit.
pub fn create_compute_instance(
    node: &Node<'_>,
    standing: Standing<'_>,
    profile_id: u32,
) -> Result<(u32, String), ShareError> {
    let (device, instance) = instance(node, standing)?.ok_or_else(|| gone(standing))?;
    let compute = instance.create_compute_instance(profile_id)?;
    Ok((compute.info()?.id, mig::uuid(&device, &instance, &compute)?))
}

/// Destroys a compute instance. [`Undone::Lost`] where it is gone, or not the one of that UUID, by now.
///
/// # Errors
/// The driver fails.
pub fn destroy_compute_instance(
    node: &Node<'_>,
    standing: Standing<'_>,
    (id, profile_id): (u32, u32),
    uuid: &str,
) -> Result<Undone, ShareError> {
    let Some((device, instance)) = instance(node, standing)? else { return Ok(Undone::Lost) };
    let compute = mig::made_compute(&instance, profile_id, id)?;
    let Some(compute) = compute else { return Ok(Undone::Lost) };
    if mig::uuid(&device, &instance, &compute)? != uuid {
        return Ok(Undone::Lost);
    }
    let processes = || mig::processes_of(&device, standing.id, Some(id));
    match processes()? {
        pids if pids.is_empty() => mig::destroyed(compute.destroy(), processes),
        pids => Ok(Undone::InUse { pids }),
    }
}

/// Whether no compute instance is in a GPU instance.
///
/// # Errors
/// It is gone, or the driver doesn't answer.
pub fn is_empty(node: &Node<'_>, standing: Standing<'_>) -> Result<bool, ShareError> {
    let (_, instance) = instance(node, standing)?.ok_or_else(|| gone(standing))?;
    Ok(mig::is_empty(&instance)?)
}

/// Makes the capability nodes of a MIG device that are missing: those that it made. Where that fails, none
/// of them is left.
///
/// # Errors
/// A node can't be made.
pub fn make_nodes(
    node: &Node<'_>,
    gpu: &str,
    gpu_instance: u32,
    compute_instance: u32,
) -> Result<Nodes, ShareError> {
    nodes::make_of(node, gpu, (gpu_instance, compute_instance))
}

/// The capability nodes that a compute instance has to itself, and those of its GPU instance, as far as they
/// are there.
///
/// # Errors
/// The driver tells no capabilities.
pub fn nodes_of(
    node: &Node<'_>,
    gpu: &str,
    gpu_instance: u32,
    compute_instance: u32,
) -> Result<(Nodes, Nodes), ShareError> {
    nodes::present_of(node, gpu, (gpu_instance, compute_instance))
}

/// Removes capability nodes, and nothing that has become something else.
///
/// # Errors
/// One can't be removed.
pub fn remove_nodes(node: &Node<'_>, paths: &[PathBuf]) -> Result<(), ShareError> {
    nodes::remove(node.host, paths).map(drop)
}

/// The GPU instance, where it is still what it was said to be.
fn instance<'n>(
    node: &Node<'n>,
    standing: Standing<'_>,
) -> Result<Option<(Device<'n>, GpuInstance<'n>)>, NvmlError> {
    let Some(device) = present(node, standing.gpu)? else { return Ok(None) };
    let instance = mig::at(&device, standing.id, standing.profile_id, standing.placement)?;
    Ok(instance.map(|(_, instance)| (device, instance)))
}

fn gone(standing: Standing<'_>) -> ShareError {
    ShareError::Changed { gpu: standing.gpu.to_owned(), start: standing.placement.start }
}
