//! MIG mode, GPU instances and MIG devices.

use super::device::{device, gpu_of, mig_devices, now, version_of};
use super::export;
use super::handle::{Device, Handle, Part, Thing, find};
use super::pointer::{Out, field};
use crate::board::{Board, Profile};
use crate::code::Code;
use crate::machine;
use crate::mig::{self, GpuInstance, Wish};
use crate::state::{Failure, State, Store};
use nvml_wrapper_sys::bindings::{
    nvmlGpuInstanceInfo_t, nvmlGpuInstancePlacement_t, nvmlGpuInstanceProfileInfo_t,
    nvmlGpuInstanceProfileInfo_v2_t, nvmlGpuInstanceProfileInfo_v3_st,
};
use std::os::raw::c_uint;

/// `NVML_GPU_INSTANCE_PROFILE_COUNT` of the newest header.
const PROFILES: c_uint = 18;
/// `NVML_GPU_INSTANCE_PROFILE_CAPS_*`: peer to peer, and graphics.
const CAPABILITY_GRAPHICS: c_uint = 2;

export! {
    query nvmlDeviceGetMigMode(device: Handle, current: Out<c_uint>, pending: Out<c_uint>) |store| {
        let state = now(store)?;
        let index = device.gpu(store.node(), &state)?;
        let (board, gpu) = machine::gpu(store.node(), &state, index)?;
        if !board.has_mig() {
            return Err(Code::NOT_SUPPORTED.into());
        }
        current.set(gpu.mig.into())?;
        Ok(pending.set(gpu.mig_pending.into())?)
    }

    change nvmlDeviceSetMigMode(device: Handle, mode: c_uint, status: Out<c_uint>) |store| {
        if mode > 1 {
            return Err(Code::INVALID_ARGUMENT.into());
        }
        let waits = store.change(|state| {
            let gpu = device.gpu(store.node(), state)?;
            machine::set_mig_mode(store.node(), state, gpu, mode == 1)
        })?;
        Ok(status.set(waits.map_or(0, |code| code.0))?)
    }

    query nvmlDeviceGetGpuInstanceProfileInfo(device: Handle, listed: c_uint, info: Out<nvmlGpuInstanceProfileInfo_t>) |store| {
        with_profile(store, device, listed_as(listed)?, |_, profile| info.set(profile_info(profile)))
    }

    query nvmlDeviceGetGpuInstanceProfileInfoV(device: Handle, listed: c_uint, info: Out<nvmlGpuInstanceProfileInfo_v2_t>) |store| {
        with_profile(store, device, listed_as(listed)?, |_, profile| versioned_info(profile, info))
    }

    query nvmlDeviceGetGpuInstanceProfileInfoByIdV(device: Handle, id: c_uint, info: Out<nvmlGpuInstanceProfileInfo_v2_t>) |store| {
        with_profile(store, device, Wanted::Id(id), |_, profile| versioned_info(profile, info))
    }

    query nvmlDeviceGetGpuInstancePossiblePlacements_v2(
        device: Handle,
        id: c_uint,
        placements: Out<nvmlGpuInstancePlacement_t>,
        count: Out<c_uint>,
    ) |store| {
        possible_placements(store, (device, id), placements, count)
    }

    query nvmlDeviceGetGpuInstancePossiblePlacements(
        device: Handle,
        id: c_uint,
        placements: Out<nvmlGpuInstancePlacement_t>,
        count: Out<c_uint>,
    ) |store| {
        possible_placements(store, (device, id), placements, count)
    }

    query nvmlDeviceGetGpuInstanceRemainingCapacity(device: Handle, id: c_uint, count: Out<c_uint>) |store| {
        let state = now(store)?;
        let gpu = device.gpu(store.node(), &state)?;
        let (board, gpu) = machine::mig_gpu(store.node(), &state, gpu)?;
        let profile = board.profile(id).ok_or(Code::INVALID_ARGUMENT)?;
        Ok(count.set(mig::remaining(board, &gpu.instances, profile))?)
    }

    create nvmlDeviceCreateGpuInstance(device: Handle, id: c_uint, instance: Out<Handle>) |store| {
        create(store, device, (id, Wish::default()), instance)
    }

    create nvmlDeviceCreateGpuInstanceWithPlacement(
        device: Handle,
        id: c_uint,
        placement: Out<nvmlGpuInstancePlacement_t>,
        instance: Out<Handle>,
    ) |store| {
        let placement = placement.get()?;
        let wish = Wish { start: Some(placement.start), size: Some(placement.size), id: None };
        create(store, device, (id, wish), instance)
    }

    destroy nvmlGpuInstanceDestroy(instance: Handle) |store| {
        store.change(|state| {
            let (gpu, instance) = instance.gpu_instance(store.node(), state)?;
            machine::destroy_gpu_instance(store.node(), state, gpu, instance.id)
        })
    }

    query nvmlDeviceGetGpuInstances(device: Handle, id: c_uint, instances: Out<Handle>, count: Out<c_uint>) |store| {
        let state = now(store)?;
        let index = device.gpu(store.node(), &state)?;
        let (board, gpu) = machine::mig_gpu(store.node(), &state, index)?;
        board.profile(id).ok_or(Code::INVALID_ARGUMENT)?;
        let of_it = gpu.instances.iter().filter(|instance| instance.profile == id);
        let handles: Vec<_> = of_it.map(|instance| handle_of(index, instance)).collect();
        count.set(c_uint::try_from(handles.len()).unwrap_or(0))?;
        Ok(instances.all(&handles)?)
    }

    query nvmlDeviceGetGpuInstanceById(device: Handle, id: c_uint, instance: Out<Handle>) |store| {
        let state = now(store)?;
        let index = device.gpu(store.node(), &state)?;
        let (_, gpu) = machine::mig_gpu(store.node(), &state, index)?;
        let found = gpu.instances.iter().find(|instance| instance.id == id);
        Ok(instance.set(handle_of(index, found.ok_or(Code::NOT_FOUND)?))?)
    }

    query nvmlGpuInstanceGetInfo(instance: Handle, info: Out<nvmlGpuInstanceInfo_t>) |store| {
        let (gpu, instance) = instance.gpu_instance(store.node(), &*now(store)?)?;
        let placement = nvmlGpuInstancePlacement_t { start: instance.start, size: instance.size };
        let device = Handle::from(Thing::Gpu(gpu)).pointer();
        let (id, profile_id) = (instance.id, instance.profile);
        Ok(info.set(nvmlGpuInstanceInfo_t { device, id, profileId: profile_id, placement })?)
    }

    query nvmlDeviceGetMaxMigDeviceCount(device: Handle, count: Out<c_uint>) |store| {
        let gpu = gpu_of(store, device)?;
        let board = store.node().boards.get(gpu).ok_or(Code::INVALID_ARGUMENT)?;
        Ok(count.set(most_devices(board))?)
    }

    query nvmlDeviceGetMigDeviceHandleByIndex(device: Handle, index: c_uint, mig_device: Out<Handle>) |store| {
        let state = now(store)?;
        let gpu = device.gpu(store.node(), &state)?;
        let (board, _) = machine::mig_gpu(store.node(), &state, gpu)?;
        if index >= most_devices(board) {
            return Err(Code::INVALID_ARGUMENT.into());
        }
        let of_index = |part: &Part| {
            part.gpu == gpu && find(&state, *part).is_some_and(|(_, compute)| compute.index == index)
        };
        let part = mig_devices(&state).find(of_index).ok_or(Code::NOT_FOUND)?;
        Ok(mig_device.set(Thing::Mig(part).into())?)
    }

    query nvmlDeviceGetGpuInstanceId(handle: Handle, id: Out<c_uint>) |store| {
        Ok(id.set(mig_part(store, handle)?.gi)?)
    }

    query nvmlDeviceGetComputeInstanceId(handle: Handle, id: Out<c_uint>) |store| {
        Ok(id.set(mig_part(store, handle)?.ci)?)
    }

    query nvmlDeviceIsMigDeviceHandle(handle: Handle, is_mig: Out<c_uint>) |_| {
        Ok(is_mig.set(handle.is_mig()?.into())?)
    }

    query nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle: Handle, parent: Out<Handle>) |store| {
        Ok(parent.set(Thing::Gpu(mig_part(store, handle)?.gpu).into())?)
    }
}

