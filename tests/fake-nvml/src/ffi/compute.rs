//! Compute instances.

use super::device::{now, version_of};
use super::export;
use super::handle::{Handle, Part, Thing};
use super::instance::{handle_of, mig_handle};
use super::pointer::{Out, field};
use crate::board::{Board, ComputeProfile, Profile};
use crate::code::Code;
use crate::machine;
use crate::mig::{self, GpuInstance, Wish};
use crate::state::{Failure, Store};
use nvml_wrapper_sys::bindings::{
    nvmlComputeInstanceInfo_t, nvmlComputeInstancePlacement_t, nvmlComputeInstanceProfileInfo_t,
    nvmlComputeInstanceProfileInfo_v2_t, nvmlComputeInstanceProfileInfo_v3_st,
};
use std::os::raw::c_uint;

/// `NVML_COMPUTE_INSTANCE_PROFILE_COUNT` of the newest header.
const PROFILES: c_uint = 9;

export! {
    query nvmlGpuInstanceGetComputeInstanceProfileInfo(
        instance: Handle,
        listed: c_uint,
        engines: c_uint,
        info: Out<nvmlComputeInstanceProfileInfo_t>,
    ) |store| {
        let found = Found::listed(store, instance, (listed, engines))?;
        Ok(info.set(profile_info(&found.profile, &found.of_instance))?)
    }

    query nvmlGpuInstanceGetComputeInstanceProfileInfoV(
        instance: Handle,
        listed: c_uint,
        engines: c_uint,
        info: Out<nvmlComputeInstanceProfileInfo_v2_t>,
    ) |store| {
        let found = Found::listed(store, instance, (listed, engines))?;
        Ok(versioned_info(&found.profile, &found.of_instance, info)?)
    }

    query nvmlGpuInstanceGetComputeInstanceRemainingCapacity(instance: Handle, id: c_uint, count: Out<c_uint>) |store| {
        let found = Found::by_id(store, instance, id)?;
        Ok(count.set(mig::compute_remaining(&found.board, &found.instance, &found.profile))?)
    }

    query nvmlGpuInstanceGetComputeInstancePossiblePlacements(
        instance: Handle,
        id: c_uint,
        placements: Out<nvmlComputeInstancePlacement_t>,
        count: Out<c_uint>,
    ) |store| {
        let found = Found::by_id(store, instance, id)?;
        let size = found.profile.slices;
        let starts = mig::compute_starts(&found.board, &found.instance, &found.profile);
        let places: Vec<_> =
            starts.into_iter().map(|start| nvmlComputeInstancePlacement_t { start, size }).collect();
        count.set(c_uint::try_from(places.len()).unwrap_or(0))?;
        if placements.is_null() { Ok(()) } else { Ok(placements.all(&places)?) }
    }

    create nvmlGpuInstanceCreateComputeInstance(instance: Handle, id: c_uint, compute: Out<Handle>) |store| {
        create(store, instance, (id, Wish::default()), compute)
    }

    create nvmlGpuInstanceCreateComputeInstanceWithPlacement(
        instance: Handle,
        id: c_uint,
        placement: Out<nvmlComputeInstancePlacement_t>,
        compute: Out<Handle>,
    ) |store| {
        let placement = placement.get()?;
        let wish = Wish { start: Some(placement.start), size: Some(placement.size), id: None };
        create(store, instance, (id, wish), compute)
    }

    destroy nvmlComputeInstanceDestroy(compute: Handle) |store| {
        store.change(|state| {
            let (part, _) = compute.compute_instance(store.node(), state)?;
            machine::destroy_compute_instance(store.node(), state, (part.gpu, part.gi, part.ci))
        })
    }

    query nvmlGpuInstanceGetComputeInstances(instance: Handle, id: c_uint, computes: Out<Handle>, count: Out<c_uint>) |store| {
        let found = Found::by_id(store, instance, id)?;
        let of_it = found.instance.compute.iter().filter(|compute| compute.profile == id);
        let part = |compute: &mig::ComputeInstance| found.part(compute);
        let handles: Vec<Handle> = of_it.map(|compute| Thing::ComputeInstance(part(compute)).into()).collect();
        count.set(c_uint::try_from(handles.len()).unwrap_or(0))?;
        Ok(computes.all(&handles)?)
    }

    query nvmlGpuInstanceGetComputeInstanceById(instance: Handle, id: c_uint, compute: Out<Handle>) |store| {
        let (gpu, instance) = instance.gpu_instance(store.node(), &*now(store)?)?;
        let found = instance.compute.iter().find(|compute| compute.id == id).ok_or(Code::NOT_FOUND)?;
        let part = Part { gpu, gi: instance.id, ci: found.id, serial: found.serial };
        Ok(compute.set(Thing::ComputeInstance(part).into())?)
    }

    query nvmlComputeInstanceGetInfo(compute: Handle, info: Out<nvmlComputeInstanceInfo_t>) |store| {
        info_of(store, compute, info)
    }

    query nvmlComputeInstanceGetInfo_v2(compute: Handle, info: Out<nvmlComputeInstanceInfo_t>) |store| {
        info_of(store, compute, info)
    }
}

/// A compute profile of a GPU instance that exists.
struct Found {
    gpu: usize,
    board: Board,
    instance: GpuInstance,
    of_instance: Profile,
    profile: ComputeProfile,
}

impl Found {
    /// By its number in NVML's list. `engines` is 0, shared, in every NVML so far.
    fn listed(
        store: &Store,
        instance: Handle,
        (listed, engines): (c_uint, c_uint),
    ) -> Result<Found, Failure> {
        if listed >= PROFILES || engines != 0 {
            return Err(Code::INVALID_ARGUMENT.into());
        }
        let matches = |profile: &ComputeProfile| profile.listed == listed;
        Found::that(store, instance, matches)?.ok_or_else(|| Code::NOT_SUPPORTED.into())
    }

