//! The C interface, by NVML's own types.

use crate::common::{Node, field, gpu, nvml, text};
use fake_nvml::board::Board;
use nvml_wrapper_sys::bindings::*;
use std::mem::zeroed;
use std::ptr::null_mut;

/// A struct of the bindings, all zero.
macro_rules! zero {
    ($type:ty) => {{
        // SAFETY: a C struct of numbers and pointers, for which zero is a value.
        let value: $type = unsafe { zeroed() };
        value
    }};
}

fn create(
    library: &NvmlLib,
    device: nvmlDevice_t,
    profile: u32,
    start: u32,
    size: u32,
) -> Result<nvmlGpuInstance_t, u32> {
    let place = nvmlGpuInstancePlacement_t { start, size };
    let mut instance = null_mut();
    match nvml!(
        library,
        nvmlDeviceCreateGpuInstanceWithPlacement,
        device,
        profile,
        &raw const place,
        &raw mut instance
    ) {
        0 => Ok(instance),
        code => Err(code),
    }
}

fn compute(
    library: &NvmlLib,
    instance: nvmlGpuInstance_t,
    profile: u32,
) -> Result<nvmlComputeInstance_t, u32> {
    let mut made = null_mut();
    match nvml!(library, nvmlGpuInstanceCreateComputeInstance, instance, profile, &raw mut made) {
        0 => Ok(made),
        code => Err(code),
    }
}

fn mig_device(library: &NvmlLib, device: nvmlDevice_t, index: u32) -> Result<nvmlDevice_t, u32> {
    let mut found = null_mut();
    match nvml!(library, nvmlDeviceGetMigDeviceHandleByIndex, device, index, &raw mut found) {
        0 => Ok(found),
        code => Err(code),
    }
}

fn uuid(library: &NvmlLib, device: nvmlDevice_t) -> Result<String, u32> {
    text(|buffer, length| nvml!(library, nvmlDeviceGetUUID, device, buffer, length))
}

#[test]
fn a_gpu_tells_who_it_is() {
    let node = Node::new("", &["H100-80GB", "T4, name: A Card"]);
    let library = node.started();
    let (first, second) = (gpu(&library, 0), gpu(&library, 1));
    assert_eq!(uuid(&library, first).unwrap(), "GPU-0");
    assert_eq!(
        text(|b, n| nvml!(library, nvmlDeviceGetName, first, b, n)).unwrap(),
        "NVIDIA H100 80GB HBM3"
    );
    assert_eq!(text(|b, n| nvml!(library, nvmlDeviceGetName, second, b, n)).unwrap(), "A Card");
    assert_eq!(
        text(|b, n| nvml!(library, nvmlSystemGetDriverVersion, b, n)).unwrap(),
        "550.163.01"
    );
    let mut pci = zero!(nvmlPciInfo_t);
    assert_eq!(nvml!(library, nvmlDeviceGetPciInfo_v3, second, &raw mut pci), 0);
    assert_eq!((field(&pci.busId).as_str(), pci.bus), ("00000000:11:00.0", 17));
    assert_eq!(pci.pciDeviceId, 0x1EB8_10DE);
    let (mut major, mut minor, mut cuda) = (0, 0, 0);
    assert_eq!(
        nvml!(library, nvmlDeviceGetCudaComputeCapability, first, &raw mut major, &raw mut minor),
        0
    );
    assert_eq!(nvml!(library, nvmlSystemGetCudaDriverVersion_v2, &raw mut cuda), 0);
    assert_eq!((major, minor, cuda), (9, 0, 12040));
    let mut memory = zero!(nvmlMemory_v2_t);
    assert_eq!(
        nvml!(library, nvmlDeviceGetMemoryInfo_v2, first, &raw mut memory),
        25,
        "no version said"
    );
    memory.version = u32::try_from(size_of_val(&memory)).unwrap() | 2 << 24;
    assert_eq!(nvml!(library, nvmlDeviceGetMemoryInfo_v2, first, &raw mut memory), 0);
    assert_eq!(memory.total >> 20, 81559);
}

#[test]
fn a_buffer_too_small_and_a_null_are_refused() {
    let node = Node::new("", &["T4"]);
    let library = node.started();
    let device = gpu(&library, 0);
    let mut buffer = [0; 4];
    assert_eq!(nvml!(library, nvmlDeviceGetUUID, device, buffer.as_mut_ptr(), 4), 7);
    assert_eq!(nvml!(library, nvmlDeviceGetIndex, device, null_mut()), 2);
    assert_eq!(nvml!(library, nvmlDeviceGetHandleByUUID, std::ptr::null(), null_mut()), 2);
    assert_eq!(uuid(&library, null_mut()), Err(2));
}

