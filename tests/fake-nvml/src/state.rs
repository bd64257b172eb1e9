//! `state.json`: what has happened on the node since it started, shared by all processes.
//!
//! A change is made under an exclusive lock on `state.lock`, written beside the file and renamed.
//! The lock file also holds a counter of changes: a process whose copy has the same count reads
//! nothing again, so a call costs one small read.

use crate::capabilities;
use crate::code::Code;
use crate::mig::{self, GpuInstance, Wish};
use crate::node::{MigDevice, Node};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The changeable part of a node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct State {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// By NVML index.
    pub gpus: Vec<GpuState>,
    /// How many instances were ever made.
    pub serial: u32,
}

/// The changeable part of a GPU.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct GpuState {
    /// Whether MIG mode is on.
    pub mig: bool,
    /// Whether it will be on after the next reset.
    pub mig_pending: bool,
    /// Whether it has fallen off the bus.
    pub lost: bool,
    /// `nvmlComputeMode_t`.
    pub compute_mode: u32,
    /// Persistence mode.
    pub persistence: bool,
    /// The time-slice interval, 0 (default) to 3 (long).
    pub time_slice: u32,
    /// GPU instances, by id.
    pub instances: Vec<GpuInstance>,
    /// Processes that `fake-node process` registered.
    pub processes: Vec<Process>,
    /// XID errors since the last reset, oldest first.
    #[serde(default)]
    pub xids: Vec<u32>,
}

/// A process on a GPU.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its pid, which need not exist.
    pub pid: u32,
    /// GPU memory it uses.
    pub bytes: u64,
    /// What it does there.
    pub kind: ProcessKind,
    /// The GPU instance it runs in.
    pub gi: Option<u32>,
    /// The compute instance it runs in.
    pub ci: Option<u32>,
}

/// What a process does on a GPU: the list it appears in.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[derive(clap::ValueEnum)]
pub enum ProcessKind {
    /// Computes.
    #[default]
    Compute,
    /// Computes through MPS.
    Mps,
    /// Draws.
    Graphics,
}

impl State {
    /// The state of a node that has just started.
    pub fn fresh(node: &Node, boot_id: String) -> Result<State, String> {
        let mut state = State { boot_id, gpus: vec![], serial: 0 };
        for (index, (gpu, board)) in node.file.gpus.iter().zip(&node.boards).enumerate() {
            let mut of_gpu = GpuState {
                mig: gpu.mig,
                mig_pending: gpu.mig,
                lost: gpu.lost,
                ..GpuState::default()
            };
            for device in &gpu.mig_devices {
                state.serial += 2;
                let made = make_device(board, &mut of_gpu.instances, device, state.serial);
                made.map_err(|why| format!("GPU {index}: MIG device {}: {why}", device.profile))?;
            }
            state.gpus.push(of_gpu);
        }
        Ok(state)
    }
}

fn make_device(
    board: &crate::board::Board,
    instances: &mut Vec<GpuInstance>,
    device: &MigDevice,
    serial: u32,
) -> Result<(), String> {
    let profile = board.profiles.iter().find(|profile| profile.name == device.profile);
    let profile = profile.ok_or_else(|| format!("a {} has no such profile", board.key))?;
    let wish = Wish { start: device.start, size: None, id: device.gi };
    let gi = mig::create_gpu_instance(board, instances, profile.id, wish, serial - 1);
    let gi = gi.map_err(|code| format!("the GPU instance can't be made: {code:?}"))?;
    let whole =
        whole_compute_profile(profile).ok_or("it has no compute profile of its own size")?;
    let compute =
        mig::create_compute_instance(board, instances, (gi, whole), Wish::default(), serial);
    compute.map_err(|code| format!("the compute instance can't be made: {code:?}"))?;
    Ok(())
}

/// The compute profile that takes all of a GPU instance: the one for a single GPU, and for `+me`
/// the one with the media engines.
pub fn whole_compute_profile(profile: &crate::board::Profile) -> Option<u32> {
    let all = profile.compute_profiles();
    let mut whole = all.iter().filter(|compute| compute.slices == profile.slices);
    let media = whole.clone().find(|compute| compute.listed == 7);
    media.or_else(|| whole.next()).map(|compute| compute.id)
}

/// The state of one node, as this process sees it.
#[derive(Debug)]
pub struct Store {
    node: Arc<Node>,
    lock: File,
    copy: Mutex<Option<(u64, Arc<State>)>>,
}

