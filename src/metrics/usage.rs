//! Who uses how much of a GPU: processes joined to containers and claims.
//!
//! A process belongs to the claim whose container's cgroup it is in; else to the container that its cgroup names.
//! A claim of `divvy prepare` knows no container: its processes are known by the device, where nobody else holds it.
//!
//! Under MPS the driver lists each client with its own memory where GPUs have Volta's MPS (nvidia-smi's type M+C), and
//! the server with what it keeps for itself, some 30 MiB. Before Volta it lists the server alone, with the memory of
//! all: then the control daemon tells who its clients are, and how much each has is known to nobody.

use super::family;
use super::{Metrics, Seen, Value};
use crate::claim::{Claim, ContainerRef, Device, Owner, Purpose, Target};
use crate::inventory::{Gpu, Inventory, Utilization};
use crate::request::SharingMode;
use std::collections::BTreeMap;

/// A process on a GPU, or on a MIG device of it.
struct OnGpu<'a> {
    gpu: &'a Gpu,
    /// The MIG device's UUID, and the GPU instance's id.
    mig: Option<(&'a str, u32)>,
    pid: u32,
    bytes: Option<u64>,
    /// The driver lists it, and not only its control daemon.
    listed: bool,
}

/// Whose it is: container, claim, GPU, MIG device, mode.
type Whose = (String, String, String, String, &'static str);
/// No container's and no claim's: GPU, MIG device, and what kind of process.
type Other = (String, String, &'static str);

#[derive(Default)]
struct Use {
    processes: u64,
    bytes: Option<u64>,
    /// `None` where the driver doesn't measure.
    utilization: Option<[u64; 4]>,
}

const OF: [&str; 4] = ["multiprocessors", "memory", "encoder", "decoder"];

pub(super) fn put(metrics: &mut Metrics, inventory: &Inventory, seen: &Seen) {
    let mut held: BTreeMap<Whose, Use> = BTreeMap::new();
    let mut others: BTreeMap<Other, Use> = BTreeMap::new();
    for process in inventory.gpus.iter().flat_map(|gpu| processes(gpu, seen)) {
        let gpu = process.gpu.uuid.clone();
        let mig = process.mig.map_or("", |(uuid, _)| uuid).to_owned();
        let share = match owner(&process, seen) {
            Holder::Claim(claim, container) => {
                let mode = mode(&process, claim, seen);
                let claim = claim.map(|claim| claim.id.to_string()).unwrap_or_default();
                held.entry((container, claim, gpu, mig, mode)).or_default()
            }
            Holder::MpsServer => others.entry((gpu, mig, "mps-server")).or_default(),
            Holder::Nobody => others.entry((gpu, mig, "unclaimed")).or_default(),
        };
        share.add(&process, samples(&process, seen));
    }
    for ((container, claim, gpu, mig, mode), share) in &held {
        put_held(metrics, &[container, claim, gpu, mig, mode], share);
    }
    for ((gpu, mig, kind), share) in &others {
        metrics.whole(&family::OTHER_PROCESSES, &[gpu, mig, kind], share.processes);
        if let Some(bytes) = share.bytes {
            metrics.whole(&family::OTHER_MEMORY, &[gpu, mig, kind], bytes);
        }
    }
}

fn put_held(metrics: &mut Metrics, labels: &[&str; 5], share: &Use) {
    metrics.whole(&family::CONTAINER_PROCESSES, labels, share.processes);
    if let Some(bytes) = share.bytes {
        metrics.whole(&family::CONTAINER_MEMORY, labels, bytes);
    }
    for (of, percent) in OF.iter().zip(share.utilization.iter().flatten()) {
        let labels: Vec<&str> = labels.iter().copied().chain([*of]).collect();
        let ratio = *percent as f64 / 100.0;
        metrics.put(&family::CONTAINER_UTILIZATION, &labels, Value::Real(ratio));
    }
}

impl Use {
    fn add(&mut self, process: &OnGpu<'_>, utilization: Option<&Vec<Utilization>>) {
        self.processes += 1;
        if let Some(bytes) = process.bytes {
            self.bytes = Some(self.bytes.unwrap_or(0) + bytes);
        }
        let Some(samples) = utilization else { return };
        let idle = Utilization::default();
        let used = samples.iter().find(|used| used.pid == process.pid).unwrap_or(&idle);
        let now = [used.multiprocessors, used.memory, used.encoder, used.decoder];
        let sum = self.utilization.get_or_insert([0; 4]);
        for (sum, now) in sum.iter_mut().zip(now) {
            *sum += u64::from(now);
        }
    }
}

/// The processes on a GPU: those that the driver lists, and clients that only the control daemon knows.
fn processes<'a>(gpu: &'a Gpu, seen: &Seen) -> Vec<OnGpu<'a>> {
    let mut found: Vec<OnGpu<'a>> = gpu
        .processes
        .iter()
        .map(|process| OnGpu {
            gpu,
            mig: process.gpu_instance.and_then(|gi| mig_device(gpu, gi, process.compute_instance)),
            pid: process.pid,
            bytes: process.used_bytes,
            listed: true,
        })
        .collect();
    for daemon in &seen.daemons {
        // Which of several devices a client of their daemon uses, the daemon doesn't tell.
        let device = seen.devices.iter().find(|device| device.id == daemon.device);
        let Some([target]) = device.map(|device| &device.targets[..]) else { continue };
        if target.gpu != gpu.uuid {
            continue;
        }
        for pid in daemon.clients.iter().flatten() {
            if !found.iter().any(|known| known.pid == *pid) {
                found.push(OnGpu {
                    gpu,
                    mig: target_device(gpu, target),
                    pid: *pid,
                    bytes: None,
                    listed: false,
                });
            }
        }
    }
    found
}

