//! `resources:`, devices that several claims share under names that NVIDIA's device plugin gives them.

use super::{Config, GpuEntry, GpuPolicy};
use crate::compat::device_plugin::{
    DeviceRef, Devices, MAX_REPLICAS, MigStrategy, Named, ResourceName, Strategy,
};
use crate::inventory::{ComputeInstance, Gpu, GpuInstance, Inventory, Profile};
use crate::request::{Alias, Memory, MpsLimits, Percent, Pin, Request, Share};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Devices that several claims share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(try_from = "ResourceForm", rename_all = "kebab-case")]
pub struct SharedResource {
    /// Which devices: `nvidia.com/gpu`, or `nvidia.com/mig-1g.10gb` with `mig-strategy: mixed`.
    pub name: ResourceName,
    /// The kind of the replicas' CDI devices; the name, if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ResourceName>,
    /// How they are shared.
    pub mode: Strategy,
    /// How many claims share each device.
    pub replicas: u32,
    /// Which of them.
    pub devices: Devices,
    /// Whether a claim may have one of the resource's replicas at most.
    pub one_per_claim: bool,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ResourceForm {
    name: ResourceName,
    #[serde(default)]
    kind: Option<ResourceName>,
    mode: Strategy,
    #[cfg_attr(feature = "cli", schemars(range(min = 2, max = 1000)))]
    replicas: u32,
    #[serde(default)]
    devices: Devices,
    #[serde(default)]
    one_per_claim: bool,
}

/// The most parts that a hundred per cent of threads have.
const MAX_MPS: u32 = 100;

impl TryFrom<ResourceForm> for SharedResource {
    type Error = String;

    fn try_from(form: ResourceForm) -> Result<SharedResource, String> {
        let most = match form.mode {
            Strategy::TimeSlicing => MAX_REPLICAS,
            Strategy::Mps => MAX_MPS,
        };
        if !(2..=most).contains(&form.replicas) {
            return Err(format!(
                "replicas is a number from 2 to {most} with {}, and this is {}",
                form.mode, form.replicas
            ));
        }
        let ResourceForm { name, kind, mode, replicas, devices, one_per_claim } = form;
        // One daemon's limits are one claim's: several parts for one process mean nothing under MPS.
        let one_per_claim = one_per_claim || mode == Strategy::Mps;
        Ok(SharedResource { name, kind, mode, replicas, devices, one_per_claim })
    }
}

impl SharedResource {
    /// The kind of the replicas' CDI devices.
    #[must_use]
    pub fn kind(&self) -> &ResourceName {
        self.kind.as_ref().unwrap_or(&self.name)
    }
}

/// A GPU or MIG device, as resources count them.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// The GPU.
    pub gpu: &'a Gpu,
    /// The MIG device on it, with its profile.
    pub mig: Option<(&'a GpuInstance, &'a ComputeInstance, &'a Profile)>,
}

impl<'a> Unit<'a> {
    /// `0`, or `0:1` for a MIG device.
    #[must_use]
    pub fn index(&self) -> String {
        match self.mig {
            None => self.gpu.index.to_string(),
            Some((_, compute, _)) => format!("{}:{}", self.gpu.index, compute.mig_index),
        }
    }

    /// `GPU-…` or `MIG-…`.
    #[must_use]
    pub fn uuid(&self) -> &'a str {
        self.mig.map_or(&self.gpu.uuid, |(_, compute, _)| &compute.uuid)
    }

    /// Memory, in MiB.
    fn memory_mib(&self) -> u64 {
        self.mig.map_or(self.gpu.memory_mib, |(_, _, profile)| profile.memory_mib)
    }

    /// What the device plugin calls it with the strategy mixed: a compute instance that is not all of its GPU
    /// instance has its own slices in front.
    fn mixed_name(&self) -> Option<ResourceName> {
        let Some((_, compute, profile)) = self.mig else { return Some(ResourceName::gpu()) };
        let slices = profile.compute_profiles.iter().find(|one| one.id == compute.profile_id);
        match slices.map(|one| one.slices).filter(|slices| *slices != profile.name.slices) {
            None => Some(ResourceName::mig(&profile.name)),
            Some(slices) => {
                let whole = ResourceName::mig(&profile.name);
                let name = whole.class().strip_prefix("mig-").unwrap_or_default();
                ResourceName::parse(&format!("mig-{slices}c.{name}"))
            }
        }
    }

    fn is(&self, named: &DeviceRef) -> bool {
        match named {
            DeviceRef::Gpu(index) => self.mig.is_none() && self.gpu.index == *index,
            DeviceRef::Mig(..) => self.index() == named.to_string(),
            DeviceRef::Uuid(uuid) => self.uuid().eq_ignore_ascii_case(uuid),
        }
    }
}