/// A change that a store could not make.
#[derive(Debug)]
pub enum Failure {
    /// NVML's answer to what was asked.
    Refused(Code),
    /// The files of the node can't be read or written.
    Files(String),
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Failure::Refused(code)
    }
}

impl Store {
    /// Opens the state of a node; the first to do so writes it.
    pub fn open(node: Arc<Node>) -> Result<Store, String> {
        let path = node.path("state.lock");
        let mut options = OpenOptions::new();
        let lock = options.read(true).write(true).create(true).truncate(false).open(&path);
        // Who may only read the node's folder still sees it.
        let lock = lock.or_else(|_| File::open(&path));
        let lock = lock.map_err(|error| format!("{}: {error}", path.display()))?;
        let store = Store { node, lock, copy: Mutex::new(None) };
        if !store.path().exists() {
            store.change(|_| Ok(())).map_err(|failure| format!("{failure:?}"))?;
        }
        Ok(store)
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The state now.
    pub fn now(&self) -> Result<Arc<State>, String> {
        let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = self.count();
        if let Some((count, state)) = copy.as_ref()
            && *count == counted
        {
            return Ok(Arc::clone(state));
        }
        let _shared = self.lock(FlockOperation::LockShared)?;
        let state = Arc::new(self.read()?);
        *copy = Some((self.count(), Arc::clone(&state)));
        Ok(state)
    }

    /// Makes one change, alone among all processes. What fails changes nothing.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, Code>,
    ) -> Result<T, Failure> {
        let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        let _alone = self.lock(FlockOperation::LockExclusive).map_err(Failure::Files)?;
        let count = self.count();
        let known = copy.as_ref().filter(|(counted, _)| *counted == count);
        let before = match known {
            Some((_, state)) => Arc::clone(state),
            None => Arc::new(self.read().map_err(Failure::Files)?),
        };
        let mut state = State::clone(&before);
        let answer = change(&mut state)?;
        // Odd while a change is under way: should this process die in it, the others read again,
        // and the next change mends all that hangs on the state.
        let odd = (count + 1) | 1;
        self.set_count(odd)?;
        self.write(&state).map_err(Failure::Files)?;
        let whole = count.is_multiple_of(2) && count > 0;
        let published = capabilities::publish(&self.node, &state, whole.then_some(&before));
        published.map_err(Failure::Files)?;
        self.set_count(odd + 1)?;
        *copy = Some((odd + 1, Arc::new(state)));
        Ok(answer)
    }

    fn path(&self) -> PathBuf {
        self.node.path("state.json")
    }

    fn set_count(&self, count: u64) -> Result<(), Failure> {
        let counted = self.lock.write_all_at(&count.to_ne_bytes(), 0);
        counted.map_err(|error| Failure::Files(format!("state.lock: {error}")))
    }

    /// Grows by 2 with each change.
    fn count(&self) -> u64 {
        let mut bytes = [0; 8];
        self.lock.read_exact_at(&mut bytes, 0).map_or(0, |()| u64::from_ne_bytes(bytes))
    }

    fn lock(&self, how: FlockOperation) -> Result<Locked<'_>, String> {
        loop {
            match flock(&self.lock, how) {
                Ok(()) => return Ok(Locked(&self.lock)),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    return Err(format!("{}: {error}", self.node.path("state.lock").display()));
                }
            }
        }
    }

    fn read(&self) -> Result<State, String> {
        let path = self.path();
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.first(),
            text => text.map_err(|error| format!("{}: {error}", path.display()))?,
        };
        let state = serde_json::from_str(&text);
        state.map_err(|error| format!("{}: {error}", path.display()))
    }

    fn first(&self) -> Result<State, String> {
        let why = |why| format!("{}: {why}", self.node.path(crate::node::FILE).display());
        State::fresh(&self.node, new_boot_id()).map_err(why)
    }

    fn write(&self, state: &State) -> Result<(), String> {
        let path = self.path();
        let beside = self.node.path("state.json.new");
        let text = serde_json::to_vec(state).map_err(|error| error.to_string())?;
        let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &path));
        written.map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Unlocks when it goes: another descriptor of the same file in this process is another lock.
struct Locked<'a>(&'a File);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Closing the file unlocks it too: a failure here has no consequence to report.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

/// A boot id that no boot had.
pub fn new_boot_id() -> String {
    let real = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
    real.map_or_else(|_| "00000000-0000-4000-8000-000000000000".into(), |id| id.trim().into())
}

#[cfg(test)]
mod tests;
