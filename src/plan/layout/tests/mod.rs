mod fewest;
mod obstacles;
mod selecting;
mod ways;

use super::*;
use crate::claim::{Claim, Device};
use crate::compat::mig_parted::{Entry, Layouts};
use crate::config::Config;
use crate::inventory::{ComputeInstance, GpuInstance, Inventory, Placement, Process};
use crate::plan::Node;
use std::path::Path;

/// The entries of a layout, as they would stand in a file.
pub(super) fn entries(list: &str) -> Vec<Entry> {
    let text = format!("version: v1\nmig-configs:\n  it: {list}\n");
    let layouts = Layouts::parse(&text, Path::new("it.yaml")).unwrap();
    layouts.select(None).unwrap().to_vec()
}

/// One entry for all GPUs, with these MIG devices.
pub(super) fn all(devices: &str) -> Vec<Entry> {
    entries(&format!("[{{devices: all, mig-enabled: true, mig-devices: {{{devices}}}}}]"))
}

/// What there is, in tests.
pub(super) struct World {
    pub(super) inventory: Inventory,
    pub(super) claims: Vec<Claim>,
    pub(super) devices: Vec<Device>,
    pub(super) config: Config,
}

impl World {
    pub(super) fn new(inventory: Inventory) -> World {
        let config = "gpus: [{match: '*', managed: true}]";
        let config = Config::parse(config, Path::new("config.yaml")).unwrap();
        World { inventory, claims: Vec::new(), devices: Vec::new(), config }
    }

    /// Puts whole MIG devices on GPU 0: `3g.20gb@4`.
    pub(super) fn stand(mut self, instances: &[&str]) -> World {
        for text in instances {
            self.add(text, &[]);
        }
        self
    }

    /// Puts a GPU instance on GPU 0, cut into parts of these compute slices, or whole.
    pub(super) fn add(&mut self, text: &str, parts: &[u32]) -> u32 {
        let mig = self.inventory.gpus[0].mig.as_mut().unwrap();
        let (name, start) = text.split_once('@').unwrap();
        let start: u32 = start.parse().unwrap();
        let profile = mig.profiles.iter().find(|p| p.name.to_string() == name).unwrap();
        let placement = *profile.placements.iter().find(|place| place.start == start).unwrap();
        let id = u32::try_from(mig.instances.len()).unwrap() + 1;
        let whole = [profile.name.slices];
        let parts = if parts.is_empty() { &whole[..] } else { parts };
        let compute = |(n, slices): (u32, &u32)| ComputeInstance {
            id: n,
            profile_id: profile.compute_profiles.iter().find(|c| c.slices == *slices).unwrap().id,
            uuid: format!("MIG-{id}-{n}"),
            mig_index: n,
        };
        let compute_instances = (0..).zip(parts).map(compute).collect();
        mig.instances.push(GpuInstance {
            id,
            profile_id: profile.id,
            placement,
            compute_instances,
        });
        id
    }

    /// Runs a process in a GPU instance of GPU 0.
    pub(super) fn run(
        &mut self,
        pid: u32,
        gpu_instance: Option<u32>,
        compute_instance: Option<u32>,
    ) {
        let process = Process { pid, used_bytes: None, gpu_instance, compute_instance };
        self.inventory.gpus[0].processes.push(process);
    }

    pub(super) fn node(&self) -> Node<'_> {
        Node {
            inventory: &self.inventory,
            claims: &self.claims,
            devices: &self.devices,
            config: &self.config,
        }
    }

    /// What would be done to GPU 0.
    pub(super) fn plan(&self, entries: &[Entry]) -> Result<GpuPlan, String> {
        self.plan_with(entries, ModeChange::AtOnce, Permission::default())
    }

    pub(super) fn plan_with(
        &self,
        entries: &[Entry],
        change: ModeChange,
        permission: Permission,
    ) -> Result<GpuPlan, String> {
        let selection = select(entries, &self.inventory).map_err(|error| error.to_string())?;
        let target = &selection.targets[0];
        let plan = plan(target, self.node(), change, permission);
        let refused = |gpu| Refused { gpus: vec![gpu] }.to_string();
        plan.map_err(|error| error.to_string())?.map_err(refused)
    }

    /// The steps of that plan, in words.
    pub(super) fn steps(&self, devices: &str) -> Vec<String> {
        let plan = self.plan(&all(devices)).unwrap();
        plan.steps.iter().map(ToString::to_string).collect()
    }
}

/// The GPU instances that stand after a plan's steps, which must not be in each other's way.
pub(super) fn after(mig: &Mig, plan: &GpuPlan) -> Vec<(u32, Placement, Vec<u32>)> {
    let slices = |profile: u32, compute: u32| {
        let profile = mig.profiles.iter().find(|known| known.id == profile).unwrap();
        profile.compute_profiles.iter().find(|known| known.id == compute).unwrap().slices
    };
    let mut standing: Vec<(u32, Placement, Vec<u32>)> = mig
        .instances
        .iter()
        .map(|instance| {
            let parts = instance.compute_instances.iter();
            let parts = parts.map(|compute| slices(instance.profile_id, compute.profile_id));
            (instance.profile_id, instance.placement, parts.collect())
        })
        .collect();
    for step in &plan.steps {
        let at = |place: &Placement| standing.iter().position(|(_, there, _)| there == place);
        match step {
            Step::SetMigMode { .. } => {}
            Step::DestroyComputeInstance { instance, compute_slices: slices, .. } => {
                let n = at(&instance.placement).unwrap();
                let part = standing[n].2.iter().position(|part| part == slices).unwrap();
                standing[n].2.remove(part);
            }
            Step::DestroyGpuInstance { instance } => {
                let gone = standing.remove(at(&instance.placement).unwrap());
                assert_eq!(gone.2, [0; 0], "compute instances go first");
            }
            Step::CreateGpuInstance { profile_id, placement, .. } => {
                assert!(standing.iter().all(|(_, there, _)| !there.overlaps(*placement)));
                standing.push((*profile_id, *placement, Vec::new()));
            }
            Step::CreateComputeInstance { placement, compute_slices: slices, .. } => {
                let n = at(placement).unwrap();
                standing[n].2.push(*slices);
            }
        }
    }
    standing
}