/// A device that is shared.
#[derive(Clone, Debug)]
pub struct SharedDevice<'a> {
    /// How.
    pub resource: &'a SharedResource,
    /// Which.
    pub unit: Unit<'a>,
}

impl SharedDevice<'_> {
    /// What a replica asks for. Each has its number in its name, and is like the others in all else.
    #[must_use]
    pub fn request(&self, replica: u32) -> Option<Request> {
        let replicas = u64::from(self.resource.replicas);
        let share = match self.resource.mode {
            Strategy::TimeSlicing => Share::TimeSlicing { interval: None },
            // As the plugin does: whole per cents and whole MiB, rounded down.
            Strategy::Mps => Share::Mps(MpsLimits {
                threads: Percent::new(100 / replicas),
                memory: Memory::from_mib(self.unit.memory_mib() / replicas),
            }),
        };
        let pin = Pin::parse(self.unit.uuid())?;
        let alias = Alias::parse(&format!("{}={}", self.resource.kind(), self.name(replica)))?;
        Some(Request::new(share).with_pin(pin).ok()?.with_alias(alias))
    }

    /// A replica's CDI device name, `0::3`.
    #[must_use]
    pub fn name(&self, replica: u32) -> String {
        format!("{}::{replica}", self.unit.index())
    }
}

/// What resources come to on a node.
#[derive(Clone, Debug, Default)]
pub struct Resolved<'a> {
    /// Devices that are shared, by GPU and MIG index.
    pub shared: Vec<SharedDevice<'a>>,
    /// MIG devices that aren't, under their names of the strategy mixed.
    pub named: Vec<(ResourceName, Unit<'a>)>,
    /// What can't be as the configuration says, a sentence each.
    pub faults: Vec<String>,
    /// What should be known, a sentence each.
    pub notes: Vec<String>,
}

impl Config {
    /// Whether the configuration names or shares any devices as the device plugin does.
    #[must_use]
    pub fn has_resources(&self) -> bool {
        !self.resources.is_empty() || self.mig_strategy != MigStrategy::None
    }

    /// Which devices of a node are shared, and how. `inventory` is read in full.
    #[must_use]
    pub fn resolve<'a>(&'a self, inventory: &'a Inventory) -> Resolved<'a> {
        let mut resolved = Resolved::default();
        if !self.has_resources() {
            return resolved;
        }
        let units = self.units(inventory, &mut resolved);
        for resource in &self.resources {
            let own = units.iter().filter(|(name, _)| *name == resource.name).map(|(_, unit)| unit);
            let own: Vec<&Unit<'a>> = own.collect();
            if own.is_empty() {
                resolved.notes.push(format!("there is no {} here to be shared", resource.name));
            }
            for unit in chosen(resource, &own, &mut resolved) {
                let taken = resolved.shared.iter().find(|other| other.unit.uuid() == unit.uuid());
                match taken {
                    None => resolved.shared.push(SharedDevice { resource, unit }),
                    Some(other) => resolved.faults.push(format!(
                        "device {} is shared twice, by {} and by {}: give each entry of resources its own devices",
                        unit.index(), other.resource.mode, resource.mode
                    )),
                }
            }
        }
        resolved
            .shared
            .sort_by_key(|one| (one.unit.gpu.index, one.unit.mig.map(|(_, c, _)| c.mig_index)));
        let shared: BTreeSet<&str> = resolved.shared.iter().map(|one| one.unit.uuid()).collect();
        let named = units
            .into_iter()
            .filter(|(name, unit)| *name != ResourceName::gpu() && !shared.contains(unit.uuid()));
        resolved.named = named.collect();
        resolved
    }

    /// Every device that the MIG strategy offers, under the name of its resource.
    fn units<'a>(
        &self,
        inventory: &'a Inventory,
        resolved: &mut Resolved<'a>,
    ) -> Vec<(ResourceName, Unit<'a>)> {
        let whole = inventory
            .gpus
            .iter()
            .filter(|gpu| !gpu.mig_enabled())
            .map(|gpu| Unit { gpu, mig: None });
        let whole: Vec<Unit<'a>> = whole.collect();
        let mig: Vec<Unit<'a>> = inventory.gpus.iter().flat_map(mig_units).collect();
        let gpus = |units: Vec<Unit<'a>>| units.into_iter().map(|unit| (ResourceName::gpu(), unit));
        match self.mig_strategy {
            MigStrategy::None => {
                if !mig.is_empty() {
                    resolved
                        .notes
                        .push("MIG devices are not shared: mig-strategy is none".to_owned());
                }
                gpus(whole).collect()
            }
            MigStrategy::Single if mig.is_empty() => gpus(whole).collect(),
            MigStrategy::Single => {
                let mut names = mig.iter().filter_map(Unit::mixed_name);
                let first = names.next();
                if !whole.is_empty() || names.any(|name| Some(name) != first) {
                    resolved.faults.push(
                        "mig-strategy: single wants every GPU cut into MIG devices of one profile, and here they differ: cut them alike (`divvy mig apply`), or say mixed".to_owned(),
                    );
                    return Vec::new();
                }
                gpus(mig).collect()
            }
            MigStrategy::Mixed => {
                let named = mig.into_iter().filter_map(|unit| Some((unit.mixed_name()?, unit)));
                gpus(whole).chain(named).collect()
            }
        }
    }
}

