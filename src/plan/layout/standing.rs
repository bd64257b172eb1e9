//! What a GPU is cut into now, and what of it is in use.

use super::Obstacle;
use super::steps::Instance;
use crate::inventory::{ComputeInstance, Gpu, GpuInstance, Mig, Placement, Profile};
use crate::plan::table::{self, Held, HeldMig};
use crate::plan::{Holder, Node};

/// A GPU instance that stands, or that a claim is about to make.
#[derive(Clone, Debug)]
pub(super) struct Standing<'a> {
    /// The driver's; `None` while it is yet to be made.
    pub(super) instance: Option<&'a GpuInstance>,
    pub(super) placement: Placement,
    /// `None` for a profile that this program doesn't know.
    pub(super) profile: Option<&'a Profile>,
    pub(super) compute: Vec<Part<'a>>,
    /// Claims that have it.
    by: Vec<Holder>,
    /// Whether a record stands for it, whoever names that.
    recorded: bool,
    /// Whether it is undone when its claims are released.
    made_for_claims: bool,
    pids: Vec<u32>,
}

/// A compute instance that stands.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    pub(super) instance: Option<&'a ComputeInstance>,
    pub(super) slices: u32,
    pub(super) in_use: bool,
}

/// Everything that stands on a GPU.
pub(super) fn standing<'a>(gpu: &'a Gpu, mig: &'a Mig, node: Node<'_>) -> Vec<Standing<'a>> {
    let records: Vec<Held> = table::held_on(gpu, node);
    let on_mig: Vec<(&Held, &HeldMig)> =
        records.iter().filter_map(|held| Some((held, held.mig.as_ref()?))).collect();
    let there = mig.instances.iter().map(|instance| of(gpu, mig, instance, &on_mig));
    let to_come = on_mig.iter().filter_map(|(held, want)| {
        let stands = mig.instances.iter().any(|found| found.placement == want.placement);
        let planned = want.existing.is_none() && !held.retiring && !stands;
        planned.then(|| to_come(mig, held, want))
    });
    there.chain(to_come).collect()
}

fn of<'a>(
    gpu: &Gpu,
    mig: &'a Mig,
    instance: &'a GpuInstance,
    records: &[(&Held, &HeldMig)],
) -> Standing<'a> {
    let profile = mig.profiles.iter().find(|profile| profile.id == instance.profile_id);
    let records = records.iter().filter(|(_, held)| held.placement == instance.placement);
    let records: Vec<_> = records.collect();
    // A process that the driver doesn't tell the instance of could be in any.
    let inside = |pid: &&crate::inventory::Process| {
        pid.gpu_instance.is_none_or(|running| running == instance.id)
    };
    let processes: Vec<_> = gpu.processes.iter().filter(inside).collect();
    let part = |compute: &'a ComputeInstance| {
        let runs = processes.iter().any(|p| p.compute_instance.is_none_or(|id| id == compute.id));
        let has = |held: &HeldMig| held.existing.as_ref().is_none_or(|uuid| *uuid == compute.uuid);
        Part {
            instance: Some(compute),
            slices: slices(profile, instance, compute),
            in_use: runs || records.iter().any(|(_, held)| has(held)),
        }
    };
    Standing {
        instance: Some(instance),
        placement: instance.placement,
        profile,
        compute: instance.compute_instances.iter().map(part).collect(),
        by: records.iter().flat_map(|(held, _)| held.by()).collect(),
        recorded: !records.is_empty(),
        made_for_claims: records.iter().any(|(_, held)| held.existing.is_none()),
        pids: processes.iter().map(|process| process.pid).collect(),
    }
}

/// The compute slices of a compute instance. One of a profile that isn't known is a whole GPU instance's
/// second kind of compute profile, which seven slices have.
fn slices(profile: Option<&Profile>, instance: &GpuInstance, compute: &ComputeInstance) -> u32 {
    let Some(profile) = profile else { return 0 };
    let known = profile.compute_profiles.iter().find(|known| known.id == compute.profile_id);
    let alone = instance.compute_instances.len() == 1;
    known.map_or(if alone { profile.name.slices } else { 0 }, |known| known.slices)
}

fn to_come<'a>(mig: &'a Mig, held: &Held, want: &HeldMig) -> Standing<'a> {
    let profile = mig.profiles.iter().find(|profile| profile.name == want.profile);
    let compute = profile.and_then(|profile| {
        let mut known = profile.compute_profiles.iter();
        known.find(|known| Some(known.id) == want.compute_profile)
    });
    let whole = || profile.map_or(0, |profile| profile.name.slices);
    let slices = compute.map_or_else(whole, |compute| compute.slices);
    Standing {
        instance: None,
        placement: want.placement,
        profile,
        compute: vec![Part { instance: None, slices, in_use: true }],
        by: held.by(),
        recorded: true,
        made_for_claims: true,
        pids: Vec::new(),
    }
}

impl<'a> Standing<'a> {
    /// Whether it must stay: somebody uses it, or nobody here knows what it is.
    pub(super) fn in_use(&self) -> bool {
        self.recorded || !self.pids.is_empty() || self.profile.is_none()
    }

    /// What is said of it where it is in the way.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        let what = self.name();
        match self.profile {
            _ if !self.in_use() => None,
            None => Some(Obstacle::UnknownProfile { what }),
            Some(_) => Some(Obstacle::InUse { what, by: self.by.clone(), pids: self.pids.clone() }),
        }
    }

    /// `3g.20gb at 4`.
    fn name(&self) -> String {
        let start = self.placement.start;
        match (self.profile, self.instance) {
            (Some(profile), _) => format!("{} at {start}", profile.name),
            (None, Some(instance)) => format!("GPU instance {} at {start}", instance.id),
            (None, None) => format!("a GPU instance at {start}"),
        }
    }

    /// How it is called, where it was made for claims and goes with them.
    pub(super) fn goes_with_claims(&self) -> Option<String> {
        self.made_for_claims.then(|| self.name())
    }

    /// What steps know it by.
    pub(super) fn named(&self) -> Option<Instance> {
        let (instance, profile) = (self.instance?, self.profile?);
        Some(Instance {
            id: instance.id,
            profile_id: instance.profile_id,
            profile: profile.name.clone(),
            placement: instance.placement,
        })
    }
}
