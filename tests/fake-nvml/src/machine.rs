//! What the driver does to a GPU when it is asked: changes of a node's state, without I/O.

use crate::board::Board;
use crate::code::Code;
use crate::mig::{self, Wish};
use crate::node::Node;
use crate::state::{GpuState, Process, State};

/// `NVML_COMPUTEMODE_EXCLUSIVE_THREAD`, which no driver serves any more.
const EXCLUSIVE_THREAD: u32 = 1;
const LAST_COMPUTE_MODE: u32 = 3;
/// The longest time-slice interval.
const LAST_TIME_SLICE: u32 = 3;

/// A GPU that answers, and its board.
pub fn gpu<'a>(
    node: &'a Node,
    state: &'a State,
    index: usize,
) -> Result<(&'a Board, &'a GpuState), Code> {
    let (board, gpu) =
        node.boards.get(index).zip(state.gpus.get(index)).ok_or(Code::INVALID_ARGUMENT)?;
    if gpu.lost { Err(Code::GPU_IS_LOST) } else { Ok((board, gpu)) }
}

fn gpu_mut<'a>(
    node: &'a Node,
    state: &'a mut State,
    index: usize,
) -> Result<(&'a Board, &'a mut GpuState), Code> {
    gpu(node, state, index)?;
    node.boards.get(index).zip(state.gpus.get_mut(index)).ok_or(Code::INVALID_ARGUMENT)
}

/// As [`gpu`], where MIG mode is on; NOT_SUPPORTED where it is off or can't be on.
pub fn mig_gpu<'a>(
    node: &'a Node,
    state: &'a State,
    index: usize,
) -> Result<(&'a Board, &'a GpuState), Code> {
    let (board, gpu) = gpu(node, state, index)?;
    if gpu.mig { Ok((board, gpu)) } else { Err(Code::NOT_SUPPORTED) }
}

/// Sets the MIG mode to be. `Ok` holds the activation status: `Some` where the mode waits, for a
/// reset or for the GPU to be idle.
pub fn set_mig_mode(
    node: &Node,
    state: &mut State,
    index: usize,
    on: bool,
) -> Result<Option<Code>, Code> {
    let (board, gpu) = gpu_mut(node, state, index)?;
    if !board.has_mig() {
        return Err(Code::NOT_SUPPORTED);
    }
    gpu.mig_pending = on;
    if gpu.mig == on {
        return Ok(None);
    }
    if !gpu.processes.is_empty() || !gpu.instances.is_empty() {
        return Ok(Some(Code::IN_USE));
    }
    if board.mig_mode_needs_reset {
        return Ok(Some(Code::RESET_REQUIRED));
    }
    gpu.mig = on;
    gpu.compute_mode = 0;
    Ok(None)
}

/// Sets the compute mode of a whole GPU. One that is cut has none of its own.
pub fn set_compute_mode(
    node: &Node,
    state: &mut State,
    index: usize,
    mode: u32,
) -> Result<(), Code> {
    let (_, gpu) = gpu_mut(node, state, index)?;
    known_compute_mode(mode)?;
    if gpu.mig {
        return Err(Code::NOT_SUPPORTED);
    }
    gpu.compute_mode = mode;
    Ok(())
}

/// Sets the compute mode of a MIG device, where the node allows it.
pub fn set_mig_compute_mode(
    node: &Node,
    state: &mut State,
    device: (usize, u32, u32),
    mode: u32,
) -> Result<(), Code> {
    let (index, gi, ci) = device;
    let (_, gpu) = gpu_mut(node, state, index)?;
    known_compute_mode(mode)?;
    if !node.file.nvml.compute_mode_on_mig {
        return Err(Code::NOT_SUPPORTED);
    }
    let instance = gpu.instances.iter_mut().find(|instance| instance.id == gi);
    let compute =
        instance.and_then(|instance| instance.compute.iter_mut().find(|compute| compute.id == ci));
    compute.ok_or(Code::NOT_FOUND)?.compute_mode = mode;
    Ok(())
}

fn known_compute_mode(mode: u32) -> Result<(), Code> {
    match mode {
        EXCLUSIVE_THREAD => Err(Code::NOT_SUPPORTED),
        0..=LAST_COMPUTE_MODE => Ok(()),
        _ => Err(Code::INVALID_ARGUMENT),
    }
}

/// Sets persistence mode.
pub fn set_persistence(node: &Node, state: &mut State, index: usize, on: bool) -> Result<(), Code> {
    gpu_mut(node, state, index)?.1.persistence = on;
    Ok(())
}

