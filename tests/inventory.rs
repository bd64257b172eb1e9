//! The node as the driver tells of it, through the real dynamic linker.

use crate::common::library;
use crate::common::node::{self, Node};
use divvy::host::Host;
use divvy::inventory::{
    self, Capabilities, ComputeInstance, ComputeMode, Gpu, GpuInstance, Inventory, InventoryError,
    Placement, Profile, Scope, UNKNOWN_PROFILE,
};
use divvy::nvml::{Activation, Code, MigMode, NvmlError, Session, Slices};
use std::fmt::Write;
use std::fs;
use std::path::Path;

#[test]
fn a_library_that_is_not_there_is_named() {
    let error = Session::open(Some(Path::new("/nowhere/libnvidia-ml.so.1"))).unwrap_err();
    assert!(matches!(error, NvmlError::Library { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("/nowhere/libnvidia-ml.so.1") && text.contains("--nvml-library"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_no_library_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "not an ELF object").unwrap();
    let error = Session::open(Some(file.path())).unwrap_err();
    assert!(matches!(error, NvmlError::Library { .. }), "{error:?}");
}

#[test]
fn another_library_is_not_taken_for_nvml() {
    let error = Session::open(Some(Path::new("libc.so.6"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "libc.so.6 is not an NVML library: it has no function nvmlInit_v2; name the driver's libnvidia-ml.so.1"
    );
}

#[test]
fn what_initialisation_answers_is_told_apart() {
    for (raw, code, words) in [
        (9, Code::DriverNotLoaded, "modprobe nvidia"),
        (4, Code::NoPermission, "run as root"),
        (10, Code::Timeout, "try again"),
        (12345, Code::Other(12345), "NVML error 12345"),
    ] {
        let nvml = library::build(&format!("unsigned nvmlInit_v2(void) {{ return {raw}; }}"));
        let error = Session::open(Some(&nvml.path)).unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn driver_and_library_of_different_versions_are_both_named() {
    let nvml = library::build(
        "#include <string.h>
         unsigned nvmlInit_v2(void) { return 18; }
         unsigned nvmlSystemGetNVMLVersion(char *out, unsigned n) { strncpy(out, \"12.535.247.01\", n); return 0; }",
    );
    let proc = tempfile::tempdir().unwrap();
    fs::create_dir_all(proc.path().join("driver/nvidia")).unwrap();
    let version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025\n";
    fs::write(proc.path().join("driver/nvidia/version"), version).unwrap();
    let host = Host {
        nvml_library: Some(nvml.path.clone()),
        proc_root: proc.path().into(),
        ..Host::default()
    };
    let expected = NvmlError::VersionMismatch {
        driver: Some("550.163.01".into()),
        library: Some("535.247.01".into()),
    };
    assert_eq!(inventory::open(&host).unwrap_err(), expected);
}

#[test]
fn a_library_with_one_function_answers_that_it_cannot_and_closes_in_peace() {
    // No nvmlShutdown either: closing the session must not mind.
    let nvml = library::build("unsigned nvmlInit_v2(void) { return 0; }");
    let session = Session::open(Some(&nvml.path)).unwrap();
    match inventory::read(&session, Scope::Full) {
        Err(InventoryError::Nvml(error)) => {
            assert!(error.is_unsupported(), "{error}");
            assert!(error.to_string().contains("nvmlSystemGetDriverVersion"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    drop(session);
}

#[test]
fn divvy_ends_with_a_sentence_on_a_library_with_one_function() {
    let node = node::create(&["--no-nodes", "--gpu", "T4"]);
    let nvml = library::build("unsigned nvmlInit_v2(void) { return 0; }");
    let mut divvy = node.divvy();
    let output = divvy.args(["cdi", "generate"]).env("DIVVY_NVML_LIBRARY", &nvml.path).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("this driver's NVML doesn't have the function"), "{said}");
    assert!(!said.contains("panicked") && output.stdout.is_empty(), "{said}");
}

#[test]
fn a_machine_without_gpus_has_none() {
    let nvml = library::build(
        "#include <string.h>
         unsigned nvmlInit_v2(void) { return 28; }
         unsigned nvmlInitWithFlags(unsigned flags) { return flags == 1 ? 0 : 28; }
         unsigned nvmlSystemGetDriverVersion(char *out, unsigned n) { strncpy(out, \"550.163.01\", n); return 0; }
         unsigned nvmlSystemGetCudaDriverVersion(int *out) { *out = 12040; return 0; }
         unsigned nvmlDeviceGetCount_v2(unsigned *out) { *out = 0; return 0; }",
    );
    let session = Session::open(Some(&nvml.path)).unwrap();
    let inventory = inventory::read(&session, Scope::Full).unwrap();
    assert_eq!(inventory.cuda_version, (12, 4));
    assert!(inventory.gpus.is_empty() && inventory.unusable.is_empty());
}

#[test]
fn a_gpu_that_answers_nonsense_is_unusable() {
    let nvml = library::build(
        "#include <string.h>
         unsigned nvmlInit_v2(void) { return 0; }
         unsigned nvmlSystemGetDriverVersion(char *out, unsigned n) { strncpy(out, \"550.163.01\", n); return 0; }
         unsigned nvmlSystemGetCudaDriverVersion_v2(int *out) { *out = 12040; return 0; }
         unsigned nvmlDeviceGetCount_v2(unsigned *out) { *out = 1; return 0; }
         unsigned nvmlDeviceGetHandleByIndex_v2(unsigned i, void **out) { *out = (void *)8; return 0; }
         unsigned nvmlDeviceGetUUID(void *d, char *out, unsigned n) { memset(out, 'x', n); return 0; }",
    );
    let session = Session::open(Some(&nvml.path)).unwrap();
    let inventory = inventory::read(&session, Scope::Devices).unwrap();
    assert!(inventory.gpus.is_empty());
    assert!(inventory.unusable[0].says.starts_with("GPU 0: the driver gives it the UUID \"xxx"));
}

/// The boards that the simulated NVML knows.
const BOARDS: [&str; 15] = [
    "A30-24GB",
    "A100-40GB",
    "A100-80GB",
    "H100-80GB",
    "H100-94GB",
    "H100-96GB",
    "GH200-144GB",
    "H200-141GB",
    "B200-180GB",
    "GB200-186GB",
    "B300-269GB",
    "GB300-278GB",
    "RTX-PRO-6000-96GB",
    "L4",
    "T4",
];

fn node_of_all_boards(extra: &str) -> Node {
    let gpu = |(index, board): (usize, &&str)| {
        format!(
            "- {{board: {board}, uuid: GPU-{index}, minor: {index}, pci: '0000:{index:02x}:00.0'}}\n"
        )
    };
    let gpus: String = BOARDS.iter().enumerate().map(gpu).collect();
    node::describe(&format!("{extra}gpus:\n{gpus}"))
}

fn full(node: &Node) -> Inventory {
    inventory::read(&node.session(), Scope::Full).unwrap()
}

/// One line for each profile, in few words.
fn table(inventory: &Inventory) -> String {
    let mut out = String::new();
    for gpu in &inventory.gpus {
        let (major, minor) = gpu.compute_capability;
        let slices = gpu.mig.as_ref().map_or(0, |mig| mig.slices);
        let name = &gpu.name;
        writeln!(out, "{name}, {} MiB, {major}.{minor}, {slices} slices", gpu.memory_mib).unwrap();
        for profile in gpu.mig.iter().flat_map(|mig| &mig.profiles) {
            let Profile { id, name, memory_mib, multiprocessors, max_instances, .. } = profile;
            let starts: Vec<u32> = profile.placements.iter().map(|p| p.start).collect();
            let sizes: Vec<u32> = profile.compute_profiles.iter().map(|c| c.slices).collect();
            let size = profile.placements[0].size;
            writeln!(
                out,
                "  {id:>2} {name}: {memory_mib} MiB, {multiprocessors} SMs, {max_instances} at {starts:?}:{size}, {sizes:?}c"
            )
            .unwrap();
        }
    }
    out
}

#[test]
fn every_board_is_read() {
    insta::assert_snapshot!(table(&full(&node_of_all_boards(""))));
}

#[test]
fn profiles_have_the_same_names_under_drivers_that_name_none() {
    let named = full(&node_of_all_boards(""));
    let missing = "nvml: {missing: [nvmlDeviceGetGpuInstanceProfileInfoV]}\n";
    assert_eq!(table(&full(&node_of_all_boards(missing))), table(&named));
}

#[test]
fn an_older_driver_is_asked_in_the_older_way() {
    let missing = "nvml:\n  missing:\n  - nvmlInitWithFlags\n  - nvmlSystemGetCudaDriverVersion_v2\n  - nvmlDeviceGetMemoryInfo_v2\n  - nvmlDeviceGetComputeRunningProcesses_v3\n  - nvmlDeviceGetComputeRunningProcesses_v2\n  - nvmlDeviceGetMPSComputeRunningProcesses_v3\n  - nvmlDeviceGetMPSComputeRunningProcesses_v2\n";
    let old = full(&node_of_all_boards(missing));
    assert_eq!(old.unusable, []);
    assert_eq!(table(&old), table(&full(&node_of_all_boards(""))));
}

/// Two H100: one with MIG off, one with two MIG devices, in GPU instances 1 and 7.
const MIXED: &str = "
gpus:
- {board: H100-80GB, uuid: GPU-0, minor: 0, pci: '0000:1a:00.0'}
- board: H100-80GB
  uuid: GPU-1
  minor: 1
  pci: '0000:1b:00.0'
  mig: true
  mig-devices: [{profile: 3g.40gb, start: 4, gi: 1}, {profile: 1g.10gb, start: 0, gi: 7}]
";

/// The instances of a GPU as `id profile@start:size [index/id/profile]`.
fn instances(inventory: &Inventory, gpu: usize) -> Vec<String> {
    let mig = inventory.gpus[gpu].mig.as_ref().unwrap();
    let compute = |c: &ComputeInstance| format!("{}/{}/{}", c.mig_index, c.id, c.profile_id);
    let show = |gi: &GpuInstance| {
        let Placement { start, size } = gi.placement;
        let inside: Vec<_> = gi.compute_instances.iter().map(compute).collect();
        format!("{} {}@{start}:{size} {}", gi.id, gi.profile_id, inside.join(" "))
    };
    mig.instances.iter().map(show).collect()
}

#[test]
fn instances_are_read_with_their_mig_devices() {
    let node = node::describe(MIXED);
    let inventory = full(&node);
    assert!(!inventory.gpus[0].mig_enabled() && inventory.gpus[1].mig_enabled());
    assert_eq!(instances(&inventory, 1), ["1 9@4:4 0/0/2", "7 19@0:1 1/0/0"]);
    let uuids: Vec<_> = inventory.gpus[1].mig.iter().flat_map(|mig| &mig.instances).collect();
    assert!(uuids.iter().all(|gi| gi.compute_instances[0].uuid.starts_with("MIG-")));
}

#[test]
fn a_gpu_instance_without_compute_instances_is_seen() {
    let node = node::describe(MIXED);
    let session = node.session();
    let gpu = session.device(1).unwrap();
    gpu.create_gpu_instance(14, Slices { start: 2, size: 2 }).unwrap();
    let seen = instances(&inventory::read(&session, Scope::Full).unwrap(), 1);
    assert_eq!(seen, ["1 9@4:4 0/0/2", "6 14@2:2 ", "7 19@0:1 1/0/0"]);
    // A CDI spec has no use for it.
    let seen = instances(&inventory::read(&session, Scope::Devices).unwrap(), 1);
    assert_eq!(
        seen,
        [format!("1 9@4:4 0/0/{UNKNOWN_PROFILE}"), format!("7 19@0:1 1/0/{UNKNOWN_PROFILE}")]
    );
}

#[test]
fn what_devices_need_is_read_without_privilege() {
    let node = node::describe(MIXED);
    let refused = |n| format!("nvmlDeviceGetGpuInstanceById:{n}:4\n");
    node.faults(&(1..9).map(refused).collect::<String>());
    let inventory = inventory::read(&node.session(), Scope::Devices).unwrap();
    let mig = inventory.gpus[1].mig.as_ref().unwrap();
    let profiles: Vec<_> = mig.profiles.iter().map(|profile| profile.name.to_string()).collect();
    assert_eq!(profiles, ["3g.40gb", "1g.10gb"]);
    assert_eq!(mig.instances[0].profile_id, 9);
    assert_eq!(mig.instances[0].placement.size, 0);
}

#[test]
fn an_instance_is_made_found_and_destroyed_in_order() {
    let node = node::describe(MIXED);
    let session = node.session();
    let gpu = session.device_by_uuid("GPU-1").unwrap();
    let taken = gpu.create_gpu_instance(14, Slices { start: 4, size: 2 }).unwrap_err();
    assert!(taken.is(Code::InsufficientResources), "{taken}");

    let instance = gpu.create_gpu_instance(14, Slices { start: 2, size: 2 }).unwrap();
    let info = instance.info().unwrap();
    assert_eq!((info.profile_id, info.placement), (14, Slices { start: 2, size: 2 }));
    let profiles = instance.compute_instance_profiles(12).unwrap();
    let (_, whole) = profiles.iter().find(|(_, profile)| profile.slices == 2).unwrap();
    let compute = instance.create_compute_instance(whole.id).unwrap();
    let uuid = compute.mig_uuid().unwrap().unwrap();
    let device = session.device_by_uuid(&uuid).unwrap();
    assert_eq!(device.gpu_instance_id().unwrap(), info.id);

    let in_use = gpu.gpu_instance(info.id).unwrap().destroy().unwrap_err();
    assert!(in_use.is(Code::InUse), "{in_use}");
    compute.destroy().unwrap();
    instance.destroy().unwrap();
    assert!(gpu.gpu_instance(info.id).unwrap_err().is(Code::NotFound));
    assert_eq!(instances(&full(&node), 1), ["1 9@4:4 0/0/2", "7 19@0:1 1/0/0"]);
}

#[test]
fn mig_mode_says_what_became_of_it() {
    let node =
        node::create(&["--no-nodes", "--gpu", "H100-80GB", "--gpu", "A100-40GB", "--gpu", "T4"]);
    let session = node.session();
    let [hopper, ampere, turing] = [0, 1, 2].map(|index| session.device(index).unwrap());
    assert!(hopper.resetless_mig().unwrap());
    assert_eq!(hopper.set_mig_mode(true).unwrap(), Activation::Active);
    assert!(!ampere.resetless_mig().unwrap());
    assert_eq!(ampere.set_mig_mode(true).unwrap(), Activation::ResetRequired);
    let pending = MigMode { current: false, pending: true };
    assert_eq!(ampere.mig_mode().unwrap(), Some(pending));
    assert_eq!(turing.mig_mode().unwrap(), None);
    assert!(turing.set_mig_mode(true).unwrap_err().is_unsupported());
}

#[test]
fn processes_and_compute_modes_are_read() {
    let node = node::describe(MIXED);
    node.change("process", &["0", "add", "4711", "1048576"]);
    node.change("process", &["0", "add", "4712", "--kind", "graphics"]);
    node.change("process", &["1:7:0", "add", "4713"]);
    node.session().device(0).unwrap().set_compute_mode(ComputeMode::Prohibited.into()).unwrap();
    let inventory = full(&node);
    let [whole, cut] = &inventory.gpus[..] else { panic!("two GPUs") };
    assert_eq!(whole.compute_mode, ComputeMode::Prohibited);
    let pids = |gpu: &Gpu| gpu.processes.iter().map(|p| p.pid).collect::<Vec<_>>();
    assert_eq!((pids(whole), pids(cut)), (vec![4711], vec![4713]));
    assert_eq!(whole.processes[0].used_bytes, Some(1 << 20));
    let place = &cut.processes[0];
    assert_eq!((place.gpu_instance, place.compute_instance), (Some(7), Some(0)));
}

#[test]
fn one_lost_gpu_costs_the_others_nothing() {
    let node = node::create(&["--no-nodes", "--gpu", "H100-80GB:8", "--mig", "on"]);
    node.change("lose", &["3"]);
    for scope in [Scope::Devices, Scope::Full] {
        let inventory = inventory::read(&node.session(), scope).unwrap();
        let served: Vec<_> = inventory.gpus.iter().map(|gpu| gpu.index).collect();
        assert_eq!(served, [0, 1, 2, 4, 5, 6, 7]);
        assert_eq!(inventory.unusable[0].index, 3);
        let reason = &inventory.unusable[0].says;
        assert!(reason.starts_with("GPU 3: the GPU has fallen off the bus"), "{reason}");
    }
}

#[test]
fn one_profile_that_cannot_be_asked_costs_the_others_nothing() {
    let node = node::create(&["--no-nodes", "--gpu", "H100-80GB"]);
    // The second that is asked for is 2g; the fourth that is placed, by id, is another.
    node.faults("nvmlDeviceGetGpuInstanceProfileInfoV:2:999\nnvmlDeviceGetGpuInstancePossiblePlacements_v2:4:2\n");
    let inventory = full(&node);
    let profiles = &inventory.gpus[0].mig.as_ref().unwrap().profiles;
    let names: Vec<_> = profiles.iter().map(|profile| profile.name.to_string()).collect();
    assert_eq!(names, ["7g.80gb", "4g.40gb", "3g.40gb", "1g.10gb", "1g.10gb+me"]);
}

#[test]
fn two_gpus_with_one_minor_are_both_named() {
    let node = node::describe(
        "gpus:
- {board: L4, uuid: GPU-a, minor: 2, pci: '0000:1a:00.0'}
- {board: L4, uuid: GPU-b, minor: 2, pci: '0000:1b:00.0'}
",
    );
    let error = inventory::read(&node.session(), Scope::Devices).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the driver says that GPU-a and GPU-b are both /dev/nvidia2; a container would get one for the other; load the driver again"
    );
}

#[test]
fn the_driver_tells_the_capability_nodes_of_what_exists() {
    let node = node::describe(MIXED);
    let host = node.host();
    let inventory = full(&node);
    let minors = |host| {
        let capabilities = Capabilities::new(host);
        let mig = inventory.gpus[1].mig.as_ref().unwrap();
        let ask = |gi: &GpuInstance| capabilities.minors(1, gi.id, gi.compute_instances[0].id);
        mig.instances.iter().map(ask).collect::<Result<Vec<_>, _>>()
    };
    let told = minors(&host).unwrap();
    fs::remove_dir_all(host.proc("driver/nvidia/capabilities/gpu1")).unwrap();
    // The driver's table says the same.
    assert_eq!(minors(&host).unwrap(), told);
    fs::remove_file(host.proc("driver/nvidia-caps/mig-minors")).unwrap();
    let error = minors(&host).unwrap_err().to_string();
    assert!(error.contains("capabilities/gpu1/mig/gi1/access"), "{error}");
}

#[test]
fn a_node_is_read_in_few_calls() {
    let cut_up = |index: u32| {
        let seven = "{profile: 1g.10gb}, ".repeat(7);
        format!(
            "- {{board: H100-80GB, uuid: GPU-{index}, minor: {index}, pci: '0000:{index:02x}:00.0', mig: true, mig-devices: [{seven}]}}\n"
        )
    };
    let gpus: String = (0..8).map(cut_up).collect();
    let node = node::describe(&format!("gpus:\n{gpus}"));
    let calls = |scope| {
        let session = node.session();
        let before = session.calls();
        let inventory = inventory::read(&session, scope).unwrap();
        let devices: usize =
            inventory.gpus.iter().map(|gpu| gpu.mig.as_ref().unwrap().instances.len()).sum();
        assert_eq!((before, devices), (1, 56));
        session.calls() - before
    };
    // Four calls for a MIG device, two for its GPU instance, eight for a GPU, two dozen for a board.
    // NVIDIA's generator makes 1324 on such a node, and initialises four times.
    assert!(calls(Scope::Devices) <= 435);
    assert!(calls(Scope::Full) <= 578);
}

#[test]
fn sixty_four_gpus_are_read() {
    let node = node::create(&["--no-nodes", "--gpu", "A30-24GB:64"]);
    let session = node.session();
    let inventory = inventory::read(&session, Scope::Full).unwrap();
    assert_eq!(inventory.gpus.len(), 64);
    assert_eq!(inventory.gpus[63].minor, 63);
}

#[test]
fn a_slow_driver_is_waited_for() {
    let node = node::describe(
        "nvml: {init-ms: 300, call-ms: 2}
gpus: [{board: L4, uuid: GPU-a, minor: 0, pci: '0000:1a:00.0'}]
",
    );
    assert_eq!(full(&node).gpus[0].name, "NVIDIA L4");
}
