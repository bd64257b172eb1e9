//! What others do on the model's node: processes, MIG devices, boots.

use super::model::Wish;
use super::world::{Held, World};
use std::collections::BTreeSet;

/// A process that no test has.
const PID: u32 = 4_000_001;

impl World {
    /// The n-th claim that has one MIG device alone gets a process on it.
    pub(super) fn use_one(&mut self, n: usize) {
        let single = |held: &Held| {
            matches!(held.wish, Wish::Mig { count: 1, .. }) && !held.releasing && !self.stale
        };
        let claims = self.held.iter().filter(|(_, held)| single(held));
        let Some((id, held)) = claims.map(|(id, held)| (id.clone(), held.clone())).nth(n) else {
            return;
        };
        if self.used.contains_key(&id) {
            return;
        }
        let Wish::Mig { gpu, .. } = held.wish else { return };
        let device = self.nvml.device_by_uuid(&held.devices[0]).unwrap();
        let instance = device.gpu_instance_id().unwrap();
        let place = format!("{gpu}:{instance}:0");
        self.site.node.change("process", &[&place, "add", &pid(gpu, instance)]);
        self.used.insert(id, (gpu, instance));
    }

    pub(super) fn leave(&mut self, n: usize) {
        let Some(id) = self.used.keys().nth(n).cloned() else { return };
        let (gpu, instance) = self.used.remove(&id).unwrap();
        self.site.node.change("process", &[&gpu.to_string(), "rm", &pid(gpu, instance)]);
        if self.held.get(&id).is_some_and(|held| held.releasing) {
            // Whoever looks at it next takes it back.
            let held = self.held.remove(&id).unwrap();
            self.unsure.insert(id, held.wish);
            self.stale = true;
        }
    }

    pub(super) fn make_foreign(&mut self, index: u32, profile: &str) {
        let gpu = self.gpu(index);
        let mig = gpu.mig.as_ref().unwrap();
        let known = mig.profiles.iter().find(|known| known.name.to_string() == profile).unwrap();
        let device = self.nvml.device(index).unwrap();
        if !gpu.mig_enabled() || device.remaining_capacity(known.id).unwrap() == 0 {
            return;
        }
        self.site.node.change("mig", &[&index.to_string(), "create", profile]);
        let there: BTreeSet<u32> = mig.instances.iter().map(|instance| instance.id).collect();
        let now = self.gpu(index).mig.unwrap().instances;
        self.foreign.extend(
            now.iter().map(|found| found.id).filter(|id| !there.contains(id)).map(|id| (index, id)),
        );
    }

    pub(super) fn destroy_foreign(&mut self, n: usize) {
        let Some((gpu, instance)) = self.foreign.iter().nth(n).copied() else { return };
        self.foreign.remove(&(gpu, instance));
        self.site.node.change("mig", &[&gpu.to_string(), "destroy", &instance.to_string()]);
    }

    pub(super) fn process(&mut self, comes: bool) {
        // With MIG mode on, a process is on a MIG device.
        if comes == self.process || (comes && self.gpu(1).mig_enabled()) {
            return;
        }
        let verb = if comes { "add" } else { "rm" };
        self.site.node.change("process", &["1", verb, &PID.to_string()]);
        self.process = comes;
    }

    pub(super) fn restart(&mut self, verb: &str, arguments: &[&str]) {
        self.site.node.change(verb, arguments);
        self.held.clear();
        self.unsure.clear();
        self.foreign.clear();
        self.used.clear();
        self.process = false;
        self.stale = true;
    }
}

/// A process for each device.
fn pid(gpu: u32, instance: u32) -> String {
    (PID + 100 * (gpu + 1) + instance).to_string()
}
