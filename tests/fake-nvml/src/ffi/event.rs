//! Event sets: XID errors, as `fake-node xid` makes them.

use super::device::{gpu_of, now};
use super::export;
use super::handle::{Handle, Thing};
use super::pointer::Out;
use crate::code::Code;
use crate::state::{Failure, State, Store};
use nvml_wrapper_sys::bindings::{nvmlEventData_t, nvmlEventTypeXidCriticalError};
use std::os::raw::{c_uint, c_ulonglong};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Stands for no GPU or compute instance.
const NO_INSTANCE: c_uint = c_uint::MAX;
const XID: c_ulonglong = nvmlEventTypeXidCriticalError as c_ulonglong;

/// How often a waiting process looks.
const LOOK: Duration = Duration::from_millis(5);

/// The GPUs that a set watches, each with the number of its XIDs that were seen.
type Watched = Vec<(usize, usize)>;

/// The sets of this process, by their handle's number less one. Freed ones stay, empty.
static SETS: Mutex<Vec<Option<Watched>>> = Mutex::new(vec![]);

fn sets() -> MutexGuard<'static, Vec<Option<Watched>>> {
    SETS.lock().unwrap_or_else(PoisonError::into_inner)
}

export! {
    query nvmlEventSetCreate(set: Out<usize>) |_| {
        let mut sets = sets();
        sets.push(Some(vec![]));
        Ok(set.set(sets.len())?)
    }

    query nvmlEventSetFree(set: usize) |_| {
        let mut sets = sets();
        let watched = set.checked_sub(1).and_then(|place| sets.get_mut(place));
        *watched.ok_or(Code::INVALID_ARGUMENT)? = None;
        Ok(())
    }

    query nvmlDeviceGetSupportedEventTypes(device: Handle, types: Out<c_ulonglong>) |store| {
        gpu_of(store, device)?;
        Ok(types.set(XID)?)
    }

    query nvmlDeviceRegisterEvents(device: Handle, types: c_ulonglong, set: usize) |store| {
        let state = now(store)?;
        let gpu = device.gpu(store.node(), &state)?;
        if types & !XID != 0 {
            return Err(Code::NOT_SUPPORTED.into());
        }
        let seen = state.gpus.get(gpu).map_or(0, |gpu| gpu.xids.len());
        with_set(set, |watched| watched.push((gpu, seen)))
    }

    query nvmlEventSetWait_v2(set: usize, data: Out<nvmlEventData_t>, timeout_ms: c_uint) |store| {
        wait(store, set, data, timeout_ms)
    }

    query nvmlEventSetWait(set: usize, data: Out<nvmlEventData_t>, timeout_ms: c_uint) |store| {
        wait(store, set, data, timeout_ms)
    }
}

fn with_set<T>(set: usize, act: impl FnOnce(&mut Watched) -> T) -> Result<T, Failure> {
    let mut sets = sets();
    let watched = set.checked_sub(1).and_then(|place| sets.get_mut(place));
    Ok(act(watched.and_then(Option::as_mut).ok_or(Code::INVALID_ARGUMENT)?))
}

fn wait(
    store: &Store,
    set: usize,
    data: Out<nvmlEventData_t>,
    timeout_ms: c_uint,
) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_millis(timeout_ms.into());
    loop {
        let state = now(store)?;
        if let Some((gpu, xid)) = with_set(set, |watched| next(&state, watched))? {
            return Ok(data.set(nvmlEventData_t {
                device: Handle::from(Thing::Gpu(gpu)).pointer(),
                eventType: XID,
                eventData: xid.into(),
                gpuInstanceId: NO_INSTANCE,
                computeInstanceId: NO_INSTANCE,
            })?);
        }
        if Instant::now() >= end {
            return Err(Code::TIMEOUT.into());
        }
        thread::sleep(LOOK);
    }
}

/// The first XID that was not seen yet, and marks it seen.
fn next(state: &State, watched: &mut Watched) -> Option<(usize, u32)> {
    watched.iter_mut().find_map(|(gpu, seen)| {
        let xid = *state.gpus.get(*gpu)?.xids.get(*seen)?;
        *seen += 1;
        Some((*gpu, xid))
    })
}
