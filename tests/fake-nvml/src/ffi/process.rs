//! Processes on a GPU, in the lists that NVML keeps of them.

use super::device::{device, now};
use super::export;
use super::handle::Handle;
use super::pointer::Out;
use crate::code::Code;
use crate::machine;
use crate::state::{Failure, Process, ProcessKind, Store};
use nvml_wrapper_sys::bindings::{
    nvmlProcessInfo_t, nvmlProcessInfo_v1_t, nvmlProcessUtilizationSample_t,
};
use std::os::raw::{c_uint, c_ulonglong};

/// Stands for no GPU or compute instance.
const NO_INSTANCE: c_uint = c_uint::MAX;

export! {
    query nvmlDeviceGetComputeRunningProcesses_v3(device: Handle, count: Out<c_uint>, infos: Out<nvmlProcessInfo_t>) |store| {
        processes(store, device, ProcessKind::Compute, (count, infos))
    }

    query nvmlDeviceGetComputeRunningProcesses_v2(device: Handle, count: Out<c_uint>, infos: Out<nvmlProcessInfo_t>) |store| {
        processes(store, device, ProcessKind::Compute, (count, infos))
    }

    query nvmlDeviceGetGraphicsRunningProcesses_v3(device: Handle, count: Out<c_uint>, infos: Out<nvmlProcessInfo_t>) |store| {
        processes(store, device, ProcessKind::Graphics, (count, infos))
    }

    query nvmlDeviceGetMPSComputeRunningProcesses_v3(device: Handle, count: Out<c_uint>, infos: Out<nvmlProcessInfo_t>) |store| {
        processes(store, device, ProcessKind::Mps, (count, infos))
    }

    query nvmlDeviceGetMPSComputeRunningProcesses_v2(device: Handle, count: Out<c_uint>, infos: Out<nvmlProcessInfo_t>) |store| {
        processes(store, device, ProcessKind::Mps, (count, infos))
    }

    query nvmlDeviceGetComputeRunningProcesses(device: Handle, count: Out<c_uint>, infos: Out<nvmlProcessInfo_v1_t>) |store| {
        let found = running(store, device, ProcessKind::Compute)?;
        let short = |info: &nvmlProcessInfo_t| nvmlProcessInfo_v1_t { pid: info.pid, usedGpuMemory: info.usedGpuMemory };
        Ok(infos.list(count, &found.iter().map(short).collect::<Vec<_>>())?)
    }

    query nvmlDeviceGetProcessUtilization(
        handle: Handle,
        samples: Out<nvmlProcessUtilizationSample_t>,
        count: Out<c_uint>,
        last_seen: c_ulonglong,
    ) |store| {
        let state = now(store)?;
        let gpu = handle.gpu(store.node(), &state)?;
        let (_, gpu) = machine::gpu(store.node(), &state, gpu)?;
        if gpu.mig {
            return Err(Code::NOT_SUPPORTED.into());
        }
        if gpu.processes.is_empty() {
            return Err(Code::NOT_FOUND.into());
        }
        let busy = gpu.processes.iter().map(|process| sample(process, last_seen + 1)).collect::<Vec<_>>();
        Ok(samples.list(count, &busy)?)
    }
}

fn processes(
    store: &Store,
    device: Handle,
    kind: ProcessKind,
    (count, infos): (Out<c_uint>, Out<nvmlProcessInfo_t>),
) -> Result<(), Failure> {
    Ok(infos.list(count, &running(store, device, kind)?)?)
}

/// Those on a GPU, in its instances too, or on a MIG device.
fn running(
    store: &Store,
    handle: Handle,
    kind: ProcessKind,
) -> Result<Vec<nvmlProcessInfo_t>, Failure> {
    let (device, state) = device(store, handle)?;
    let (_, gpu) = machine::gpu(store.node(), &state, device.gpu())?;
    let here = |process: &&Process| {
        let inside = device
            .mig()
            .is_none_or(|part| process.gi == Some(part.gi) && process.ci == Some(part.ci));
        process.kind == kind && inside
    };
    let found = gpu.processes.iter().filter(here).map(|process| nvmlProcessInfo_t {
        pid: process.pid,
        usedGpuMemory: process.bytes,
        gpuInstanceId: process.gi.unwrap_or(NO_INSTANCE),
        computeInstanceId: process.ci.unwrap_or(NO_INSTANCE),
    });
    Ok(found.collect())
}

/// Every process is as busy as every other.
fn sample(process: &Process, time: u64) -> nvmlProcessUtilizationSample_t {
    nvmlProcessUtilizationSample_t {
        pid: process.pid,
        timeStamp: time,
        smUtil: 10,
        memUtil: 5,
        encUtil: 0,
        decUtil: 0,
    }
}