fn mig_units(gpu: &Gpu) -> Vec<Unit<'_>> {
    let Some(mig) = gpu.mig.as_ref().filter(|mig| mig.enabled) else { return Vec::new() };
    let mut units: Vec<Unit<'_>> = Vec::new();
    for instance in &mig.instances {
        let profile = mig.profiles.iter().find(|profile| profile.id == instance.profile_id);
        let Some(profile) = profile else { continue };
        let devices = instance.compute_instances.iter();
        units.extend(devices.map(|compute| Unit { gpu, mig: Some((instance, compute, profile)) }));
    }
    units.sort_by_key(|unit| unit.mig.map(|(_, compute, _)| compute.mig_index));
    units
}

/// The devices of a resource that its entry chooses.
fn chosen<'a>(
    resource: &SharedResource,
    own: &[&Unit<'a>],
    resolved: &mut Resolved<'a>,
) -> Vec<Unit<'a>> {
    match &resource.devices {
        Devices::All => own.iter().map(|unit| **unit).collect(),
        Devices::Count(count) => {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            if count > own.len() {
                resolved.notes.push(format!(
                    "{count} devices of {} are to be shared, and there are {}",
                    resource.name,
                    own.len()
                ));
            }
            own.iter().take(count).map(|unit| **unit).collect()
        }
        Devices::List(list) => {
            let mut units = Vec::new();
            for named in list {
                match own.iter().find(|unit| unit.is(named)) {
                    Some(unit) => units.push(**unit),
                    None => resolved
                        .notes
                        .push(format!("there is no {} {named} here to be shared", resource.name)),
                }
            }
            units
        }
    }
}

/// The configuration that does what the device plugin's says.
impl From<&Named> for Config {
    fn from(named: &Named) -> Config {
        let plugin = &named.config;
        let mut config = Config {
            mig_strategy: plugin.flags.mig_strategy.unwrap_or_default(),
            notes: [named.notes.clone(), plugin.without_effect()].concat(),
            ..Config::default()
        };
        let root = |path: &Option<PathBuf>| path.clone().filter(|path| path.as_os_str() != "/");
        config.host.driver_root = root(&plugin.flags.nvidia_driver_root);
        config.host.dev_root = root(&plugin.flags.nvidia_dev_root);
        for (mode, how, resource) in plugin.sharing.resources() {
            let kind = how.shown_name(resource);
            // The plugin's own defaults: MPS takes no second replica, time-slicing does.
            let one_per_claim = how.fail_requests_greater_than_one.unwrap_or(mode == Strategy::Mps);
            if mode == Strategy::Mps {
                config.gpus.extend(managed(&resource.devices));
            }
            config.resources.push(SharedResource {
                name: resource.name.clone(),
                kind: Some(kind).filter(|kind| *kind != resource.name),
                mode,
                replicas: resource.replicas,
                devices: resource.devices.clone(),
                one_per_claim,
            });
        }
        config
    }
}

/// The plugin sets EXCLUSIVE_PROCESS on the GPUs that it shares by MPS, so divvy may as well.
fn managed(devices: &Devices) -> Vec<GpuEntry> {
    let pins: BTreeSet<String> = match devices {
        Devices::All => BTreeSet::from(["*".to_owned()]),
        Devices::Count(count) => (0..*count).map(|index| index.to_string()).collect(),
        Devices::List(list) => {
            let gpu = |named: &DeviceRef| match named {
                DeviceRef::Gpu(index) | DeviceRef::Mig(index, _) => Some(index.to_string()),
                DeviceRef::Uuid(uuid) => Some(uuid.clone()).filter(|uuid| uuid.starts_with("GPU-")),
            };
            list.iter().filter_map(gpu).collect()
        }
    };
    let policy = GpuPolicy { managed: true, exclusive_process: true, ..GpuPolicy::default() };
    let entry = |pin: String| Some(GpuEntry { gpus: Pin::parse(&pin)?, policy: policy.clone() });
    pins.into_iter().filter_map(entry).collect()
}