/// What the interface says of every profile of every board is what the board's file says.
#[test]
fn profiles_and_placements_arrive_whole() {
    for key in Board::keys() {
        let board = Board::named(key).unwrap();
        let node = Node::new("", &[key]);
        let library = node.started();
        let device = gpu(&library, 0);
        let mut found = 0;
        for listed in 0..18 {
            let mut info = zero!(nvmlGpuInstanceProfileInfo_v3_st);
            info.version = u32::try_from(size_of_val(&info)).unwrap() | 3 << 24;
            let code = nvml!(
                library,
                nvmlDeviceGetGpuInstanceProfileInfoV,
                device,
                listed,
                (&raw mut info).cast()
            );
            let Some(profile) = board.profiles.iter().find(|profile| profile.listed == listed)
            else {
                assert_eq!(code, 3, "{key} {listed}");
                continue;
            };
            assert_eq!(code, 0, "{key} {listed}");
            assert_eq!(
                (info.id, info.sliceCount, info.instanceCount),
                (profile.id, profile.slices, profile.max)
            );
            assert_eq!(
                (info.memorySizeMB, info.multiprocessorCount),
                (profile.memory_mib, profile.multiprocessors)
            );
            assert_eq!(field(&info.name), format!("MIG {}", profile.name));
            assert_eq!(info.capabilities & 2 != 0, profile.name.ends_with("+gfx"));
            assert_eq!(
                placements(&library, device, info.id),
                (profile.placements.starts.clone(), profile.placements.size)
            );
            found += 1;
        }
        assert_eq!(found, board.profiles.len(), "{key}");
    }
}

fn placements(library: &NvmlLib, device: nvmlDevice_t, id: u32) -> (Vec<u32>, u32) {
    let mut count = 0;
    assert_eq!(
        nvml!(
            library,
            nvmlDeviceGetGpuInstancePossiblePlacements_v2,
            device,
            id,
            null_mut(),
            &raw mut count
        ),
        0
    );
    let mut places = vec![nvmlGpuInstancePlacement_t { start: 0, size: 0 }; count as usize];
    let room = places.as_mut_ptr();
    assert_eq!(
        nvml!(
            library,
            nvmlDeviceGetGpuInstancePossiblePlacements_v2,
            device,
            id,
            room,
            &raw mut count
        ),
        0
    );
    (places.iter().map(|place| place.start).collect(), places[0].size)
}

#[test]
fn a_mig_device_lives_and_goes() {
    let node = Node::new("", &["H100-80GB"]);
    let library = node.started();
    let device = gpu(&library, 0);
    let mut status = 99;
    assert_eq!(create(&library, device, 9, 4, 4), Err(3), "MIG is off");
    assert_eq!(nvml!(library, nvmlDeviceSetMigMode, device, 1, &raw mut status), 0);
    assert_eq!(status, 0);
    let instance = create(&library, device, 9, 4, 4).unwrap();
    assert_eq!(create(&library, device, 9, 4, 4), Err(23));
    assert_eq!(create(&library, device, 9, 2, 4), Err(2));
    assert_eq!(mig_device(&library, device, 0), Err(6), "no compute instance yet");
    let made = compute(&library, instance, 2).unwrap();
    let mut info = zero!(nvmlComputeInstanceInfo_t);
    assert_eq!(nvml!(library, nvmlComputeInstanceGetInfo_v2, made, &raw mut info), 0);
    assert_eq!(
        (info.id, info.profileId, info.placement.size, info.gpuInstance),
        (0, 2, 3, instance)
    );
    assert_eq!(mig_device(&library, device, 0), Ok(info.device));
    let name = uuid(&library, info.device).unwrap();
    assert!(name.starts_with("MIG-"), "{name}");
    let (mut gi, mut ci, mut parent) = (9, 9, null_mut());
    assert_eq!(nvml!(library, nvmlDeviceGetGpuInstanceId, info.device, &raw mut gi), 0);
    assert_eq!(nvml!(library, nvmlDeviceGetComputeInstanceId, info.device, &raw mut ci), 0);
    assert_eq!(
        nvml!(library, nvmlDeviceGetDeviceHandleFromMigDeviceHandle, info.device, &raw mut parent),
        0
    );
    assert_eq!((gi, ci, parent), (1, 0, device));
    assert_eq!(nvml!(library, nvmlGpuInstanceDestroy, instance), 19, "it holds a compute instance");
    assert_eq!(nvml!(library, nvmlComputeInstanceDestroy, made), 0);
    assert_eq!(nvml!(library, nvmlComputeInstanceDestroy, made), 2);
    assert_eq!(nvml!(library, nvmlGpuInstanceDestroy, instance), 0);
    assert_eq!(uuid(&library, info.device), Err(2));
}