/// Sets the time-slice interval, as `nvidia-smi compute-policy` does.
pub fn set_time_slice(
    node: &Node,
    state: &mut State,
    index: usize,
    interval: u32,
) -> Result<(), Code> {
    let allowed = node.gpu(index).is_some_and(|(gpu, _)| gpu.time_slice);
    let (_, gpu) = gpu_mut(node, state, index)?;
    if !allowed || gpu.mig {
        return Err(Code::NOT_SUPPORTED);
    }
    if interval > LAST_TIME_SLICE {
        return Err(Code::INVALID_ARGUMENT);
    }
    gpu.time_slice = interval;
    Ok(())
}

/// Makes a GPU instance and returns its id and serial.
pub fn create_gpu_instance(
    node: &Node,
    state: &mut State,
    (index, profile): (usize, u32),
    wish: Wish,
) -> Result<(u32, u32), Code> {
    let serial = state.serial + 1;
    mig_gpu(node, state, index)?;
    let (board, gpu) = gpu_mut(node, state, index)?;
    let id = mig::create_gpu_instance(board, &mut gpu.instances, profile, wish, serial)?;
    state.serial = serial;
    Ok((id, serial))
}

/// Removes a GPU instance that holds nothing.
pub fn destroy_gpu_instance(
    node: &Node,
    state: &mut State,
    index: usize,
    gi: u32,
) -> Result<(), Code> {
    let (_, gpu) = gpu_mut(node, state, index)?;
    if gpu.processes.iter().any(|process| process.gi == Some(gi)) {
        return Err(Code::IN_USE);
    }
    mig::destroy_gpu_instance(&mut gpu.instances, gi)
}

/// Makes a compute instance and returns its id and serial.
pub fn create_compute_instance(
    node: &Node,
    state: &mut State,
    (index, gi, profile): (usize, u32, u32),
    wish: Wish,
) -> Result<(u32, u32), Code> {
    let serial = state.serial + 1;
    let (board, gpu) = gpu_mut(node, state, index)?;
    let id = mig::create_compute_instance(board, &mut gpu.instances, (gi, profile), wish, serial)?;
    state.serial = serial;
    Ok((id, serial))
}

/// Removes a compute instance that no process runs in.
pub fn destroy_compute_instance(
    node: &Node,
    state: &mut State,
    (index, gi, ci): (usize, u32, u32),
) -> Result<(), Code> {
    let (_, gpu) = gpu_mut(node, state, index)?;
    if gpu.processes.iter().any(|process| process.gi == Some(gi) && process.ci == Some(ci)) {
        return Err(Code::IN_USE);
    }
    mig::destroy_compute_instance(&mut gpu.instances, gi, ci)
}

/// Registers a process on a GPU or in the compute instance that it names. A GPU that is cut has
/// none outside its instances.
pub fn add_process(
    node: &Node,
    state: &mut State,
    index: usize,
    process: Process,
) -> Result<(), Code> {
    let (_, gpu) = gpu_mut(node, state, index)?;
    let place = process.gi.zip(process.ci);
    let exists = |(gi, ci): (u32, u32)| {
        let instance = gpu.instances.iter().find(|instance| instance.id == gi);
        instance.is_some_and(|instance| instance.compute.iter().any(|compute| compute.id == ci))
    };
    match (gpu.mig, place) {
        (false, None) => {}
        (true, Some(place)) if exists(place) => {}
        (true, Some(_)) => return Err(Code::NOT_FOUND),
        (true, None) | (false, Some(_)) => return Err(Code::INVALID_ARGUMENT),
    }
    gpu.processes.push(process);
    Ok(())
}

/// Resets a GPU: its instances go, its pending MIG mode becomes real.
pub fn reset(state: &mut State, index: usize) -> Result<(), Code> {
    let gpu = state.gpus.get_mut(index).ok_or(Code::INVALID_ARGUMENT)?;
    if !gpu.processes.is_empty() {
        return Err(Code::IN_USE);
    }
    let mig = gpu.mig_pending;
    *gpu = GpuState { mig, mig_pending: mig, persistence: gpu.persistence, ..GpuState::default() };
    Ok(())
}

/// Starts the driver again, in a boot of that id. Ampere keeps its MIG mode; later GPUs start
/// with MIG off.
pub fn restart(node: &Node, state: &mut State, boot_id: String) {
    for (gpu, board) in state.gpus.iter_mut().zip(&node.boards) {
        let mig = gpu.mig_pending && board.mig_mode_needs_reset;
        *gpu = GpuState { mig, mig_pending: mig, ..GpuState::default() };
    }
    state.boot_id = boot_id;
}

/// The UUID of a MIG device.
pub fn mig_uuid(node: &Node, index: usize, gi: u32, ci: u32) -> String {
    let Some((gpu, _)) = node.gpu(index) else { return String::new() };
    let given = gpu.mig_devices.iter().find(|device| device.gi == Some(gi) && ci == 0);
    let given = given.and_then(|device| device.uuid.clone());
    given.unwrap_or_else(|| mig::uuid(&gpu.uuid, gi, ci))
}

#[cfg(test)]
mod tests;
