//! GPUs and MIG devices: who they are and how they are set.

use super::export;
use super::handle::{Device, Handle, Part, Thing, find};
use super::pointer::{Out, Text, field};
use crate::board::Board;
use crate::code::Code;
use crate::machine;
use crate::node::{self, Node};
use crate::state::{Failure, State, Store};
use nvml_wrapper_sys::bindings::{
    field_id, nvmlDeviceAttributes_t, nvmlFieldValue_t, nvmlMemory_t, nvmlMemory_v2_t,
    nvmlPciInfo_t, nvmlUtilization_t, nvmlValue_t,
};
use std::os::raw::{c_char, c_int, c_uint, c_ulonglong};
use std::sync::Arc;

const MIB: u64 = 1 << 20;
/// What a driver keeps of each GPU's memory for itself.
const RESERVED_MIB: u64 = 512;
/// `NVML_VALUE_TYPE_UNSIGNED_INT`.
const UNSIGNED_INT: u32 = 1;

/// The state now, for a query.
pub(super) fn now(store: &Store) -> Result<Arc<State>, Failure> {
    store.now().map_err(Failure::Files)
}

/// The device behind a handle and the state it was found in.
pub(super) fn device(store: &Store, handle: Handle) -> Result<(Device, Arc<State>), Failure> {
    let state = now(store)?;
    let device = handle.device(store.node(), &state)?;
    Ok((device, state))
}

/// The index of the GPU behind a handle.
pub(super) fn gpu_of(store: &Store, handle: Handle) -> Result<usize, Failure> {
    Ok(handle.gpu(store.node(), &*now(store)?)?)
}

fn board(store: &Store, device: Device) -> Result<&Board, Code> {
    store.node().boards.get(device.gpu()).ok_or(Code::INVALID_ARGUMENT)
}

