//! From what was chosen to the records and the steps that make them.

use super::fit::{Choice, Take};
use super::mps::{daemon_limits, enforced};
use super::table::{Held, HeldMig, Mode, Table, Unit};
use super::{DeviceRef, NewDevice, Note, Plan, PlannedPart};
use crate::claim::{MigTarget, Purpose, Step, Target};
use crate::config::{Enforced, Level};
use crate::request::MpsLimits;

/// The plan for what was chosen: one choice for each unit, in their order.
pub(super) fn plan(units: &[Unit<'_>], chosen: &[Choice], table: &Table<'_>) -> Plan {
    let empty =
        Plan { new: Vec::new(), parts: Vec::new(), foundations: Vec::new(), notes: Vec::new() };
    let one_daemon = units.len() > 1 && units.iter().all(|unit| unit.mps().is_some());
    let mut writer = Writer { table, one_daemon, plan: empty };
    for choice in chosen {
        writer.foundation(choice);
    }
    for (unit, choice) in units.iter().zip(chosen) {
        writer.part(unit, choice);
    }
    writer.plan
}

struct Writer<'a> {
    table: &'a Table<'a>,
    /// All MPS shares of the claim go through one daemon.
    one_daemon: bool,
    plan: Plan,
}

impl Unit<'_> {
    fn mps(&self) -> Option<MpsLimits> {
        match self.mode {
            Mode::Mps { limits } => Some(limits),
            Mode::Exclusive | Mode::TimeSlicing { .. } => None,
        }
    }
}

