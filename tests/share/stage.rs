//! A simulated node, and a device record whose steps are carried out and undone on it.

use super::ground::end_all;
use crate::common::node;
use divvy::claim::{Before, Device, DeviceId, Entry, MigTarget, Outcome, Purpose, Step, Target};
use divvy::host::Host;
use divvy::inventory::{self, Gpu, Nvml, Placement, Profile, Scope};
use divvy::share::{self, Node, Settings, ShareError, Undone};

impl Drop for Stage {
    fn drop(&mut self) {
        end_all(&self.host, &self.settings);
    }
}

/// A simulated node with all that acting on it needs.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) fake: node::Node,
    pub(super) host: Host,
    pub(super) nvml: Nvml,
    pub(super) settings: Settings,
}

impl Stage {
    pub(super) fn on(fake: node::Node) -> Stage {
        let host = fake.host();
        let nvml = Nvml::of(&host);
        let mut settings = Settings::new(env!("CARGO_BIN_EXE_divvy").into());
        settings.place = share::mps::Place::Alone;
        Stage { fake, host, nvml, settings }
    }

    /// One GPU of a model, with MIG mode on.
    pub(super) fn with_mig(model: &str) -> Stage {
        Stage::on(node::create(&["--gpu", model, "--mig", "on"]))
    }

    /// One GPU of a model, with MIG mode off.
    pub(super) fn plain(model: &str) -> Stage {
        Stage::on(node::create(&["--gpu", model]))
    }

    pub(super) fn node(&self) -> Node<'_> {
        Node { host: &self.host, nvml: &self.nvml, settings: &self.settings }
    }

    pub(super) fn gpu(&self) -> Gpu {
        self.nvml.inventory(Scope::Full).unwrap().gpus.remove(0)
    }

    pub(super) fn profile(&self, name: &str) -> Profile {
        let mig = self.gpu().mig.unwrap();
        mig.profiles.into_iter().find(|profile| profile.name.to_string() == name).unwrap()
    }

    /// A record that makes a MIG device with all slices of its GPU instance.
    pub(super) fn mig_record(&self, profile: &str, start: u32) -> Device {
        let gpu = self.gpu().uuid;
        let profile = self.profile(profile);
        let placement =
            *profile.placements.iter().find(|placement| placement.start == start).unwrap();
        let compute = profile.compute_profiles.iter().max_by_key(|compute| compute.slices);
        let compute = compute.unwrap().id;
        let steps = vec![
            Step::CreateGpuInstance {
                gpu: gpu.clone(),
                profile_id: profile.id,
                profile: profile.name.clone(),
                placement,
            },
            Step::CreateComputeInstance { gpu: gpu.clone(), profile_id: compute },
            Step::MakeCapabilityNodes { gpu: gpu.clone() },
        ];
        let mig = Some(MigTarget { profile: profile.name, placement, existing: None });
        self.record(Target { gpu, mig }, steps)
    }

    pub(super) fn record(&self, target: Target, steps: Vec<Step>) -> Device {
        Device {
            id: DeviceId::random(7),
            purpose: Purpose::Exclusive,
            targets: vec![target],
            steps: steps.into_iter().map(Entry::planned).collect(),
            identity: self.host.identity().unwrap(),
            retiring: false,
        }
    }

    /// A record on the whole GPU.
    pub(super) fn gpu_record(&self, step: impl Fn(String) -> Step) -> Device {
        let gpu = self.gpu().uuid;
        self.record(Target { gpu: gpu.clone(), mig: None }, vec![step(gpu)])
    }

    /// The first half of a step: what is there before it.
    pub(super) fn observe(&self, device: &mut Device, step: usize) -> Result<Before, ShareError> {
        let before = share::observe(&self.node(), device, &device.steps[step].step)?;
        device.steps[step].before = Some(before.clone());
        Ok(before)
    }

    /// Both halves of a step.
    pub(super) fn step(&self, device: &mut Device, step: usize) -> Result<Outcome, ShareError> {
        let before = self.observe(device, step)?;
        let outcome = share::carry_out(&self.node(), device, &device.steps[step].step, &before)?;
        device.steps[step].outcome = Some(outcome.clone());
        Ok(outcome)
    }

    /// All steps.
    pub(super) fn carry_out(&self, device: &mut Device) -> Result<(), ShareError> {
        (0..device.steps.len()).try_for_each(|step| self.step(device, step).map(drop))
    }

    pub(super) fn undo_step(&self, device: &Device, step: usize) -> Undone {
        share::undo(&self.node(), device, &device.steps[step]).unwrap()
    }

    /// All steps backwards, as far as they go: `Gone` where all went.
    pub(super) fn undo(&self, device: &mut Device) -> Undone {
        while !device.steps.is_empty() {
            match self.undo_step(device, device.steps.len() - 1) {
                Undone::Gone => device.steps.pop(),
                other => return other,
            };
        }
        Undone::Gone
    }

    /// The GPU instances as (profile, placement, compute instances).
    pub(super) fn instances(&self) -> Vec<(u32, Placement, usize)> {
        let instances = self.gpu().mig.unwrap().instances;
        let describe = |found: &inventory::GpuInstance| {
            (found.profile_id, found.placement, found.compute_instances.len())
        };
        instances.iter().map(describe).collect()
    }
}
