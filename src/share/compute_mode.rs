//! The compute mode: exclusive while an MPS daemon serves a device, then what it was.

use super::{Node, ShareError, Undone, present, record, target_on, uuid_of};
use crate::claim::{self, Before, Outcome};
use crate::inventory::ComputeMode;
use crate::nvml;

pub(super) fn observe(
    node: &Node<'_>,
    device: &claim::Device,
    gpu: &str,
) -> Result<Before, ShareError> {
    match node.nvml.device_by_uuid(uuid(device, gpu)?)?.compute_mode() {
        Ok(mode) => Ok(Before::ComputeMode(mode.into())),
        Err(error) if error.is_unsupported() => Ok(Before::Nothing),
        Err(error) => Err(error.into()),
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
    match set(&handle, uuid, ComputeMode::ExclusiveProcess) {
        Err(ShareError::Nvml(error)) if error.is_unsupported() => Ok(Outcome::Unsupported),
        answer => answer.map(|()| Outcome::Done),
    }
}

fn set(handle: &nvml::Device<'_>, uuid: &str, mode: ComputeMode) -> Result<(), ShareError> {
    handle.set_compute_mode(mode.into())?;
    match ComputeMode::from(handle.compute_mode()?) {
        found if found == mode => Ok(()),
        found => Err(ShareError::NotSet {
            device: uuid.to_owned(),
            what: "compute mode",
            wanted: format!("{mode:?}"),
            found: format!("{found:?}"),
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
    if present(node, gpu)?.is_none() {
        return Ok(Undone::Lost);
    }
    let uuid = uuid(device, gpu)?;
    // A MIG device that is gone has taken its mode along.
    let Some(handle) = present(node, uuid)? else { return Ok(Undone::Gone) };
    let now = match handle.compute_mode() {
        Err(error) if error.is_unsupported() => return Ok(Undone::Gone),
        mode => ComputeMode::from(mode?),
    };
    if now == ComputeMode::ExclusiveProcess && now != before {
        set(&handle, uuid, before)?;
    }
    Ok(Undone::Gone)
}

fn uuid<'d>(device: &'d claim::Device, gpu: &str) -> Result<&'d str, ShareError> {
    uuid_of(device, target_on(device, gpu)?).ok_or_else(|| record(device, "MIG device"))
}
