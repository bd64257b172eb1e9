use super::*;
use crate::claim::tests::{claim, device};
use crate::claim::{ContainerRef, MigTarget, Part, Target};
use crate::config::{Enforced, Level};
use crate::host::ProcessRef;
use crate::inventory::{
    ComputeInstance, Gpu, GpuInstance, Mig, Placement, Process, ProfileName, Unusable,
};
use crate::plan::tests::boards;
use crate::request::{MpsLimits, Requests};
use std::time::Duration;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const PROCESS: ProcessRef = ProcessRef { pid: 100, start_time: 1, pid_namespace: 1 };

fn process(pid: u32, mib: Option<u64>, instance: Option<u32>) -> Process {
    let used_bytes = mib.map(|mib| mib << 20);
    Process { pid, used_bytes, gpu_instance: instance, compute_instance: instance.map(|_| 0) }
}

fn gpu(index: u32, processes: Vec<Process>) -> Gpu {
    let board = boards::h100s_without_mig(1).gpus.remove(0);
    Gpu { index, uuid: format!("GPU-{index}"), mig: None, processes, ..board }
}

/// A claim on a device of its own.
fn hold(
    seen: &mut Seen,
    id: &str,
    request: &str,
    owner: Owner,
    (purpose, targets): (Purpose, Vec<Target>),
) {
    let record = Device { purpose, targets, steps: Vec::new(), ..device(id) };
    share(seen, id, request, owner, &record.id.clone());
    seen.devices.push(record);
}

/// A claim on a device that is there.
fn share(seen: &mut Seen, id: &str, request: &str, owner: Owner, device: &DeviceId) {
    let enforced = Enforced { memory: Level::No, compute: Level::No };
    let part = Part { request: 0, device: device.clone(), limits: MpsLimits::default(), enforced };
    seen.claims.push(Claim {
        requests: Requests::from_texts([request]).unwrap(),
        parts: vec![part],
        ..claim(id, Phase::Granted, owner)
    });
}

fn whole(gpu: u32) -> Vec<Target> {
    vec![Target { gpu: format!("GPU-{gpu}"), mig: None }]
}

fn in_container(id: &str, cgroup: Option<&str>) -> Owner {
    let container = ContainerRef { id: id.into(), bundle: "/run/bundle".into() };
    let cgroup = cgroup.map(|folder| Cgroup { folder: folder.into() });
    Owner::Container { container, process: PROCESS, cgroup }
}

/// The samples of a family, a line each.
fn lines(seen: &Seen, family: &str) -> Vec<String> {
    let text = Metrics::of(seen).text(Format::OpenMetrics);
    let lines = text.lines().filter(|line| line.starts_with(&format!("{family}{{")));
    lines.map(|line| line[family.len()..].to_owned()).collect()
}

fn seen(gpus: Vec<Gpu>) -> Seen {
    let inventory = Inventory { driver_version: "550.163.01".into(), gpus, ..Inventory::default() };
    Seen { inventory: Some(inventory), uptime_ms: 61_500, ..Seen::default() }
}

fn cgroups(list: &[(u32, &str)]) -> BTreeMap<u32, Cgroup> {
    list.iter().map(|(pid, folder)| (*pid, Cgroup { folder: (*folder).into() })).collect()
}

#[test]
fn processes_that_take_turns_are_told_apart_by_their_cgroups() {
    let processes = [(101, 512), (102, 256), (201, 128), (301, 64), (401, 32)];
    let processes = processes.map(|(pid, mib)| process(pid, Some(mib), None)).to_vec();
    let mut seen = seen(vec![gpu(0, processes)]);
    let purpose = Purpose::TimeSlicing { interval: None };
    hold(&mut seen, "a", "time-slicing", in_container("ctr-a", Some("/cg/a")), (purpose, whole(0)));
    let device = seen.devices[0].id.clone();
    share(&mut seen, "b", "time-slicing", Owner::Caller, &device);
    let other = format!("/cg/docker-{ID}.scope");
    // 101 and 102 are in the container of claim a, one of them in a folder of its own; 201 is in a container that
    // has no claim of its own; 301 is on the host, 401 in no cgroup.
    seen.cgroups = cgroups(&[(101, "/cg/a"), (102, "/cg/a/b"), (201, &other), (301, "/cg/user")]);
    let used = |pid, multiprocessors| Utilization {
        pid,
        multiprocessors,
        memory: 1,
        ..Default::default()
    };
    seen.utilization.insert("GPU-0".into(), vec![used(101, 40), used(102, 35), used(301, 9)]);
    let a = "container=\"ctr-a\",claim=\"a\",gpu=\"GPU-0\",mig=\"\",mode=\"time-slicing\"";
    let none =
        format!("container=\"{ID}\",claim=\"\",gpu=\"GPU-0\",mig=\"\",mode=\"time-slicing\"");
    assert_eq!(
        lines(&seen, "divvy_container_memory_bytes"),
        [format!("{{{none}}} {}", 128 << 20), format!("{{{a}}} {}", 768 << 20)]
    );
    let utilization = lines(&seen, "divvy_container_utilization_ratio");
    assert!(
        utilization.contains(&format!("{{{a},of=\"multiprocessors\"}} 0.75")),
        "{utilization:?}"
    );
    assert!(
        utilization.contains(&format!("{{{none},of=\"multiprocessors\"}} 0.0")),
        "{utilization:?}"
    );
    let nobody = "gpu=\"GPU-0\",mig=\"\",kind=\"unclaimed\"";
    assert_eq!(lines(&seen, "divvy_other_processes"), [format!("{{{nobody}}} 2")]);
    assert_eq!(lines(&seen, "divvy_other_memory_bytes"), [format!("{{{nobody}}} {}", 96 << 20)]);
}

