//! What GPUs are cut into, as a configuration that cuts them so again.

use crate::compat::mig_parted::MigProfile;
use crate::inventory::{Gpu, Inventory, Mig};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// A configuration in mig-parted's form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Export {
    /// The version of mig-parted's form.
    version: &'static str,
    /// Layouts by label.
    mig_configs: BTreeMap<String, Vec<Exported>>,
    /// What the form can't say.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// What some GPUs are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct Exported {
    /// Which: `all`, or NVML's indices.
    devices: Devices,
    /// Whether their MIG mode is on.
    mig_enabled: bool,
    /// How many MIG devices of each profile they have; absent where MIG mode is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    mig_devices: Option<BTreeMap<String, u32>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Devices {
    All,
    Indices(Vec<u32>),
}

impl Serialize for Devices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Devices::All => serializer.serialize_str("all"),
            Devices::Indices(indices) => indices.serialize(serializer),
        }
    }
}

#[cfg(feature = "cli")]
impl schemars::JsonSchema for Devices {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Devices".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let indices = generator.subschema_for::<Vec<u32>>();
        schemars::json_schema!({ "anyOf": [{ "const": "all" }, indices] })
    }
}

/// The state of the GPUs under a label: GPUs in the same state are one entry. GPUs that can't do MIG are
/// whole, and left out where others aren't.
pub fn export(inventory: &Inventory, label: &str) -> Export {
    let mut notes = Vec::new();
    let mut entries: Vec<Exported> = Vec::new();
    let able = inventory.gpus.iter().filter_map(|gpu| Some((gpu, gpu.mig.as_ref()?)));
    for (gpu, mig) in able {
        let devices = mig.enabled.then(|| devices(gpu, mig, &mut notes));
        match entries.iter_mut().find(|entry| entry.mig_devices == devices) {
            Some(Exported { devices: Devices::Indices(indices), .. }) => indices.push(gpu.index),
            _ => entries.push(Exported {
                devices: Devices::Indices(vec![gpu.index]),
                mig_enabled: mig.enabled,
                mig_devices: devices,
            }),
        }
    }
    match entries.as_mut_slice() {
        [] => {
            entries.push(Exported { devices: Devices::All, mig_enabled: false, mig_devices: None })
        }
        [only] => only.devices = Devices::All,
        _ => {}
    }
    let mig_configs = BTreeMap::from([(label.to_owned(), entries)]);
    Export { version: "v1", mig_configs, notes }
}

fn devices(gpu: &Gpu, mig: &Mig, notes: &mut Vec<String>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for instance in &mig.instances {
        let at = instance.placement.start;
        let Some(profile) = mig.profiles.iter().find(|p| p.id == instance.profile_id) else {
            let text = "is of a profile that this version of divvy doesn't know, and left out";
            notes.push(format!("GPU {}: the GPU instance at {at} {text}", gpu.index));
            continue;
        };
        if instance.compute_instances.is_empty() {
            let text = "has no compute instance, and is left out: it is no MIG device";
            notes.push(format!("GPU {}: {} at {at} {text}", gpu.index, profile.name));
        }
        for compute in &instance.compute_instances {
            let known = profile.compute_profiles.iter().find(|p| p.id == compute.profile_id);
            let part = known.map(|known| known.slices).filter(|part| *part < profile.name.slices);
            let name = MigProfile { name: profile.name.clone(), compute: part };
            *counts.entry(name.to_string()).or_insert(0) += 1;
        }
    }
    counts
}