    fn by_id(store: &Store, instance: Handle, id: c_uint) -> Result<Found, Failure> {
        let matches = |profile: &ComputeProfile| profile.id == id;
        Found::that(store, instance, matches)?.ok_or_else(|| Code::INVALID_ARGUMENT.into())
    }

    fn that(
        store: &Store,
        instance: Handle,
        matches: impl Fn(&ComputeProfile) -> bool,
    ) -> Result<Option<Found>, Failure> {
        let (gpu, instance) = instance.gpu_instance(store.node(), &*now(store)?)?;
        let board = store.node().boards.get(gpu).ok_or(Code::INVALID_ARGUMENT)?.clone();
        let of_instance = board.profile(instance.profile).ok_or(Code::INVALID_ARGUMENT)?.clone();
        let profile = of_instance.compute_profiles().into_iter().find(matches);
        Ok(profile.map(|profile| Found { gpu, board, instance, of_instance, profile }))
    }

    fn part(&self, compute: &mig::ComputeInstance) -> Part {
        Part { gpu: self.gpu, gi: self.instance.id, ci: compute.id, serial: compute.serial }
    }
}

fn profile_info(
    profile: &ComputeProfile,
    of_instance: &Profile,
) -> nvmlComputeInstanceProfileInfo_t {
    let [copy, decoder, encoder, jpeg, ofa] = of_instance.engines;
    nvmlComputeInstanceProfileInfo_t {
        id: profile.id,
        sliceCount: profile.slices,
        instanceCount: profile.max,
        multiprocessorCount: profile.multiprocessors,
        sharedCopyEngineCount: copy,
        sharedDecoderCount: decoder,
        sharedEncoderCount: encoder,
        sharedJpegCount: jpeg,
        sharedOfaCount: ofa,
    }
}

/// Fills version 2 or 3 of the struct, whichever the caller says it has room for.
fn versioned_info(
    profile: &ComputeProfile,
    of_instance: &Profile,
    info: Out<nvmlComputeInstanceProfileInfo_v2_t>,
) -> Result<(), Code> {
    let plain = profile_info(profile, of_instance);
    let version = info.cast::<c_uint>().get()?;
    let name = field(&name_of(profile, of_instance));
    let second = nvmlComputeInstanceProfileInfo_v2_t {
        version,
        id: plain.id,
        sliceCount: plain.sliceCount,
        instanceCount: plain.instanceCount,
        multiprocessorCount: plain.multiprocessorCount,
        sharedCopyEngineCount: plain.sharedCopyEngineCount,
        sharedDecoderCount: plain.sharedDecoderCount,
        sharedEncoderCount: plain.sharedEncoderCount,
        sharedJpegCount: plain.sharedJpegCount,
        sharedOfaCount: plain.sharedOfaCount,
        name,
    };
    if version == version_of::<nvmlComputeInstanceProfileInfo_v2_t>(2) {
        return info.set(second);
    }
    if version != version_of::<nvmlComputeInstanceProfileInfo_v3_st>(3) {
        return Err(Code::ARGUMENT_VERSION_MISMATCH);
    }
    info.cast().set(nvmlComputeInstanceProfileInfo_v3_st {
        version,
        id: second.id,
        sliceCount: second.sliceCount,
        instanceCount: second.instanceCount,
        multiprocessorCount: second.multiprocessorCount,
        sharedCopyEngineCount: second.sharedCopyEngineCount,
        sharedDecoderCount: second.sharedDecoderCount,
        sharedEncoderCount: second.sharedEncoderCount,
        sharedJpegCount: second.sharedJpegCount,
        sharedOfaCount: second.sharedOfaCount,
        name: second.name,
        capabilities: 0,
    })
}

/// `MIG 1c.3g.40gb`, and `MIG 3g.40gb` where it takes all of the GPU instance.
fn name_of(profile: &ComputeProfile, of_instance: &Profile) -> String {
    match profile.slices == of_instance.slices {
        true => format!("MIG {}", of_instance.name),
        false => format!("MIG {}c.{}", profile.slices, of_instance.name),
    }
}

fn create(
    store: &Store,
    instance: Handle,
    (profile, wish): (c_uint, Wish),
    compute: Out<Handle>,
) -> Result<(), Failure> {
    let part = store.change(|state| {
        let (gpu, instance) = instance.gpu_instance(store.node(), state)?;
        let gi = instance.id;
        let (ci, serial) =
            machine::create_compute_instance(store.node(), state, (gpu, gi, profile), wish)?;
        Ok(Part { gpu, gi, ci, serial })
    })?;
    Ok(compute.set(Thing::ComputeInstance(part).into())?)
}

fn info_of(
    store: &Store,
    compute: Handle,
    info: Out<nvmlComputeInstanceInfo_t>,
) -> Result<(), Failure> {
    let state = now(store)?;
    let (part, compute) = compute.compute_instance(store.node(), &state)?;
    let gpu = state.gpus.get(part.gpu).ok_or(Code::INVALID_ARGUMENT)?;
    let instance = gpu.instances.iter().find(|instance| instance.id == part.gi);
    let instance = handle_of(part.gpu, instance.ok_or(Code::INVALID_ARGUMENT)?);
    let device = mig_handle(&state, part).ok_or(Code::INVALID_ARGUMENT)?;
    Ok(info.set(nvmlComputeInstanceInfo_t {
        device: device.pointer(),
        gpuInstance: instance.pointer(),
        id: compute.id,
        profileId: compute.profile,
        placement: nvmlComputeInstancePlacement_t { start: compute.start, size: compute.size },
    })?)
}
