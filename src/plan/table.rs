//! What is on each GPU, as far as a plan needs it; claims that are being planned are added as it goes.

use super::placement::{Geometry, Slices, most, slices};
use super::reason::Holder;
use super::refusal::{Cause, Refusal};
use super::{DeviceRef, Node};
use crate::claim::{Claim, Device, Owner, Purpose, Step, Target};
use crate::config::{GpuPolicy, SharedDevice};
use crate::inventory::{ComputeInstance, Gpu, GpuInstance, Mig, Placement, ProfileName, Unusable};
use crate::request::{
    ComputeSlices, Interval, MigSharing, MpsLimits, Pin, Request, Requests, Share,
};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// One device that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Unit<'a> {
    /// Which of the requests it is of.
    pub(super) request: usize,
    /// Further requests that the same device serves: replicas of it in one claim.
    pub(super) more: Vec<usize>,
    pub(super) pin: Option<&'a Pin>,
    /// Whether it is asked for by the name of one of the administrator's shares.
    pub(super) named: bool,
    /// How the device is to be shared.
    pub(super) mode: Mode,
    /// The MIG device to make; `None` for a whole GPU or a MIG device that exists.
    pub(super) mig: Option<MigWant<'a>>,
    /// Whether it may join an MPS control daemon: not where several need one over all of them.
    pub(super) joins: bool,
}

/// A MIG device that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct MigWant<'a> {
    pub(super) profile: &'a ProfileName,
    pub(super) compute: Option<ComputeSlices>,
}

/// How a device is shared. The same on a GPU and on a MIG device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Exclusive,
    TimeSlicing { interval: Option<Interval> },
    Mps { limits: MpsLimits },
}

/// The devices that the requests want, one by one.
///
/// MPS sets variables for a whole container, and its clients see only what their daemon has: so MPS
/// stands alone in a claim, with the same limits throughout, and a process sees one MIG device at most.
pub(super) fn units(requests: &Requests) -> Result<Vec<Unit<'_>>, Box<Refusal>> {
    let mut units: Vec<Unit<'_>> = Vec::new();
    for (n, request) in requests.iter().enumerate() {
        let unit = unit(n, request);
        let refuse = |cause| {
            Box::new(Refusal { request: request.clone(), served: 0, cause, fits: Vec::new() })
        };
        let mps = |unit: &Unit<'_>| matches!(unit.mode, Mode::Mps { .. });
        let several = units.len() + request.count().get() > 1;
        if units.iter().any(|other| (mps(other) || mps(&unit)) && other.mode != unit.mode) {
            return Err(refuse(Cause::MixedMps));
        }
        let on_mig =
            |unit: &Unit<'_>| unit.mig.is_some() || matches!(unit.pin, Some(Pin::MigDevice(_)));
        if several && mps(&unit) && (on_mig(&unit) || units.iter().any(on_mig)) {
            return Err(refuse(Cause::SeveralMpsOnMig));
        }
        match units.iter_mut().find(|other| replicas_of_one(requests, other, request)) {
            Some(other) => other.more.push(n),
            None => units.extend(std::iter::repeat_n(unit, request.count().get())),
        }
    }
    if units.len() > 1 {
        for unit in &mut units {
            unit.joins = !matches!(unit.mode, Mode::Mps { .. });
        }
    }
    Ok(units)
}

/// Whether a request is for another replica of a device that the claim takes turns on already.
fn replicas_of_one(requests: &Requests, unit: &Unit<'_>, request: &Request) -> bool {
    let replica = |request: &Request| {
        request.alias().is_some_and(|alias| alias.resource().is_some())
            && matches!(request.share(), Share::TimeSlicing { .. })
            && request.count() == crate::request::Count::ONE
    };
    let first = requests.iter().nth(unit.request);
    first.is_some_and(|first| {
        replica(first)
            && replica(request)
            && first.share() == request.share()
            && first.pin() == request.pin()
    })
}

fn unit(n: usize, request: &Request) -> Unit<'_> {
    let (mode, mig) = match request.share() {
        Share::Exclusive => (Mode::Exclusive, None),
        Share::TimeSlicing { interval } => (Mode::TimeSlicing { interval: *interval }, None),
        Share::Mps(limits) => (Mode::Mps { limits: *limits }, None),
        Share::Mig(mig) => {
            let mode = match mig.sharing {
                MigSharing::Exclusive => Mode::Exclusive,
                MigSharing::TimeSlicing => Mode::TimeSlicing { interval: None },
                MigSharing::Mps(limits) => Mode::Mps { limits },
            };
            (mode, Some(MigWant { profile: &mig.profile, compute: mig.compute }))
        }
    };
    let named = request.alias().is_some_and(|alias| alias.resource().is_none());
    Unit { request: n, more: Vec::new(), pin: request.pin(), named, mode, mig, joins: true }
}