export! {
    query nvmlDeviceGetCount_v2(count: Out<c_uint>) |store| { count_gpus(store, count) }

    query nvmlDeviceGetCount(count: Out<c_uint>) |store| { count_gpus(store, count) }

    query nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: Out<Handle>) |store| {
        by_index(store, index, device)
    }

    query nvmlDeviceGetHandleByIndex(index: c_uint, device: Out<Handle>) |store| {
        by_index(store, index, device)
    }

    query nvmlDeviceGetHandleByPciBusId_v2(id: Text, device: Out<Handle>) |store| {
        by_pci(store, &id.get()?, device)
    }

    query nvmlDeviceGetHandleByPciBusId(id: Text, device: Out<Handle>) |store| {
        by_pci(store, &id.get()?, device)
    }

    query nvmlDeviceGetIndex(device: Handle, index: Out<c_uint>) |store| {
        let state = now(store)?;
        let number = match device.device(store.node(), &state)? {
            Device::Gpu(gpu) => c_uint::try_from(gpu).unwrap_or(c_uint::MAX),
            Device::Mig(part) => find(&state, part).map_or(0, |(_, compute)| compute.index),
        };
        Ok(index.set(number)?)
    }

    query nvmlDeviceGetMinorNumber(device: Handle, minor: Out<c_uint>) |store| {
        let gpu = gpu_of(store, device)?;
        let (gpu, _) = store.node().gpu(gpu).ok_or(Code::INVALID_ARGUMENT)?;
        Ok(minor.set(gpu.minor)?)
    }

    query nvmlDeviceGetUUID(handle: Handle, uuid: Out<c_char>, length: c_uint) |store| {
        let (device, _) = device(store, handle)?;
        Ok(uuid.text(length, &uuid_of(store.node(), device))?)
    }

    query nvmlDeviceGetName(handle: Handle, name: Out<c_char>, length: c_uint) |store| {
        let (device, state) = device(store, handle)?;
        let product = store.node().product(device.gpu());
        let name_of = match device.mig().and_then(|part| find(&state, part)) {
            Some((instance, _)) => {
                let profile = board(store, device)?.profile(instance.profile);
                format!("{product} MIG {}", profile.map_or("", |profile| &profile.name))
            }
            None => product.to_owned(),
        };
        Ok(name.text(length, &name_of)?)
    }

    query nvmlDeviceGetSerial(device: Handle, serial: Out<c_char>, length: c_uint) |store| {
        let gpu = gpu_of(store, device)?;
        Ok(serial.text(length, &format!("165{gpu:010}"))?)
    }

    query nvmlDeviceGetBrand(device: Handle, brand: Out<c_uint>) |store| {
        // NVML_BRAND_NVIDIA
        gpu_of(store, device)?;
        Ok(brand.set(14)?)
    }

    query nvmlDeviceGetPciInfo_v3(device: Handle, pci: Out<nvmlPciInfo_t>) |store| {
        pci_info(store, device, pci)
    }

    query nvmlDeviceGetPciInfo_v2(device: Handle, pci: Out<nvmlPciInfo_t>) |store| {
        pci_info(store, device, pci)
    }

    query nvmlDeviceGetCudaComputeCapability(handle: Handle, major: Out<c_int>, minor: Out<c_int>) |store| {
        let (device, _) = device(store, handle)?;
        let (of_major, of_minor) = board(store, device)?.compute_capability;
        major.set(c_int::try_from(of_major).unwrap_or(0))?;
        Ok(minor.set(c_int::try_from(of_minor).unwrap_or(0))?)
    }

    query nvmlDeviceGetArchitecture(handle: Handle, architecture: Out<c_uint>) |store| {
        let (device, _) = device(store, handle)?;
        Ok(architecture.set(board(store, device)?.architecture.number())?)
    }

    query nvmlDeviceGetMemoryInfo(handle: Handle, memory: Out<nvmlMemory_t>) |store| {
        let (total, reserved, used) = memory_of(store, handle)?;
        let free = total.saturating_sub(reserved + used);
        Ok(memory.set(nvmlMemory_t { total, free, used: total - free })?)
    }

    query nvmlDeviceGetMemoryInfo_v2(handle: Handle, memory: Out<nvmlMemory_v2_t>) |store| {
        let version = version_of::<nvmlMemory_v2_t>(2);
        if memory.get()?.version != version {
            return Err(Code::ARGUMENT_VERSION_MISMATCH.into());
        }
        let (total, reserved, used) = memory_of(store, handle)?;
        let free = total.saturating_sub(reserved + used);
        Ok(memory.set(nvmlMemory_v2_t { version, total, reserved, free, used })?)
    }

    query nvmlDeviceGetAttributes_v2(handle: Handle, attributes: Out<nvmlDeviceAttributes_t>) |store| {
        let (device, state) = device(store, handle)?;
        let part = device.mig().ok_or(Code::NOT_SUPPORTED)?;
        let attributes_of = attributes_of(board(store, device)?, &state, part);
        Ok(attributes.set(attributes_of.ok_or(Code::INVALID_ARGUMENT)?)?)
    }

    query nvmlDeviceGetUtilizationRates(device: Handle, rates: Out<nvmlUtilization_t>) |store| {
        let state = now(store)?;
        let gpu = device.gpu(store.node(), &state)?;
        let (_, gpu) = machine::gpu(store.node(), &state, gpu)?;
        if gpu.mig {
            return Err(Code::NOT_SUPPORTED.into());
        }
        let busy = if gpu.processes.is_empty() { 0 } else { 50 };
        Ok(rates.set(nvmlUtilization_t { gpu: busy, memory: busy / 2 })?)
    }

    query nvmlDeviceGetTemperature(device: Handle, _sensor: c_uint, degrees: Out<c_uint>) |store| {
        gpu_of(store, device)?;
        Ok(degrees.set(40)?)
    }

    query nvmlDeviceGetPowerUsage(device: Handle, milliwatts: Out<c_uint>) |store| {
        gpu_of(store, device)?;
        Ok(milliwatts.set(70_000)?)
    }

    query nvmlDeviceGetComputeMode(handle: Handle, mode: Out<c_uint>) |store| {
        let (device, state) = device(store, handle)?;
        let (_, gpu) = machine::gpu(store.node(), &state, device.gpu())?;
        let of_part = device.mig().and_then(|part| find(&state, part));
        Ok(mode.set(of_part.map_or(gpu.compute_mode, |(_, compute)| compute.compute_mode))?)
    }

    change nvmlDeviceSetComputeMode(handle: Handle, mode: c_uint) |store| {
        let node = store.node();
        store.change(|state| match handle.device(node, state)? {
            Device::Gpu(gpu) => machine::set_compute_mode(node, state, gpu, mode),
            Device::Mig(part) => {
                machine::set_mig_compute_mode(node, state, (part.gpu, part.gi, part.ci), mode)
            }
        })
    }

    query nvmlDeviceGetPersistenceMode(device: Handle, mode: Out<c_uint>) |store| {
        let state = now(store)?;
        let gpu = device.gpu(store.node(), &state)?;
        Ok(mode.set(machine::gpu(store.node(), &state, gpu)?.1.persistence.into())?)
    }

    change nvmlDeviceSetPersistenceMode(device: Handle, mode: c_uint) |store| {
        store.change(|state| {
            let gpu = device.gpu(store.node(), state)?;
            machine::set_persistence(store.node(), state, gpu, mode != 0)
        })
    }

    query nvmlDeviceGetFieldValues(device: Handle, count: c_int, values: Out<nvmlFieldValue_t>) |store| {
        let state = now(store)?;
        let gpu = device.gpu(store.node(), &state)?;
        for place in 0..usize::try_from(count).map_err(|_| Code::INVALID_ARGUMENT)? {
            let at = values.at(place);
            at.set(field_value(store, &state, gpu, at.get()?))?;
        }
        Ok(())
    }
}