impl Writer<'_> {
    fn uuid(&self, gpu: usize) -> String {
        self.table.gpus.get(gpu).map(|facts| facts.gpu.uuid.clone()).unwrap_or_default()
    }

    fn exclusive_process(&self, gpu: usize) -> bool {
        self.table.gpus.get(gpu).is_some_and(|facts| facts.policy.exclusive_process)
    }

    /// Makes the claim keep MIG mode alive where divvy turned it on, or turns it on.
    fn foundation(&mut self, choice: &Choice) {
        let records = self.table.held_on(choice.gpu);
        let on_mig = match &choice.take {
            Take::Join(index) => records.get(*index).is_some_and(|held| held.mig.is_some()),
            Take::New { mig, .. } => mig.is_some(),
        };
        let record = records.iter().find_map(|held| match (&held.purpose, &held.device) {
            (Purpose::MigMode, DeviceRef::Join(id)) => Some(DeviceRef::Join(id.clone())),
            _ => None,
        });
        let foundation = match record {
            Some(record) if on_mig => record,
            _ if matches!(choice.take, Take::New { enable_mig: true, .. }) => {
                let gpu = self.uuid(choice.gpu);
                self.plan.new.push(NewDevice {
                    purpose: Purpose::MigMode,
                    targets: vec![Target { gpu: gpu.clone(), mig: None }],
                    steps: vec![Step::EnableMig { gpu }],
                });
                DeviceRef::New(self.plan.new.len() - 1)
            }
            _ => return,
        };
        if !self.plan.foundations.contains(&foundation) {
            self.plan.foundations.push(foundation);
        }
    }

    /// Adds a part, the record that it needs, and what should be known about it.
    fn part(&mut self, unit: &Unit<'_>, choice: &Choice) {
        let limits = unit.mps().unwrap_or_default();
        let (device, raise_daemon, enforced) = match &choice.take {
            Take::Join(index) => {
                let Some(held) = self.table.held_on(choice.gpu).get(*index) else { return };
                let (raise, enforced) = joined(unit, held);
                (held.device.clone(), raise, enforced)
            }
            Take::New { mig, beside, .. } => {
                self.notes(unit, choice.gpu, beside);
                let index = self.record(unit, choice.gpu, mig.as_ref());
                let enforced = levels(unit, limits, self.exclusive_process(choice.gpu));
                (DeviceRef::New(index), None, enforced)
            }
        };
        let gpu = self.table.gpus.get(choice.gpu);
        let required = gpu.map_or(enforced, |facts| facts.policy.require);
        for request in std::iter::once(unit.request).chain(unit.more.iter().copied()) {
            let device = device.clone();
            let part = PlannedPart { request, device, limits, raise_daemon, enforced, required };
            self.plan.parts.push(part);
        }
    }

    fn notes(&mut self, unit: &Unit<'_>, gpu: usize, beside: &[u32]) {
        let Some(facts) = self.table.gpus.get(gpu) else { return };
        let index = facts.gpu.index;
        if !beside.is_empty() {
            self.plan.notes.push(Note::ForeignProcesses { index, pids: beside.to_vec() });
        }
        if unit.mps().is_some() && !facts.policy.exclusive_process {
            self.plan.notes.push(Note::ComputeModeLeft { index });
        }
    }

    /// Adds a record with its steps, or a GPU to the record of the claim's one daemon: its index.
    fn record(&mut self, unit: &Unit<'_>, gpu: usize, mig: Option<&HeldMig>) -> usize {
        let target = Target {
            gpu: self.uuid(gpu),
            mig: mig.map(|mig| MigTarget {
                profile: mig.profile.clone(),
                placement: mig.placement,
                existing: mig.existing.clone(),
            }),
        };
        let steps = self.steps(unit, gpu, mig);
        if let Some(daemon) = self.plan.new.first_mut().filter(|_| self.one_daemon) {
            // The daemon starts when the last of its GPUs is ready.
            let start = daemon.steps.pop();
            let before_start = |step: &Step| !matches!(step, Step::StartMps { .. });
            daemon.steps.extend(steps.into_iter().take_while(before_start).chain(start));
            daemon.targets.push(target);
            return 0;
        }
        let purpose = match unit.mode {
            Mode::Exclusive => Purpose::Exclusive,
            Mode::TimeSlicing { interval } => Purpose::TimeSlicing { interval },
            Mode::Mps { .. } => Purpose::Mps,
        };
        self.plan.new.push(NewDevice { purpose, targets: vec![target], steps });
        self.plan.new.len() - 1
    }

    /// What is to be done for one GPU or MIG device.
    fn steps(&self, unit: &Unit<'_>, n: usize, mig: Option<&HeldMig>) -> Vec<Step> {
        let gpu = || self.uuid(n);
        let mut steps = Vec::new();
        if let Some(mig) = mig.filter(|mig| mig.existing.is_none()) {
            steps.push(Step::CreateGpuInstance {
                gpu: gpu(),
                profile_id: mig.profile_id,
                profile: mig.profile.clone(),
                placement: mig.placement,
            });
            let compute = mig.compute_profile;
            let create = |profile_id| Step::CreateComputeInstance { gpu: gpu(), profile_id };
            steps.extend(compute.map(create));
            steps.push(Step::MakeCapabilityNodes { gpu: gpu() });
        }
        match unit.mode {
            Mode::Exclusive | Mode::TimeSlicing { interval: None } => {}
            Mode::TimeSlicing { interval: Some(interval) } => {
                steps.push(Step::SetTimeSlice { gpu: gpu(), interval });
            }
            Mode::Mps { limits } => {
                if self.exclusive_process(n) {
                    steps.push(Step::SetExclusiveProcess { gpu: gpu() });
                }
                steps.push(Step::StartMps { limits, uid: self.table.uid });
            }
        }
        steps
    }
}

/// What joining a record changes: the daemon's limits, where the new claim's are larger.
fn joined(unit: &Unit<'_>, held: &Held) -> (Option<MpsLimits>, Enforced) {
    let Some(limits) = unit.mps() else {
        return (None, levels(unit, MpsLimits::default(), false));
    };
    // This claim is the last of the holders where the search put it there.
    let others = held.limits().take(held.holders.len() - held.own);
    let before = daemon_limits(others.clone());
    let after = daemon_limits(others.chain([&limits]));
    ((after != before).then_some(after), levels(unit, after, held.exclusive_process))
}

/// Who sees to it that a claim gets no more than its part of a device.
fn levels(unit: &Unit<'_>, daemon: MpsLimits, exclusive_process: bool) -> Enforced {
    match unit.mode {
        Mode::Exclusive => Enforced { memory: Level::Hardware, compute: Level::Hardware },
        Mode::TimeSlicing { .. } => Enforced { memory: Level::No, compute: Level::No },
        Mode::Mps { limits } => enforced(limits, daemon, exclusive_process),
    }
}