#[test]
fn made_again_it_has_the_same_uuid_and_the_old_handle_is_dead() {
    let node = Node::new("", &["H100-80GB, mig: true"]);
    let library = node.started();
    let device = gpu(&library, 0);
    let make = || {
        let instance = create(&library, device, 19, 0, 1).unwrap();
        let made = compute(&library, instance, 0).unwrap();
        (instance, made, mig_device(&library, device, 0).unwrap())
    };
    let (instance, made, before) = make();
    let name = uuid(&library, before).unwrap();
    assert_eq!(nvml!(library, nvmlComputeInstanceDestroy, made), 0);
    assert_eq!(nvml!(library, nvmlGpuInstanceDestroy, instance), 0);
    let (again, _, after) = make();
    assert_eq!(uuid(&library, after).unwrap(), name);
    assert_eq!(uuid(&library, before), Err(2));
    assert_ne!(instance, again);
    assert_eq!(nvml!(library, nvmlGpuInstanceDestroy, instance), 2);
}

#[test]
fn indices_of_mig_devices_have_gaps() {
    let node = Node::new(
        "",
        &[
            "A30-24GB, mig: true, mig-devices: [{profile: 1g.6gb}, {profile: 1g.6gb}, {profile: 1g.6gb}]",
        ],
    );
    node.does("mig", &["0", "destroy", "6"]);
    let library = node.started();
    let device = gpu(&library, 0);
    let found: Vec<_> =
        (0..4).map(|index| mig_device(&library, device, index).map(|_| ())).collect();
    assert_eq!(found, [Ok(()), Err(6), Ok(()), Err(6)]);
    assert_eq!(mig_device(&library, device, 4), Err(2));
}

#[test]
fn seven_slices_list_two_compute_profiles() {
    let node = Node::new("", &["A100-40GB, mig: true"]);
    let library = node.started();
    let instance = create(&library, gpu(&library, 0), 0, 0, 8).unwrap();
    let mut ids = vec![];
    for listed in 0..9 {
        let mut info = zero!(nvmlComputeInstanceProfileInfo_t);
        if nvml!(
            library,
            nvmlGpuInstanceGetComputeInstanceProfileInfo,
            instance,
            listed,
            0,
            &raw mut info
        ) == 0
        {
            ids.push((listed, info.sliceCount));
        }
    }
    assert_eq!(ids, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 7), (8, 7)]);
}

#[test]
fn ampere_answers_that_a_reset_is_due() {
    let node = Node::new("", &["A100-40GB"]);
    let library = node.started();
    let device = gpu(&library, 0);
    let (mut status, mut current, mut pending) = (0, 9, 9);
    assert_eq!(nvml!(library, nvmlDeviceSetMigMode, device, 1, &raw mut status), 0);
    assert_eq!(nvml!(library, nvmlDeviceGetMigMode, device, &raw mut current, &raw mut pending), 0);
    assert_eq!((status, current, pending), (16, 0, 1));
    assert_eq!(resetless(&library, device), Some(0));
    node.does("reset", &["0"]);
    assert_eq!(nvml!(library, nvmlDeviceGetMigMode, device, &raw mut current, &raw mut pending), 0);
    assert_eq!((current, pending), (1, 1));
}

fn resetless(library: &NvmlLib, device: nvmlDevice_t) -> Option<u32> {
    let mut value = zero!(nvmlFieldValue_t);
    value.fieldId = field_id::NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED;
    assert_eq!(nvml!(library, nvmlDeviceGetFieldValues, device, 1, &raw mut value), 0);
    // SAFETY: this field is an unsigned int; the wide members of the union cover it.
    let number = unsafe { value.value.uiVal };
    (value.nvmlReturn == 0 && value.valueType == 1).then_some(number)
}

#[test]
fn resetless_mig_is_told_by_board() {
    let node = Node::new("", &["H100-80GB", "T4"]);
    let library = node.started();
    assert_eq!(resetless(&library, gpu(&library, 0)), Some(1));
    assert_eq!(resetless(&library, gpu(&library, 1)), None);
}

