//! What the MIG devices that exist have.

use super::{Attributes, Engines, Inventory};
use crate::nvml::{Code, MigAttributes, NvmlError, Session};
use std::collections::BTreeMap;

/// The attributes of every MIG device of the inventory, by UUID. One that has gone meanwhile is left out.
///
/// # Errors
/// The driver doesn't answer.
pub fn attributes(
    session: &Session,
    inventory: &Inventory,
) -> Result<BTreeMap<String, Attributes>, NvmlError> {
    let instances = inventory.gpus.iter().flat_map(|gpu| &gpu.mig).flat_map(|mig| &mig.instances);
    let mut found = BTreeMap::new();
    for device in instances.flat_map(|instance| &instance.compute_instances) {
        let asked = session.device_by_uuid(&device.uuid).and_then(|mig| mig.mig_attributes());
        match asked {
            Ok(raw) => found.insert(device.uuid.clone(), of(&raw)),
            // A handle of what is gone is an invalid argument to NVML.
            Err(error) if error.is(Code::NotFound) || error.is(Code::InvalidArgument) => continue,
            Err(error) => return Err(error),
        };
    }
    Ok(found)
}

fn of(raw: &MigAttributes) -> Attributes {
    Attributes {
        memory_mib: raw.memory_mib,
        multiprocessors: raw.multiprocessors,
        gpu_slices: raw.gpu_slices,
        compute_slices: raw.compute_slices,
        engines: Engines {
            copy: raw.copy,
            decoder: raw.decoder,
            encoder: raw.encoder,
            jpeg: raw.jpeg,
            ofa: raw.ofa,
        },
    }
}
