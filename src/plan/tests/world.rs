use crate::claim::tests::{claim, identity};
use crate::claim::{
    Claim, ContainerRef, Device, DeviceId, Entry, Owner, Part, Phase, Purpose, Step,
};
use crate::config::Config;
use crate::host::Host;
use crate::inventory::{ComputeInstance, ComputeMode, GpuInstance, Inventory, Placement, Process};
use crate::plan::{self, DeviceRef, Node, Plan, Refusal};
use crate::request::Requests;
use std::path::Path;

/// A node and what claims hold of it: plans are carried out by writing down that they were.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) inventory: Inventory,
    pub(crate) config: Config,
    pub(crate) claims: Vec<Claim>,
    pub(crate) devices: Vec<Device>,
    made: u64,
}

impl World {
    /// A node that divvy manages.
    pub(crate) fn managed(inventory: Inventory) -> World {
        let config =
            "gpus: [{match: '*', managed: true, mig-mode: enable, compute-mode: exclusive}]";
        World::new(inventory, config)
    }

    pub(crate) fn new(inventory: Inventory, config: &str) -> World {
        let config = Config::parse(config, Path::new("config.yaml")).unwrap();
        World { inventory, config, claims: Vec::new(), devices: Vec::new(), made: 0 }
    }

    /// What would be done, for uid 0.
    pub(crate) fn plan(&self, requests: &str) -> Result<Plan, Box<Refusal>> {
        self.plan_as(requests, 0)
    }

    pub(crate) fn plan_as(&self, requests: &str, uid: u32) -> Result<Plan, Box<Refusal>> {
        let requests: Requests = requests.parse().unwrap();
        let World { inventory, config, claims, devices, .. } = self;
        plan::plan(&requests, uid, Node { inventory, claims, devices, config })
    }

    /// Plans, and writes down that it was done.
    pub(crate) fn prepare(&mut self, id: &str, requests: &str) -> Result<Plan, Box<Refusal>> {
        let plan = self.plan(requests)?;
        let ids: Vec<DeviceId> = plan.new.iter().map(|_| self.next_id()).collect();
        for (new, id) in plan.new.iter().zip(&ids) {
            self.devices.push(Device {
                id: id.clone(),
                purpose: new.purpose,
                targets: new.targets.clone(),
                steps: new.steps.iter().cloned().map(Entry::planned).collect(),
                identity: identity(),
                retiring: false,
            });
        }
        let id_of = |device: &DeviceRef| match device {
            DeviceRef::Join(id) => id.clone(),
            DeviceRef::New(index) => ids[*index].clone(),
        };
        let parts = plan.parts.iter().map(|part| Part {
            request: part.request,
            device: id_of(&part.device),
            limits: part.limits,
            enforced: part.enforced,
        });
        self.claims.push(Claim {
            requests: requests.parse().unwrap(),
            parts: parts.collect(),
            foundations: plan.foundations.iter().map(id_of).collect(),
            ..claim(id, Phase::Granted, Owner::Caller)
        });
        Ok(plan)
    }

    /// Takes a claim back, and the records that nobody else names.
    pub(crate) fn release(&mut self, id: &str) {
        self.claims.retain(|claim| claim.id.as_str() != id);
        let claims = &self.claims;
        self.devices.retain(|device| claims.iter().any(|claim| claim.holds(&device.id)));
    }

    /// Gives a claim a container.
    pub(crate) fn bind(&mut self, id: &str, container: &str) {
        let claim = self.claims.iter_mut().find(|claim| claim.id.as_str() == id).unwrap();
        let container = ContainerRef { id: container.to_owned(), bundle: "/run/bundle".into() };
        let process = Host::default().this_process().unwrap();
        claim.owner = Owner::Container { container, process, cgroup: None };
    }

    /// Adds a MIG device that divvy did not make: its UUID.
    pub(crate) fn foreign(&mut self, gpu: usize, profile_id: u32, start: u32) -> String {
        let mig = self.inventory.gpus[gpu].mig.as_mut().unwrap();
        let profile = mig.profiles.iter().find(|profile| profile.id == profile_id).unwrap();
        let placement = profile.placements.iter().find(|place| place.start == start).unwrap();
        let uuid = format!("MIG-00000000-0000-0000-{gpu:04}-{start:012}");
        let device = ComputeInstance { id: 0, profile_id: 0, uuid: uuid.clone(), mig_index: 0 };
        mig.instances.push(GpuInstance {
            id: 1 + start,
            profile_id,
            placement: *placement,
            compute_instances: vec![device],
        });
        uuid
    }

    /// Adds a process that nobody claims.
    pub(crate) fn process(&mut self, gpu: usize, pid: u32, instance: Option<u32>) {
        self.inventory.gpus[gpu].processes.push(Process {
            pid,
            used_bytes: None,
            gpu_instance: instance,
            compute_instance: instance.map(|_| 0),
        });
    }

    pub(crate) fn compute_mode(&mut self, gpu: usize, mode: ComputeMode) {
        self.inventory.gpus[gpu].compute_mode = mode;
    }

    /// What stands on MIG devices' slices: records and foreign instances, as (GPU, placement).
    pub(crate) fn places(&self) -> Vec<(String, Placement)> {
        let records = self.devices.iter().flat_map(|device| &device.targets);
        let made = records.filter_map(|target| {
            let mig = target.mig.as_ref().filter(|mig| mig.existing.is_none())?;
            Some((target.gpu.clone(), mig.placement))
        });
        let foreign = self.inventory.gpus.iter().flat_map(|gpu| {
            let instances = gpu.mig.iter().flat_map(|mig| &mig.instances);
            instances.map(|instance| (gpu.uuid.clone(), instance.placement))
        });
        made.chain(foreign).collect()
    }

    fn next_id(&mut self) -> DeviceId {
        self.made += 1;
        DeviceId::random(self.made)
    }
}

/// The steps of a plan in short words.
pub(crate) fn steps(plan: &Plan) -> Vec<String> {
    let short = |step: &Step| match step {
        Step::EnableMig { .. } => "enable MIG".to_owned(),
        Step::CreateGpuInstance { profile, placement, .. } => {
            format!("make {profile} at {}", placement.start)
        }
        Step::CreateComputeInstance { profile_id, .. } => format!("cut {profile_id}"),
        Step::MakeCapabilityNodes { .. } => "nodes".to_owned(),
        Step::SetTimeSlice { interval, .. } => format!("interval {interval}"),
        Step::SetExclusiveProcess { .. } => "exclusive process".to_owned(),
        Step::StartMps { limits, uid } => format!("start {limits} for {uid}"),
    };
    plan.new.iter().flat_map(|new| new.steps.iter().map(short)).collect()
}

/// The purposes of the records that a plan makes.
pub(crate) fn purposes(plan: &Plan) -> Vec<Purpose> {
    plan.new.iter().map(|new| new.purpose).collect()
}