fn count_gpus(store: &Store, count: Out<c_uint>) -> Result<(), Failure> {
    Ok(count.set(c_uint::try_from(store.node().file.gpus.len()).unwrap_or(0))?)
}

fn by_index(store: &Store, index: c_uint, device: Out<Handle>) -> Result<(), Failure> {
    let gpu = usize::try_from(index).map_err(|_| Code::INVALID_ARGUMENT)?;
    machine::gpu(store.node(), &*now(store)?, gpu)?;
    Ok(device.set(Thing::Gpu(gpu).into())?)
}

fn by_pci(store: &Store, id: &str, device: Out<Handle>) -> Result<(), Failure> {
    let wanted = node::pci_numbers(id).ok_or(Code::INVALID_ARGUMENT)?;
    let same = |gpu: &node::Gpu| node::pci_numbers(&gpu.pci) == Some(wanted);
    let gpu = store.node().file.gpus.iter().position(same).ok_or(Code::NOT_FOUND)?;
    machine::gpu(store.node(), &*now(store)?, gpu)?;
    Ok(device.set(Thing::Gpu(gpu).into())?)
}

/// The handle of a GPU or of a MIG device.
pub(super) fn by_uuid(store: &Store, uuid: &str, device: Out<Handle>) -> Result<(), Failure> {
    let state = now(store)?;
    let node = store.node();
    if let Some(gpu) = node.file.gpus.iter().position(|gpu| gpu.uuid == uuid) {
        machine::gpu(node, &state, gpu)?;
        return Ok(device.set(Thing::Gpu(gpu).into())?);
    }
    let part = mig_devices(&state).find(|part| uuid_of(node, Device::Mig(*part)) == uuid);
    let part = part.ok_or(Code::NOT_FOUND)?;
    machine::gpu(node, &state, part.gpu)?;
    Ok(device.set(Thing::Mig(part).into())?)
}

/// All MIG devices of the node.
pub(super) fn mig_devices(state: &State) -> impl Iterator<Item = Part> + '_ {
    let parts = |(gpu, of_gpu): (usize, &crate::state::GpuState)| {
        let of_instance = move |instance: &crate::mig::GpuInstance| {
            let gi = instance.id;
            let part = move |compute: &crate::mig::ComputeInstance| Part {
                gpu,
                gi,
                ci: compute.id,
                serial: compute.serial,
            };
            instance.compute.iter().map(part).collect::<Vec<_>>()
        };
        of_gpu.instances.iter().flat_map(of_instance).collect::<Vec<_>>()
    };
    state.gpus.iter().enumerate().flat_map(parts)
}