/// A device record on a GPU: one that there is, or one that is being planned.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) device: DeviceRef,
    pub(super) purpose: Purpose,
    /// The part of the GPU that it is, if not the whole.
    pub(super) mig: Option<HeldMig>,
    /// The other GPUs under the same MPS control daemon, counted with this one.
    pub(super) targets: usize,
    /// Whose processes the daemon serves.
    pub(super) uid: u32,
    /// Whether the compute mode was set for it.
    pub(super) exclusive_process: bool,
    pub(super) retiring: bool,
    /// Whether the driver doesn't have it any more. Its place stays taken: it could be undone there yet.
    pub(super) gone: bool,
    pub(super) holders: Vec<(Holder, MpsLimits)>,
    /// How many of the holders are the claim that is being planned.
    pub(super) own: usize,
}

/// A MIG device of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeldMig {
    pub(super) profile: ProfileName,
    pub(super) profile_id: u32,
    pub(super) placement: Placement,
    pub(super) compute_profile: Option<u32>,
    /// Its UUID, where divvy did not make it.
    pub(super) existing: Option<String>,
}

impl Held {
    /// The claims that hold it.
    pub(super) fn by(&self) -> Vec<Holder> {
        let mut by: Vec<Holder> = self.holders.iter().map(|(holder, _)| holder.clone()).collect();
        by.dedup();
        by
    }

    /// The MPS limits of its claims.
    pub(super) fn limits(&self) -> impl Iterator<Item = &MpsLimits> + Clone {
        self.holders.iter().map(|(_, limits)| limits)
    }
}

/// Slices of a GPU, of both kinds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    pub(super) memory: u32,
    pub(super) compute: u32,
}

impl Room {
    pub(super) fn and(self, other: Room) -> Room {
        Room { memory: self.memory + other.memory, compute: self.compute + other.compute }
    }
}

/// A GPU and what holds for it.
#[derive(Debug)]
pub(super) struct GpuFacts<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) policy: GpuPolicy,
    /// What of it the configuration shares.
    pub(super) shared: Vec<SharedDevice<'a>>,
    /// Index into [`Table::geometries`].
    pub(super) geometry: Option<usize>,
}

impl GpuFacts<'_> {
    /// How the configuration shares the GPU, or the MIG device of this UUID on it.
    pub(super) fn shared(&self, mig: Option<&str>) -> Option<&SharedDevice<'_>> {
        let uuid = mig.unwrap_or(&self.gpu.uuid);
        self.shared.iter().find(|one| one.unit.uuid().eq_ignore_ascii_case(uuid))
    }

    /// How many claims may take turns on the GPU, or on that MIG device.
    pub(super) fn replicas(&self, mig: Option<&str>) -> u32 {
        self.shared(mig).map_or(self.policy.replicas, |one| one.resource.replicas)
    }
}

/// All GPUs, and what is on each.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) gpus: Vec<GpuFacts<'a>>,
    /// What is on each GPU, in the order of `gpus`.
    pub(super) held: Vec<Vec<Held>>,
    pub(super) unusable: &'a [Unusable],
    pub(super) geometries: Vec<GeometryMemo>,
    pub(super) uid: u32,
    /// Driver branch 550 or later: what a client may say to its daemon is limited.
    pub(super) daemon_is_shared: bool,
    /// As (major, minor).
    pub(super) cuda_version: (u32, u32),
}

/// A geometry with what was worked out for it.
#[derive(Debug)]
pub(super) struct GeometryMemo {
    geometry: Geometry,
    worth: RefCell<BTreeMap<Slices, u64>>,
}

impl GeometryMemo {
    pub(super) fn of(mig: &Mig) -> GeometryMemo {
        GeometryMemo { geometry: Geometry::of(mig), worth: RefCell::default() }
    }

    pub(super) fn worth(&self, occupied: Slices) -> u64 {
        let count = || self.geometry.worth(occupied);
        *self.worth.borrow_mut().entry(occupied).or_insert_with(count)
    }
}