fn mig_device(gpu: &Gpu, instance: u32, compute: Option<u32>) -> Option<(&str, u32)> {
    let found = gpu.mig.as_ref()?.instances.iter().find(|one| one.id == instance)?;
    let device = found.compute_instances.iter().find(|one| Some(one.id) == compute)?;
    Some((&device.uuid, instance))
}

/// The MIG device that stands where a record's target stands.
fn target_device<'a>(gpu: &'a Gpu, target: &Target) -> Option<(&'a str, u32)> {
    let place = target.mig.as_ref()?.placement;
    let found = gpu.mig.as_ref()?.instances.iter().find(|one| one.placement == place)?;
    Some((&found.compute_instances.first()?.uuid, found.id))
}

/// What was measured on the process's GPU, where that says something of the process. Whether a driver counts the work of
/// MPS clients as theirs or as their server's isn't written anywhere: where it has a sample of a server and of no client,
/// it is the server's, and of clients nothing is known.
fn samples<'a>(process: &OnGpu<'_>, seen: &'a Seen) -> Option<&'a Vec<Utilization>> {
    let samples = seen.utilization.get(&process.gpu.uuid)?;
    let client = |pid: &u32| {
        seen.daemons.iter().any(|daemon| daemon.clients.iter().flatten().any(|c| c == pid))
    };
    let server = |pid: &u32| seen.daemons.iter().any(|daemon| daemon.servers.contains(pid));
    let of_servers = samples.iter().any(|used| server(&used.pid));
    let of_clients = samples.iter().any(|used| client(&used.pid));
    let told = !client(&process.pid) || of_clients || !of_servers;
    (process.listed && told).then_some(samples)
}

enum Holder<'a> {
    /// A claim's where one is known, with the container's id where one is known: never neither.
    Claim(Option<&'a Claim>, String),
    MpsServer,
    Nobody,
}

fn owner<'a>(process: &OnGpu<'_>, seen: &'a Seen) -> Holder<'a> {
    if seen.daemons.iter().any(|daemon| daemon.servers.contains(&process.pid)) {
        return Holder::MpsServer;
    }
    let cgroup = seen.cgroups.get(&process.pid);
    let named = cgroup.and_then(crate::host::Cgroup::container);
    let of_container = seen.claims.iter().find_map(|claim| {
        let Owner::Container { container, process: first, cgroup: own } = &claim.owner else {
            return None;
        };
        let inside = own.as_ref().zip(cgroup).is_some_and(|(own, its)| its.within(own));
        let same = inside || named.as_ref() == Some(&container.id) || first.pid == process.pid;
        same.then_some((claim, container))
    });
    if let Some((claim, ContainerRef { id, .. })) = of_container {
        return Holder::Claim(Some(claim), id.clone());
    }
    match (alone(process, seen), named) {
        (None, None) => Holder::Nobody,
        (claim, named) => Holder::Claim(claim, named.unwrap_or_default()),
    }
}

/// The claim of `divvy prepare` that alone holds the process's device. Beside a mode that lets others in, a process
/// outside containers may be anybody's.
fn alone<'a>(process: &OnGpu<'_>, seen: &'a Seen) -> Option<&'a Claim> {
    let device = seen.devices.iter().find(|device| is_on(process, device))?;
    let mut holders = seen.claims.iter().filter(|claim| claim.holds(&device.id));
    let (first, second) = (holders.next()?, holders.next());
    let in_container =
        || seen.cgroups.get(&process.pid).is_some_and(|cgroup| cgroup.container().is_some());
    let certain = device.purpose == Purpose::Exclusive || in_container();
    let by_device = !matches!(first.owner, Owner::Container { .. });
    (second.is_none() && certain && by_device).then_some(first)
}

fn is_on(process: &OnGpu<'_>, device: &Device) -> bool {
    let here = |target: &Target| match (&target.mig, process.mig) {
        (None, None) => target.gpu == process.gpu.uuid,
        (Some(_), Some((uuid, _))) => {
            target.gpu == process.gpu.uuid
                && target_device(process.gpu, target).is_some_and(|(there, _)| there == uuid)
        }
        _ => false,
    };
    device.purpose != Purpose::MigMode && device.targets.iter().any(here)
}

/// How the claim shares the device; without a claim, how the device is shared.
fn mode(process: &OnGpu<'_>, claim: Option<&Claim>, seen: &Seen) -> &'static str {
    let devices = seen.devices.iter().filter(|device| is_on(process, device));
    let held = devices.into_iter().find(|device| claim.is_none_or(|claim| claim.holds(&device.id)));
    let Some(device) = held else { return "" };
    let mode = match (device.purpose, process.mig.is_some()) {
        (Purpose::MigMode, _) => return "",
        (Purpose::Exclusive, false) => SharingMode::Exclusive,
        (Purpose::TimeSlicing { .. }, false) => SharingMode::TimeSlicing,
        (Purpose::Mps, false) => SharingMode::Mps,
        (Purpose::Exclusive, true) => SharingMode::Mig,
        (Purpose::TimeSlicing { .. }, true) => SharingMode::MigTimeSlicing,
        (Purpose::Mps, true) => SharingMode::MigMps,
    };
    mode.word()
}