#[test]
fn a_container_is_known_by_its_id_or_its_first_process_too() {
    let mut seen = seen(vec![gpu(0, vec![process(100, None, None), process(7, Some(1), None)])]);
    let purpose = Purpose::TimeSlicing { interval: None };
    hold(&mut seen, "a", "time-slicing", in_container(ID, None), (purpose, whole(0)));
    seen.cgroups = cgroups(&[(7, &format!("/cg/machine.slice/libpod-{ID}.scope/container"))]);
    assert_eq!(lines(&seen, "divvy_container_processes").len(), 1);
    assert!(lines(&seen, "divvy_container_processes")[0].ends_with(" 2"));
    // Of one of them the driver doesn't tell the memory.
    assert!(lines(&seen, "divvy_container_memory_bytes")[0].ends_with(" 1048576"));
    // No driver measured: that isn't idleness.
    assert!(lines(&seen, "divvy_container_utilization_ratio").is_empty());
}

#[test]
fn a_claim_without_a_container_is_known_by_a_device_that_is_its_alone() {
    let mut seen = seen(vec![
        gpu(0, vec![process(11, Some(1), None)]),
        gpu(1, vec![process(12, Some(1), None)]),
    ]);
    hold(&mut seen, "job", "exclusive", Owner::Caller, (Purpose::Exclusive, whole(0)));
    let turns = Purpose::TimeSlicing { interval: None };
    hold(&mut seen, "turn", "time-slicing", Owner::Caller, (turns, whole(1)));
    let known = "container=\"\",claim=\"job\",gpu=\"GPU-0\",mig=\"\",mode=\"exclusive\"";
    assert_eq!(lines(&seen, "divvy_container_processes"), [format!("{{{known}}} 1")]);
    // Anybody may take turns: a process on the host is nobody's, one in a container the only claim's.
    assert_eq!(lines(&seen, "divvy_other_processes").len(), 1);
    seen.cgroups = cgroups(&[(12, &format!("/cg/docker/{ID}"))]);
    let turn =
        format!("container=\"{ID}\",claim=\"turn\",gpu=\"GPU-1\",mig=\"\",mode=\"time-slicing\"");
    assert!(lines(&seen, "divvy_container_processes").contains(&format!("{{{turn}}} 1")));
    assert!(lines(&seen, "divvy_other_processes").is_empty());
}

/// Two containers under one control daemon.
fn under_mps(listed: Vec<Process>) -> Seen {
    let mut seen = seen(vec![gpu(0, listed)]);
    hold(
        &mut seen,
        "a",
        "mps:threads=50",
        in_container("ctr-a", Some("/cg/a")),
        (Purpose::Mps, whole(0)),
    );
    let device = seen.devices[0].id.clone();
    let Owner::Container { container, cgroup, .. } = in_container("ctr-b", Some("/cg/b")) else {
        unreachable!()
    };
    let process = ProcessRef { pid: 200, ..PROCESS };
    share(
        &mut seen,
        "b",
        "mps:threads=50",
        Owner::Container { container, process, cgroup },
        &device,
    );
    seen.cgroups = cgroups(&[(101, "/cg/a"), (102, "/cg/a"), (201, "/cg/b"), (900, "/cg/mps")]);
    seen.daemons = vec![Daemon { device, clients: Some(vec![101, 102, 201]), servers: vec![900] }];
    seen
}