impl<'a> Table<'a> {
    pub(super) fn of(node: Node<'a>, uid: u32) -> Table<'a> {
        let mut geometries: Vec<GeometryMemo> = Vec::new();
        let mut geometry_of = |gpu: &Gpu| {
            let geometry = Geometry::of(gpu.mig.as_ref()?);
            let known = geometries.iter().position(|memo| memo.geometry == geometry);
            known.or_else(|| {
                geometries.push(GeometryMemo { geometry, worth: RefCell::default() });
                Some(geometries.len() - 1)
            })
        };
        let shared = node.config.resolve(node.inventory).shared;
        let on = |gpu: &Gpu| {
            shared.iter().filter(|one| one.unit.gpu.uuid == gpu.uuid).cloned().collect()
        };
        let gpus: Vec<GpuFacts<'a>> = (node.inventory.gpus.iter())
            .map(|gpu| GpuFacts {
                gpu,
                policy: node.config.policy(gpu),
                shared: on(gpu),
                geometry: geometry_of(gpu),
            })
            .collect();
        let held = gpus.iter().map(|facts| held_on(facts.gpu, node)).collect();
        let driver_branch =
            node.inventory.driver_version.split('.').next().and_then(|n| n.parse().ok());
        Table {
            gpus,
            held,
            unusable: &node.inventory.unusable,
            geometries,
            uid,
            daemon_is_shared: driver_branch.is_some_and(|branch: u32| branch >= 550),
            cuda_version: node.inventory.cuda_version,
        }
    }

    /// The slices of a GPU that something stands on: instances, and records whose instance is to be made.
    pub(super) fn occupied(&self, n: usize) -> Slices {
        let places = self.instances(n).iter().map(|instance| instance.placement);
        let planned = self.held_on(n).iter().filter_map(|held| held.mig.as_ref());
        let all = places.chain(planned.map(|mig| mig.placement));
        all.filter_map(slices).fold(0, |occupied, place| occupied | place)
    }

    /// The GPU instances that there are on a GPU.
    pub(super) fn instances(&self, n: usize) -> &'a [GpuInstance] {
        let mig = self.gpus.get(n).and_then(|facts| facts.gpu.mig.as_ref());
        mig.map_or(&[], |mig| &mig.instances)
    }

    /// GPU instances that no record stands for.
    pub(super) fn unclaimed(&self, n: usize) -> impl Iterator<Item = &'a GpuInstance> {
        let records = self.held_on(n).iter().filter_map(|held| held.mig.as_ref());
        let placed: Vec<Placement> = records.map(|mig| mig.placement).collect();
        self.instances(n).iter().filter(move |instance| !placed.contains(&instance.placement))
    }

    pub(super) fn held_on(&self, n: usize) -> &[Held] {
        self.held.get(n).map_or(&[], Vec::as_slice)
    }

    /// How many more of a profile a GPU could hold at most.
    pub(super) fn room_for(&self, n: usize, profile: &ProfileName) -> usize {
        let mig = self.gpus.get(n).and_then(|facts| facts.gpu.mig.as_ref());
        let alike = mig.and_then(|mig| mig.profiles.iter().find(|p| p.name == *profile));
        let Some(profile) = alike else { return 0 };
        let mut places: Vec<Placement> = profile.placements.clone();
        places.sort_unstable_by_key(|place| place.start + place.size);
        let places: Vec<Slices> = places.into_iter().filter_map(slices).collect();
        most(&places, self.occupied(n)) as usize
    }

    /// The slices that nothing stands on yet.
    pub(super) fn room_left(&self, n: usize) -> Room {
        let Some(mig) = self.gpus.get(n).and_then(|facts| facts.gpu.mig.as_ref()) else {
            return Room::default();
        };
        let all = mig.profiles.iter().map(|profile| profile.name.slices).max().unwrap_or(0);
        let compute = |id: u32| mig.profiles.iter().find(|p| p.id == id).map(|p| p.name.slices);
        let taken: u32 = self.standing(n).iter().filter_map(|(_, id)| compute(*id)).sum();
        let memory = mig.slices.saturating_sub(self.occupied(n).count_ones());
        Room { memory, compute: all.saturating_sub(taken) }
    }

    /// The slices that a MIG device of that name takes at least, over all boards that have it.
    pub(super) fn least_room(&self, profile: &ProfileName) -> Room {
        let profiles = self.gpus.iter().flat_map(|f| &f.gpu.mig).flat_map(|mig| &mig.profiles);
        let alike = profiles.filter(|known| known.name == *profile);
        let memory = alike.flat_map(|known| &known.placements).map(|place| place.size).min();
        Room { memory: memory.unwrap_or(0), compute: profile.slices }
    }

    /// The placements and profile ids of everything that stands on a GPU or is planned there.
    pub(super) fn standing(&self, n: usize) -> Vec<(Placement, u32)> {
        let instances = self.instances(n).iter().map(|gi| (gi.placement, gi.profile_id));
        let mut standing: Vec<(Placement, u32)> = instances.collect();
        for mig in self.held_on(n).iter().filter_map(|held| held.mig.as_ref()) {
            if !standing.iter().any(|(placement, _)| *placement == mig.placement) {
                standing.push((mig.placement, mig.profile_id));
            }
        }
        standing
    }

    /// Whether MIG devices can be made on a GPU without anything else: the mode is on, or a record turns it on.
    pub(super) fn mig_on(&self, n: usize) -> bool {
        let enabled = self.gpus.get(n).is_some_and(|facts| facts.gpu.mig_enabled());
        enabled || self.held_on(n).iter().any(|held| held.purpose == Purpose::MigMode)
    }
}

