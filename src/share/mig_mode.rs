//! MIG mode: turned on where that needs no reset, and off again.

use super::{Node, ShareError, Undone, present};
use crate::claim::{Before, Outcome};
use crate::nvml::{Activation, Code, Device, MigMode, NvmlError};

/// Numbers of GPU-instance profiles in nvml.h, with room for newer ones.
const PROFILES: u32 = 32;

pub(super) fn observe(node: &Node<'_>, gpu: &str) -> Result<Before, ShareError> {
    mode(&node.nvml.device_by_uuid(gpu)?, gpu).map(|mode| Before::MigMode(mode.current))
}

fn mode(device: &Device<'_>, gpu: &str) -> Result<MigMode, ShareError> {
    device.mig_mode()?.ok_or_else(|| ShareError::NoMig { gpu: gpu.to_owned() })
}

pub(super) fn enable(node: &Node<'_>, gpu: &str) -> Result<Outcome, ShareError> {
    let device = node.nvml.device_by_uuid(gpu)?;
    let needs_reset = || ShareError::NeedsReset { gpu: gpu.to_owned() };
    match mode(&device, gpu)? {
        MigMode { current: true, pending: true } => return Ok(Outcome::Done),
        MigMode { current: false, pending: false } => {}
        // Somebody has asked for a change that a reset brings.
        _ => return Err(needs_reset()),
    }
    let pids = processes(&device)?;
    if !pids.is_empty() {
        return Err(ShareError::Busy { gpu: gpu.to_owned(), pids });
    }
    if !device.resetless_mig()? {
        return Err(needs_reset());
    }
    match device.set_mig_mode(true)? {
        Activation::Active => check(&device, gpu, true).map(|()| Outcome::Done),
        Activation::ResetRequired => {
            // A mode that waits for a reset would surprise whoever resets the GPU.
            let _ = device.set_mig_mode(false)?;
            Err(needs_reset())
        }
        Activation::Refused(code) => {
            Err(ShareError::MigRefused { gpu: gpu.to_owned(), on: true, code })
        }
    }
}

/// The mode is what the driver has, not what it answered.
pub(super) fn check(device: &Device<'_>, gpu: &str, on: bool) -> Result<(), ShareError> {
    let MigMode { current, pending } = mode(device, gpu)?;
    if current == on && pending == on {
        return Ok(());
    }
    Err(ShareError::NotSet {
        device: gpu.to_owned(),
        what: "MIG mode",
        wanted: word(on).into(),
        found: match pending == current {
            true => word(current).into(),
            false => format!("{}, and {} after a reset", word(current), word(pending)),
        },
    })
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// Turns the mode off where it was off. It stays on for whoever has instances there by now, and where only
/// a reset would turn it off.
pub(super) fn undo(node: &Node<'_>, gpu: &str, before: &Before) -> Result<Undone, ShareError> {
    if *before != Before::MigMode(false) {
        return Ok(Undone::Gone);
    }
    let Some(device) = present(node, gpu)? else { return Ok(Undone::Lost) };
    // A mode that goes with the next reset is another's doing.
    // Twice, since a profile that the driver denies once is passed over, and what is there goes with the mode.
    if !mode(&device, gpu)?.pending || has_instances(&device)? || has_instances(&device)? {
        return Ok(Undone::Gone);
    }
    match device.set_mig_mode(false) {
        Ok(Activation::Active) => Ok(Undone::Gone),
        Ok(Activation::ResetRequired) => {
            let _ = device.set_mig_mode(true)?;
            Ok(Undone::Gone)
        }
        Ok(Activation::Refused(_)) => Ok(Undone::InUse { pids: processes(&device)? }),
        Err(error) if error.is(Code::InUse) => Ok(Undone::InUse { pids: processes(&device)? }),
        Err(error) => Err(error.into()),
    }
}

fn has_instances(device: &Device<'_>) -> Result<bool, NvmlError> {
    for (_, profile) in device.gpu_instance_profiles(PROFILES)? {
        match device.gpu_instances(profile.id, profile.instances) {
            Ok(instances) if !instances.is_empty() => return Ok(true),
            // Instances of a profile that this GPU can't list, or of a mode that is off.
            Err(error) if !error.is_absence() => return Err(error),
            _ => {}
        }
    }
    Ok(false)
}

fn processes(device: &Device<'_>) -> Result<Vec<u32>, NvmlError> {
    Ok(device.compute_processes()?.iter().map(|process| process.pid).collect())
}
