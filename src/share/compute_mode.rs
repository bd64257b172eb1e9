//! The compute mode: exclusive while an MPS daemon serves a device, then what it was.

use super::{Node, ShareError, Undone, present, present_on, record, target_on, uuid_of};
use crate::claim::{self, Before, Outcome};
use crate::inventory::ComputeMode;
use crate::nvml::{self, NvmlError};

pub(super) fn observe(
    node: &Node<'_>,
    device: &claim::Device,
    gpu: &str,
) -> Result<Before, ShareError> {
    let mode = mode(&node.nvml.device_by_uuid(uuid(device, gpu)?)?)?;
    Ok(mode.map_or(Before::Nothing, Before::ComputeMode))
}

/// The compute mode; `None` where the device has none. It must say so twice: a mode that one false answer
/// hides would not be put back.
fn mode(handle: &nvml::Device<'_>) -> Result<Option<ComputeMode>, NvmlError> {
    let first = handle.compute_mode();
    let answer = match first {
        Err(error) if error.is_unsupported() => handle.compute_mode(),
        answer => answer,
    };
    match answer {
        Err(error) if error.is_unsupported() => Ok(None),
        answer => answer.map(|mode| Some(mode.into())),
    }
}

/// [`Outcome::Unsupported`] where the device has no compute mode, as MIG devices of many drivers: then a
/// client that goes around the daemon is not stopped, and the grant must say so.
pub(super) fn set_exclusive(
    node: &Node<'_>,
    device: &claim::Device,
    gpu: &str,
) -> Result<Outcome, ShareError> {
    let uuid = uuid(device, gpu)?;
    let handle = node.nvml.device_by_uuid(uuid)?;
    match handle.set_compute_mode(ComputeMode::ExclusiveProcess.into()) {
        Err(error) if error.is_unsupported() => Ok(Outcome::Unsupported),
        answer => {
            answer?;
            read_back(&handle, uuid, ComputeMode::ExclusiveProcess).map(|()| Outcome::Done)
        }
    }
}

fn read_back(handle: &nvml::Device<'_>, uuid: &str, mode: ComputeMode) -> Result<(), ShareError> {
    match ComputeMode::from(handle.compute_mode()?) {
        found if found == mode => Ok(()),
        found => Err(ShareError::NotSet {
            device: uuid.to_owned(),
            what: "compute mode",
            wanted: mode.to_string(),
            found: found.to_string(),
        }),
    }
}

/// Puts the mode back, unless somebody has set another since.
pub(super) fn restore(
    node: &Node<'_>,
    device: &claim::Device,
    gpu: &str,
    before: ComputeMode,
) -> Result<Undone, ShareError> {
    let Some(of_gpu) = present(node, gpu)? else { return Ok(Undone::Lost) };
    let uuid = uuid(device, gpu)?;
    // A MIG device that is gone has taken its mode along.
    let Some(handle) = present_on(node, of_gpu, gpu, uuid)? else { return Ok(Undone::Gone) };
    let Some(now) = mode(&handle)? else { return Ok(Undone::Gone) };
    if now == ComputeMode::ExclusiveProcess && now != before {
        handle.set_compute_mode(before.into())?;
        read_back(&handle, uuid, before)?;
    }
    Ok(Undone::Gone)
}

fn uuid<'d>(device: &'d claim::Device, gpu: &str) -> Result<&'d str, ShareError> {
    uuid_of(device, target_on(device, gpu)?).ok_or_else(|| record(device, "MIG device"))
}
