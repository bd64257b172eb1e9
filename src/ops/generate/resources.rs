//! Devices that the configuration shares, under the names that NVIDIA's device plugin gives them.
//!
//! A replica is a request: the hook makes a claim of it when a container starts, which is what counts. It
//! takes the place of its device, which a container can't get past the others then.

use super::requests::device;
use super::{Error, Options, Shared};
use crate::compat::device_plugin::ResourceName;
use crate::config::{Config, Resolved, SharedDevice};
use crate::inventory::Inventory;
use cdi::{Device, DeviceName};
use std::collections::{BTreeMap, BTreeSet};

/// The vendor of resources' kinds.
pub const VENDOR: &str = "nvidia.com";

/// What to generate for each kind that the configuration's resources have: for `nvidia.com/gpu` always, since
/// it also has a name without a dot for each device of the others.
///
/// # Errors
/// The configuration can't hold on this node, or there is no hook to serve replicas.
pub fn kinds(
    inventory: &Inventory,
    config: &Config,
    options: &Options,
) -> Result<BTreeMap<ResourceName, Options>, Error> {
    let resolved = config.resolve(inventory);
    if let Some(fault) = resolved.faults.first() {
        return Err(Error::Resources { fault: fault.clone() });
    }
    let mut kinds = BTreeMap::new();
    let shared = Shared {
        hidden: resolved.shared.iter().map(|one| one.unit.uuid().to_owned()).collect(),
        replicas: replicas(&resolved.shared, options)?,
        notes: [config.notes.clone(), resolved.notes.clone()].concat(),
    };
    kinds.insert(ResourceName::gpu(), Options { shared, ..options.clone() });
    let names = resolved.shared.iter().map(|one| one.resource.kind());
    let names = names.chain(resolved.named.iter().map(|(name, _)| name));
    let others: BTreeSet<&ResourceName> =
        names.filter(|name| **name != ResourceName::gpu()).collect();
    for name in others {
        kinds.insert(name.clone(), other(name, inventory, &resolved, options)?);
    }
    Ok(kinds)
}

/// The spec of a kind that has nothing but devices of this resource.
fn other(
    name: &ResourceName,
    inventory: &Inventory,
    resolved: &Resolved<'_>,
    options: &Options,
) -> Result<Options, Error> {
    let own: Vec<SharedDevice<'_>> =
        resolved.shared.iter().filter(|one| one.resource.kind() == name).cloned().collect();
    let offered: BTreeSet<&str> =
        resolved.named.iter().filter(|(own, _)| own == name).map(|(_, unit)| unit.uuid()).collect();
    let hidden =
        uuids(inventory).filter(|uuid| !offered.contains(uuid)).map(str::to_owned).collect();
    let shared = Shared { hidden, replicas: replicas(&own, options)?, notes: Vec::new() };
    let kind = name.as_str().parse().map_err(|_| Error::Resources {
        fault: format!("{name} can't be the kind of CDI devices"),
    })?;
    Ok(Options { kind, shared, wanted: Vec::new(), all_device: false, ..options.clone() })
}

fn uuids(inventory: &Inventory) -> impl Iterator<Item = &str> {
    let mig = inventory.gpus.iter().flat_map(|gpu| &gpu.mig).flat_map(|mig| &mig.instances);
    let mig =
        mig.flat_map(|instance| &instance.compute_instances).map(|device| device.uuid.as_str());
    inventory.gpus.iter().map(|gpu| gpu.uuid.as_str()).chain(mig)
}

/// Each replica of each device.
fn replicas(shared: &[SharedDevice<'_>], options: &Options) -> Result<Vec<Device>, Error> {
    if shared.is_empty() {
        return Ok(Vec::new());
    }
    let hook = options.edits.hook.as_ref().ok_or(Error::NoHook)?;
    let mut devices = Vec::new();
    for one in shared {
        for replica in 0..one.resource.replicas {
            let request = one.request(replica).ok_or_else(|| Error::Resources {
                fault: format!(
                    "device {} can't be parted into {}",
                    one.unit.index(),
                    one.resource.replicas
                ),
            })?;
            let name = DeviceName::try_from(one.name(replica))?;
            devices.push(Device::new(name, device(&request, hook)?));
        }
    }
    Ok(devices)
}