/// The records on a GPU, with the claims that name them.
pub(super) fn held_on(gpu: &Gpu, node: Node<'_>) -> Vec<Held> {
    let on_it = |device: &&Device| device.on_gpu(&gpu.uuid);
    let devices = node.devices.iter().filter(on_it);
    devices
        .flat_map(|device| {
            let targets = device.targets.iter().filter(|target| target.gpu == gpu.uuid);
            let gone = !device.lost(node.inventory).is_empty();
            targets.map(move |target| Held { gone, ..held(device, target, node.claims) })
        })
        .collect()
}

fn held(device: &Device, target: &Target, claims: &[Claim]) -> Held {
    let steps = || device.steps.iter().map(|entry| &entry.step);
    let uid = steps().find_map(|step| match step {
        Step::StartMps { uid, .. } => Some(*uid),
        _ => None,
    });
    let profile_id = steps().find_map(|step| match step {
        Step::CreateGpuInstance { profile_id, .. } => Some(*profile_id),
        _ => None,
    });
    let compute_profile = steps().find_map(|step| match step {
        Step::CreateComputeInstance { profile_id, .. } => Some(*profile_id),
        _ => None,
    });
    let holds = match (&device.purpose, &target.mig) {
        (_, Some(mig)) => mig.profile.to_string(),
        (Purpose::Exclusive, None) => "exclusive".to_owned(),
        (Purpose::TimeSlicing { .. }, None) => "time-slicing".to_owned(),
        (Purpose::Mps, None) => "mps".to_owned(),
        (Purpose::MigMode, None) => "MIG mode".to_owned(),
    };
    // One share for each claim: over several GPUs it names the record once for each. Only of turns a claim
    // may have several.
    let several = matches!(device.purpose, Purpose::TimeSlicing { .. });
    let holders = claims.iter().flat_map(|claim| {
        let parts = claim.parts.iter().filter(|part| part.device == device.id);
        let parts = parts.take(if several { usize::MAX } else { 1 });
        parts.map(|part| (holder(claim, &holds), part.limits))
    });
    Held {
        device: DeviceRef::Join(device.id.clone()),
        purpose: device.purpose,
        mig: target.mig.as_ref().map(|mig| HeldMig {
            profile: mig.profile.clone(),
            profile_id: profile_id.unwrap_or(u32::MAX),
            placement: mig.placement,
            compute_profile,
            existing: mig.existing.clone(),
        }),
        targets: device.targets.len(),
        uid: uid.unwrap_or(0),
        exclusive_process: steps().any(|step| matches!(step, Step::SetExclusiveProcess { .. })),
        retiring: device.retiring,
        gone: false,
        holders: holders.collect(),
        own: 0,
    }
}

fn holder(claim: &Claim, holds: &str) -> Holder {
    let container = match &claim.owner {
        Owner::Container { container, .. } => Some(container.id.clone()),
        Owner::Caller | Owner::Start { .. } => None,
    };
    Holder { claim: claim.id.to_string(), container, holds: holds.to_owned() }
}

/// The MIG device of that UUID on a GPU, as (instance, compute instance).
pub(super) fn mig_device<'a>(
    gpu: &'a Gpu,
    pin: &Pin,
) -> Option<(&'a GpuInstance, &'a ComputeInstance)> {
    let uuid = pin.to_string();
    let instances = gpu.mig.iter().flat_map(|mig| &mig.instances);
    let mut devices = instances.flat_map(|gi| gi.compute_instances.iter().map(move |ci| (gi, ci)));
    devices.find(|(_, ci)| ci.uuid.eq_ignore_ascii_case(&uuid))
}