#[test]
fn under_mps_the_driver_lists_clients_with_their_memory() {
    let listed = [(101, 100), (102, 100), (201, 50), (900, 30)];
    let seen = under_mps(listed.map(|(pid, mib)| process(pid, Some(mib), None)).to_vec());
    let labels = |name| {
        format!("{{container=\"ctr-{name}\",claim=\"{name}\",gpu=\"GPU-0\",mig=\"\",mode=\"mps\"}}")
    };
    assert_eq!(
        lines(&seen, "divvy_container_memory_bytes"),
        [format!("{} {}", labels("a"), 200 << 20), format!("{} {}", labels("b"), 50 << 20)]
    );
    // Samples of the server alone say nothing of its clients; one of a client says that the others were idle.
    let mut measured = seen.clone();
    let busy = |pid| Utilization { pid, multiprocessors: 60, ..Default::default() };
    measured.utilization.insert("GPU-0".into(), vec![busy(900)]);
    assert!(lines(&measured, "divvy_container_utilization_ratio").is_empty());
    measured.utilization.insert("GPU-0".into(), vec![busy(900), busy(101)]);
    let ratios = lines(&measured, "divvy_container_utilization_ratio");
    let of = |name: &str| {
        let line =
            ratios.iter().find(|line| line.contains(name) && line.contains("\"multiprocessors"));
        line.unwrap().rsplit_once(' ').unwrap().1.to_owned()
    };
    assert_eq!((of("ctr-a").as_str(), of("ctr-b").as_str()), ("0.6", "0.0"));
    let server = "{gpu=\"GPU-0\",mig=\"\",kind=\"mps-server\"}";
    assert_eq!(lines(&seen, "divvy_other_memory_bytes"), [format!("{server} {}", 30 << 20)]);
    assert_eq!(lines(&seen, "divvy_mps_clients").len(), 1);
    assert!(lines(&seen, "divvy_mps_daemon_up")[0].ends_with(" 1"));
}

#[test]
fn under_mps_before_volta_the_driver_lists_the_server_alone() {
    let seen = under_mps(vec![process(900, Some(280), None)]);
    let processes = lines(&seen, "divvy_container_processes");
    assert!(processes[0].contains("ctr-a") && processes[0].ends_with(" 2"), "{processes:?}");
    assert!(processes[1].contains("ctr-b") && processes[1].ends_with(" 1"), "{processes:?}");
    // How much of the server's memory and work is whose, nobody knows.
    let mut seen = seen;
    let server = Utilization { pid: 900, multiprocessors: 80, ..Default::default() };
    seen.utilization.insert("GPU-0".into(), vec![server]);
    assert!(lines(&seen, "divvy_container_utilization_ratio").is_empty());
    assert!(lines(&seen, "divvy_container_memory_bytes").is_empty());
    assert!(lines(&seen, "divvy_other_memory_bytes")[0].contains("mps-server"));
}

#[test]
fn a_daemon_that_does_not_answer_is_down() {
    let mut seen = under_mps(Vec::new());
    seen.daemons[0].clients = None;
    assert!(lines(&seen, "divvy_mps_daemon_up")[0].ends_with(" 0"));
    assert!(lines(&seen, "divvy_mps_clients").is_empty());
    seen.daemons.clear();
    assert!(lines(&seen, "divvy_mps_daemon_up")[0].ends_with(" 0"));
}

/// A GPU with a claimed 3g.20gb, a foreign 1g.5gb, and a claim that is about to make a 2g.10gb.
fn cut() -> Seen {
    let [geometry, ..] = boards::geometries();
    let instance = |id, profile_id, start, size| GpuInstance {
        id,
        profile_id,
        placement: Placement { start, size },
        compute_instances: vec![ComputeInstance {
            id: 0,
            profile_id: 0,
            uuid: format!("MIG-{id}"),
            mig_index: id,
        }],
    };
    let instances = vec![instance(1, 9, 4, 4), instance(7, 19, 0, 1)];
    let mig = Mig { enabled: true, pending: true, instances, ..geometry };
    let processes = vec![process(101, Some(5), Some(1)), process(102, Some(6), Some(7))];
    let mut seen = seen(vec![Gpu { mig: Some(mig), ..gpu(0, processes) }]);
    let target = |profile: &str, start, size| {
        let profile = ProfileName::parse(profile).unwrap();
        let placement = Placement { start, size };
        vec![Target {
            gpu: "GPU-0".into(),
            mig: Some(MigTarget { profile, placement, existing: None }),
        }]
    };
    let held = (Purpose::Exclusive, target("3g.20gb", 4, 4));
    hold(&mut seen, "m", "mig:3g.20gb", Owner::Caller, held);
    hold(
        &mut seen,
        "p",
        "mig:2g.10gb",
        Owner::Caller,
        (Purpose::Exclusive, target("2g.10gb", 2, 2)),
    );
    seen.claims[1].phase = Phase::Intent;
    seen
}