fn uuid_of(node: &Node, device: Device) -> String {
    match device {
        Device::Gpu(gpu) => node.gpu(gpu).map_or_else(String::new, |(gpu, _)| gpu.uuid.clone()),
        Device::Mig(part) => machine::mig_uuid(node, part.gpu, part.gi, part.ci),
    }
}

fn pci_info(store: &Store, device: Handle, pci: Out<nvmlPciInfo_t>) -> Result<(), Failure> {
    let gpu = gpu_of(store, device)?;
    let (gpu, board) = store.node().gpu(gpu).ok_or(Code::INVALID_ARGUMENT)?;
    let (domain, bus, slot) = node::pci_numbers(&gpu.pci).ok_or(Code::UNKNOWN)?;
    Ok(pci.set(nvmlPciInfo_t {
        busIdLegacy: field(&format!("{domain:04X}:{bus:02X}:{slot:02X}.0")),
        domain,
        bus,
        device: slot,
        pciDeviceId: board.pci_device,
        pciSubSystemId: board.pci_device,
        busId: field(&format!("{domain:08X}:{bus:02X}:{slot:02X}.0")),
    })?)
}

/// Total, reserved and used bytes of a GPU or a MIG device.
fn memory_of(store: &Store, handle: Handle) -> Result<(u64, u64, u64), Failure> {
    let (device, state) = device(store, handle)?;
    let board = board(store, device)?;
    let (_, gpu) = machine::gpu(store.node(), &state, device.gpu())?;
    let part = device.mig();
    let used = gpu.processes.iter().filter(|process| {
        part.is_none_or(|part| process.gi == Some(part.gi) && process.ci == Some(part.ci))
    });
    let used = used.map(|process| process.bytes).sum();
    let instance = part.and_then(|part| find(&state, part));
    let profile = instance.and_then(|(instance, _)| board.profile(instance.profile));
    match profile {
        Some(profile) => Ok((profile.memory_mib * MIB, 0, used)),
        None => Ok((board.memory_mib * MIB, RESERVED_MIB * MIB, used)),
    }
}

fn attributes_of(board: &Board, state: &State, part: Part) -> Option<nvmlDeviceAttributes_t> {
    let (instance, compute) = find(state, part)?;
    let profile = board.profile(instance.profile)?;
    let of_compute = crate::mig::compute_profile(board, instance, compute.profile)?;
    let [copy, decoder, encoder, jpeg, ofa] = profile.engines;
    Some(nvmlDeviceAttributes_t {
        multiprocessorCount: of_compute.multiprocessors,
        sharedCopyEngineCount: copy,
        sharedDecoderCount: decoder,
        sharedEncoderCount: encoder,
        sharedJpegCount: jpeg,
        sharedOfaCount: ofa,
        gpuInstanceSliceCount: profile.slices,
        computeInstanceSliceCount: compute.size,
        memorySizeMB: c_ulonglong::from(profile.memory_mib),
    })
}

fn field_value(
    store: &Store,
    state: &State,
    gpu: usize,
    asked: nvmlFieldValue_t,
) -> nvmlFieldValue_t {
    let board = store.node().boards.get(gpu);
    let of_gpu = state.gpus.get(gpu);
    let number = match asked.fieldId {
        field_id::NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED => board
            .filter(|board| board.has_mig())
            .map(|board| u32::from(!board.mig_mode_needs_reset)),
        field_id::NVML_FI_DEV_IS_MIG_MODE_INDEPENDENT_MIG_QUERY_CAPABLE => {
            board.map(|board| u32::from(board.has_mig()))
        }
        field_id::NVML_FI_DEV_GET_GPU_RECOVERY_ACTION => {
            of_gpu.map(|gpu| u32::from(!gpu.xids.is_empty()))
        }
        _ => None,
    };
    let code = if number.is_some() { 0 } else { Code::NOT_SUPPORTED.0 };
    let value = nvmlValue_t { uiVal: number.unwrap_or(0) };
    nvmlFieldValue_t {
        timestamp: 0,
        latencyUsec: 0,
        valueType: UNSIGNED_INT,
        nvmlReturn: code,
        value,
        ..asked
    }
}

/// The version number of a struct: its size, and the version in the upper byte.
pub(super) fn version_of<T>(version: u32) -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(0) | version << 24
}