/// How a caller names a profile.
#[derive(Clone, Copy)]
enum Wanted {
    /// By its number in NVML's list.
    Listed(c_uint),
    /// By its id.
    Id(c_uint),
}

fn listed_as(listed: c_uint) -> Result<Wanted, Code> {
    if listed < PROFILES { Ok(Wanted::Listed(listed)) } else { Err(Code::INVALID_ARGUMENT) }
}

/// A profile that the board lacks is NOT_SUPPORTED when it is asked for by its number, and an
/// INVALID_ARGUMENT when it is asked for by an id.
fn with_profile(
    store: &Store,
    device: Handle,
    wanted: Wanted,
    answer: impl FnOnce(&Board, &Profile) -> Result<(), Code>,
) -> Result<(), Failure> {
    let gpu = gpu_of(store, device)?;
    let board = store.node().boards.get(gpu).filter(|board| board.has_mig());
    let board = board.ok_or(Code::NOT_SUPPORTED)?;
    let mut profiles = board.profiles.iter();
    let profile = match wanted {
        Wanted::Listed(listed) => {
            profiles.find(|profile| profile.listed == listed).ok_or(Code::NOT_SUPPORTED)
        }
        Wanted::Id(id) => profiles.find(|profile| profile.id == id).ok_or(Code::INVALID_ARGUMENT),
    };
    Ok(answer(board, profile?)?)
}