#[test]
fn slices_and_room_count_what_claims_are_about_to_make() {
    let seen = cut();
    assert_eq!(
        lines(&seen, "divvy_mig_slices"),
        ["{gpu=\"GPU-0\",state=\"used\"} 7", "{gpu=\"GPU-0\",state=\"free\"} 1"]
    );
    assert_eq!(
        lines(&seen, "divvy_mig_instances"),
        [
            "{gpu=\"GPU-0\",profile=\"1g.5gb\",claimed=\"false\"} 1",
            "{gpu=\"GPU-0\",profile=\"3g.20gb\",claimed=\"true\"} 1"
        ]
    );
    let largest = lines(&seen, "divvy_mig_largest_placeable_bytes");
    assert!(largest[0].starts_with("{gpu=\"GPU-0\",profile=\"1g.5gb"), "{largest:?}");
    let known = "container=\"\",claim=\"m\",gpu=\"GPU-0\",mig=\"MIG-1\",mode=\"mig\"";
    assert_eq!(lines(&seen, "divvy_container_processes"), [format!("{{{known}}} 1")]);
    let foreign = "gpu=\"GPU-0\",mig=\"MIG-7\",kind=\"unclaimed\"";
    assert_eq!(lines(&seen, "divvy_other_processes"), [format!("{{{foreign}}} 1")]);
}

#[test]
fn a_full_gpu_has_room_for_nothing() {
    let mut seen = cut();
    let inventory = seen.inventory.as_mut().unwrap();
    let mig = inventory.gpus[0].mig.as_mut().unwrap();
    mig.instances[0].profile_id = 0;
    mig.instances[0].placement = Placement { start: 0, size: 8 };
    let largest = lines(&seen, "divvy_mig_largest_placeable_bytes");
    assert_eq!(largest, ["{gpu=\"GPU-0\",profile=\"\"} 0"]);
}

#[test]
fn hostile_labels_stay_in_their_quotes() {
    let mut seen = seen(vec![gpu(0, vec![process(100, Some(1), None)])]);
    let owner = in_container("a\"} 1\n# EOF\\", None);
    hold(&mut seen, "x", "exclusive", owner, (Purpose::Exclusive, whole(0)));
    let processes = lines(&seen, "divvy_container_processes");
    assert_eq!(processes.len(), 1);
    assert!(
        processes[0].starts_with("{container=\"a\\\"} 1\\n# EOF\\\\\",claim=\"x\""),
        "{processes:?}"
    );
}

/// A node with something of everything.
fn everything() -> Seen {
    let mut seen = under_mps(vec![process(101, Some(100), None), process(900, Some(30), None)]);
    let other = cut();
    let inventory = seen.inventory.as_mut().unwrap();
    let mut second = other.inventory.unwrap().gpus.remove(0);
    second.uuid = "GPU-1".into();
    inventory.gpus.push(second);
    inventory.unusable.push(Unusable { index: 2, says: "it is lost".into() });
    seen.utilization.insert("GPU-0".into(), Vec::new());
    let mut history = History::default();
    history.refusals.insert("no-placement".into(), 3);
    seen.history = history;
    seen.refusals_kept = 2;
    let (_dir, host) = state();
    let took = Duration::from_millis(1500);
    crate::history::count(&host, crate::history::Event::Prepared { mode: SharingMode::Mig, took });
    crate::history::count(&host, crate::history::Event::Released { mode: SharingMode::Mig, took });
    let counted = History::read(&host);
    seen.history.prepares = counted.prepares;
    seen.history.releases = counted.releases;
    seen
}

fn state() -> (tempfile::TempDir, crate::host::Host) {
    let dir = tempfile::tempdir().unwrap();
    let host = crate::host::Host { state_dir: dir.path().to_owned(), ..Default::default() };
    (dir, host)
}

#[test]
fn both_formats_are_as_they_were() {
    let metrics = Metrics::of(&everything());
    insta::assert_snapshot!("openmetrics", metrics.text(Format::OpenMetrics));
    insta::assert_snapshot!("prometheus", metrics.text(Format::Prometheus));
}

#[test]
fn every_family_has_a_sample_with_all_of_its_labels() {
    let metrics = Metrics::of(&everything());
    for family in FAMILIES {
        let samples = metrics.samples.get(family.name).unwrap_or_else(|| panic!("{}", family.name));
        assert!(samples.iter().all(|sample| sample.labels.len() == family.labels.len()));
        assert!(!family.help.contains(['"', '\\', '\n']), "{}", family.name);
        assert!(family.unit.is_empty() || family.name.ends_with(&format!("_{}", family.unit)));
    }
    assert_eq!(metrics.samples.len(), FAMILIES.len());
}

#[test]
fn without_a_driver_there_are_the_records() {
    let mut seen = everything();
    seen.inventory = None;
    let text = Metrics::of(&seen).text(Format::OpenMetrics);
    assert!(text.contains("divvy_driver_up 0\n") && text.contains("divvy_mps_daemon_up{"));
    assert!(!text.contains("divvy_gpu_info") && text.ends_with("# EOF\n"));
}