#[test]
fn processes_are_listed_where_they_run() {
    let node = Node::new("", &["A30-24GB, mig: true, mig-devices: [{profile: 1g.6gb}]", "T4"]);
    node.does("process", &["0:5", "add", "4711", "1048576"]);
    node.does("process", &["1", "add", "12", "--kind", "mps"]);
    let library = node.started();
    let (cut, whole) = (gpu(&library, 0), gpu(&library, 1));
    let list = |device, mps: bool| {
        let mut count = 4;
        let mut infos = [zero!(nvmlProcessInfo_t); 4];
        let room = infos.as_mut_ptr();
        let code = match mps {
            true => nvml!(
                library,
                nvmlDeviceGetMPSComputeRunningProcesses_v3,
                device,
                &raw mut count,
                room
            ),
            false => nvml!(
                library,
                nvmlDeviceGetComputeRunningProcesses_v3,
                device,
                &raw mut count,
                room
            ),
        };
        assert_eq!(code, 0);
        let infos = infos.iter().take(count as usize);
        infos.map(|info| (info.pid, info.gpuInstanceId, info.computeInstanceId)).collect::<Vec<_>>()
    };
    assert_eq!(list(cut, false), [(4711, 5, 0)]);
    assert_eq!(list(mig_device(&library, cut, 0).unwrap(), false), [(4711, 5, 0)]);
    assert_eq!((list(whole, false), list(whole, true)), (vec![], vec![(12, u32::MAX, u32::MAX)]));
    let mut none = 0;
    let code =
        nvml!(library, nvmlDeviceGetComputeRunningProcesses_v3, cut, &raw mut none, null_mut());
    assert_eq!((code, none), (7, 1));
    assert!(!node.tries("mig", &["0", "destroy", "5"]).status.success());
    node.does("process", &["0", "rm", "4711"]);
    node.does("mig", &["0", "destroy", "5"]);
}

#[test]
fn a_lost_gpu_answers_so_and_the_others_answer() {
    let node = Node::new("", &["T4", "T4"]);
    let library = node.started();
    let device = gpu(&library, 0);
    node.does("lose", &["0"]);
    let (mut count, mut handle) = (0, null_mut());
    assert_eq!(nvml!(library, nvmlDeviceGetCount_v2, &raw mut count), 0);
    assert_eq!(count, 2);
    assert_eq!(nvml!(library, nvmlDeviceGetHandleByIndex_v2, 0, &raw mut handle), 15);
    assert_eq!(uuid(&library, device), Err(15));
    assert_eq!(uuid(&library, gpu(&library, 1)).unwrap(), "GPU-1");
}

#[test]
fn an_xid_is_an_event_once() {
    let node = Node::new("", &["T4"]);
    let library = node.started();
    let mut set = null_mut();
    assert_eq!(nvml!(library, nvmlEventSetCreate, &raw mut set), 0);
    let types = u64::from(nvmlEventTypeXidCriticalError);
    assert_eq!(nvml!(library, nvmlDeviceRegisterEvents, gpu(&library, 0), types, set), 0);
    let mut event = zero!(nvmlEventData_t);
    assert_eq!(nvml!(library, nvmlEventSetWait_v2, set, &raw mut event, 1), 10);
    node.does("xid", &["0", "79"]);
    assert_eq!(nvml!(library, nvmlEventSetWait_v2, set, &raw mut event, 1000), 0);
    assert_eq!((event.eventData, event.device), (79, gpu(&library, 0)));
    assert_eq!(nvml!(library, nvmlEventSetWait_v2, set, &raw mut event, 1), 10);
    assert_eq!(nvml!(library, nvmlEventSetFree, set), 0);
    assert_eq!(nvml!(library, nvmlEventSetWait_v2, set, &raw mut event, 1), 2);
}

#[test]
fn what_an_old_driver_lacks_answers_so() {
    let node =
        Node::new("nvml: {missing: [nvmlDeviceGetMemoryInfo_v2], needs-root: false}\n", &["T4"]);
    let library = node.started();
    let mut memory = zero!(nvmlMemory_v2_t);
    assert_eq!(nvml!(library, nvmlDeviceGetMemoryInfo_v2, gpu(&library, 0), &raw mut memory), 13);
}

#[test]
fn initialisation_is_counted() {
    let node = Node::new("", &["T4"]);
    let library = node.library();
    let mut count = 0;
    assert_eq!(nvml!(library, nvmlDeviceGetCount_v2, &raw mut count), 1);
    assert_eq!([nvml!(library, nvmlInit_v2), nvml!(library, nvmlInitWithFlags, 0)], [0, 0]);
    assert_eq!(nvml!(library, nvmlShutdown), 0);
    assert_eq!(nvml!(library, nvmlDeviceGetCount_v2, &raw mut count), 0);
    assert_eq!(nvml!(library, nvmlShutdown), 0);
    assert_eq!(nvml!(library, nvmlDeviceGetCount_v2, &raw mut count), 1);
    assert_eq!(nvml!(library, nvmlShutdown), 1);
}

#[test]
fn versions_that_differ_can_be_named_without_initialisation() {
    let node = Node::new("nvml: {init-error: 18, library-version: 535.247.01}\n", &["T4"]);
    let library = node.library();
    assert_eq!(nvml!(library, nvmlInit_v2), 18);
    assert_eq!(
        text(|b, n| nvml!(library, nvmlSystemGetNVMLVersion, b, n)).unwrap(),
        "12.535.247.01"
    );
}