/// The places on an empty GPU. This list has no room to say: the caller has room for all of them,
/// or asks for their number with null.
fn possible_placements(
    store: &Store,
    (device, id): (Handle, c_uint),
    placements: Out<nvmlGpuInstancePlacement_t>,
    count: Out<c_uint>,
) -> Result<(), Failure> {
    with_profile(store, device, Wanted::Id(id), |_, profile| {
        let size = profile.placements.size;
        let places = profile.placements.starts.iter();
        let places: Vec<_> =
            places.map(|&start| nvmlGpuInstancePlacement_t { start, size }).collect();
        count.set(c_uint::try_from(places.len()).unwrap_or(0))?;
        if placements.is_null() { Ok(()) } else { placements.all(&places) }
    })
}

fn profile_info(profile: &Profile) -> nvmlGpuInstanceProfileInfo_t {
    let [copy, decoder, encoder, jpeg, ofa] = profile.engines;
    nvmlGpuInstanceProfileInfo_t {
        id: profile.id,
        isP2pSupported: 0,
        sliceCount: profile.slices,
        instanceCount: profile.max,
        multiprocessorCount: profile.multiprocessors,
        copyEngineCount: copy,
        decoderCount: decoder,
        encoderCount: encoder,
        jpegCount: jpeg,
        ofaCount: ofa,
        memorySizeMB: profile.memory_mib,
    }
}

/// Fills version 2 or 3 of the struct, whichever the caller says it has room for.
fn versioned_info(
    profile: &Profile,
    info: Out<nvmlGpuInstanceProfileInfo_v2_t>,
) -> Result<(), Code> {
    let plain = profile_info(profile);
    let name = format!("MIG {}", profile.name);
    let version = info.cast::<c_uint>().get()?;
    if version == version_of::<nvmlGpuInstanceProfileInfo_v2_t>(2) {
        return info.set(nvmlGpuInstanceProfileInfo_v2_t {
            version,
            id: plain.id,
            isP2pSupported: plain.isP2pSupported,
            sliceCount: plain.sliceCount,
            instanceCount: plain.instanceCount,
            multiprocessorCount: plain.multiprocessorCount,
            copyEngineCount: plain.copyEngineCount,
            decoderCount: plain.decoderCount,
            encoderCount: plain.encoderCount,
            jpegCount: plain.jpegCount,
            ofaCount: plain.ofaCount,
            memorySizeMB: plain.memorySizeMB,
            name: field(&name),
        });
    }
    if version != version_of::<nvmlGpuInstanceProfileInfo_v3_st>(3) {
        return Err(Code::ARGUMENT_VERSION_MISMATCH);
    }
    let graphics = profile.name.ends_with("+gfx");
    info.cast().set(nvmlGpuInstanceProfileInfo_v3_st {
        version,
        id: plain.id,
        sliceCount: plain.sliceCount,
        instanceCount: plain.instanceCount,
        multiprocessorCount: plain.multiprocessorCount,
        copyEngineCount: plain.copyEngineCount,
        decoderCount: plain.decoderCount,
        encoderCount: plain.encoderCount,
        jpegCount: plain.jpegCount,
        ofaCount: plain.ofaCount,
        memorySizeMB: plain.memorySizeMB,
        name: field(&name),
        capabilities: if graphics { CAPABILITY_GRAPHICS } else { 0 },
    })
}

fn create(
    store: &Store,
    device: Handle,
    (profile, wish): (c_uint, Wish),
    instance: Out<Handle>,
) -> Result<(), Failure> {
    let part = store.change(|state| {
        let gpu = device.gpu(store.node(), state)?;
        let (gi, serial) = machine::create_gpu_instance(store.node(), state, (gpu, profile), wish)?;
        Ok(Part { gpu, gi, ci: 0, serial })
    })?;
    Ok(instance.set(Thing::GpuInstance(part).into())?)
}

/// The handle of a GPU instance.
pub(super) fn handle_of(gpu: usize, instance: &GpuInstance) -> Handle {
    Thing::GpuInstance(Part { gpu, gi: instance.id, ci: 0, serial: instance.serial }).into()
}

/// As many MIG devices as the profile that fits most often allows, one compute slice each.
fn most_devices(board: &Board) -> c_uint {
    board.profiles.iter().map(|profile| profile.slices).max().unwrap_or(0)
}

fn mig_part(store: &Store, handle: Handle) -> Result<Part, Failure> {
    match device(store, handle)? {
        (Device::Mig(part), _) => Ok(part),
        (Device::Gpu(_), _) => Err(Code::INVALID_ARGUMENT.into()),
    }
}

/// The MIG device of a compute instance.
pub(super) fn mig_handle(state: &State, part: Part) -> Option<Handle> {
    let (_, compute) = find(state, part)?;
    Some(Thing::Mig(Part { serial: compute.serial, ..part }).into())
}
