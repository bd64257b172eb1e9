//! The command line of `fake-node`.

use super::create::{Create, exports};
use super::{answer, say};
use clap::{Parser, Subcommand, ValueEnum};
use fake_nvml::code::{Code, sentence};
use fake_nvml::machine;
use fake_nvml::mig::Wish;
use fake_nvml::node::{self, Node};
use fake_nvml::state::{self, Failure, Process, ProcessKind, State, Store};
use fake_nvml::tree;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Makes simulated nodes with NVIDIA GPUs, and makes things happen on them.
#[derive(Debug, Parser)]
#[command(name = "fake-node", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a node into a folder and print the variables to export
    Create(Create),
    /// Print the variables to export
    Env { dir: PathBuf },
    /// Show what is on the node
    Show { dir: PathBuf },
    /// List the GPU models
    Models,
    /// Change MIG mode, as if a reset had followed, or create and destroy MIG devices
    Mig {
        dir: PathBuf,
        /// NVML index of the GPU
        gpu: usize,
        #[command(subcommand)]
        what: Mig,
    },
    /// Register or remove a process on a GPU or MIG device
    Process {
        dir: PathBuf,
        /// GPU[:GPU-INSTANCE[:COMPUTE-INSTANCE]]
        place: String,
        #[command(subcommand)]
        what: ProcessChange,
    },
    /// Let a GPU fall off the bus; `reset` or `reboot` brings it back
    Lose { dir: PathBuf, gpu: usize },
    /// Let a GPU report an XID error
    Xid { dir: PathBuf, gpu: usize, xid: u32 },
    /// Reset a GPU: its instances go, a pending MIG mode becomes real
    Reset { dir: PathBuf, gpu: usize },
    /// Reboot: instances and processes go, modes fall back, the boot id is new
    Reboot {
        dir: PathBuf,
        /// Empty state/ and cdi/ too, as a boot empties /run
        #[arg(long)]
        clear_run: bool,
    },
    /// Unload and load the driver: as a reboot, but the boot goes on
    Reload { dir: PathBuf },
    /// Make the capability nodes of all MIG devices that exist
    Caps { dir: PathBuf },
}

#[derive(Debug, Subcommand)]
enum Mig {
    /// Turn MIG mode on
    On,
    /// Turn MIG mode off
    Off,
    /// Create MIG devices: PROFILE or PROFILE@START
    Create { profiles: Vec<String> },
    /// Destroy a GPU instance and the compute instances in it
    Destroy { gi: u32 },
}

#[derive(Debug, Subcommand)]
enum ProcessChange {
    /// Register a process
    Add {
        pid: u32,
        /// GPU memory it uses
        #[arg(default_value_t = 1 << 30)]
        bytes: u64,
        #[arg(long, default_value = "compute")]
        kind: ProcessKind,
    },
    /// Remove a process
    Rm { pid: u32 },
}

/// `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl Switch {
    pub(crate) fn is_on(self) -> bool {
        self == Switch::On
    }
}

/// Runs the command line: exit code 1 and a sentence where it fails.
pub(crate) fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(text) => {
            answer(&text);
            ExitCode::SUCCESS
        }
        Err(why) => {
            say(&format!("error: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<String, String> {
    match command {
        Command::Create(create) => return create.run(),
        Command::Env { dir } => return Ok(exports(&open(&dir)?.node().dir)),
        Command::Show { dir } => return show(&open(&dir)?),
        Command::Models => {
            return Ok(fake_nvml::board::Board::keys().map(|key| format!("{key}\n")).collect());
        }
        Command::Mig { dir, gpu, what } => mig(&open(&dir)?, gpu, what)?,
        Command::Process { dir, place, what } => process(&open(&dir)?, &place, what)?,
        Command::Lose { dir, gpu } => on_gpu(&open(&dir)?, gpu, |gpu| gpu.lost = true)?,
        Command::Xid { dir, gpu, xid } => on_gpu(&open(&dir)?, gpu, |gpu| gpu.xids.push(xid))?,
        Command::Reset { dir, gpu } => change(&open(&dir)?, |state, _| machine::reset(state, gpu))?,
        Command::Reboot { dir, clear_run } => reboot(&open(&dir)?, clear_run)?,
        Command::Reload { dir } => restart(&open(&dir)?, None)?,
        Command::Caps { dir } => {
            let store = open(&dir)?;
            tree::capability_nodes(store.node(), &*store.now()?)?;
        }
    }
    Ok(String::new())
}

fn open(dir: &Path) -> Result<Store, String> {
    let dir = dir.canonicalize().map_err(|error| format!("{}: {error}", dir.display()))?;
    if !dir.join(node::FILE).is_file() {
        return Err(format!("{}: no node: make one with `fake-node create`", dir.display()));
    }
    Store::open(Arc::new(Node::read(&dir)?))
}

fn change(
    store: &Store,
    act: impl FnOnce(&mut State, &Node) -> Result<(), Code>,
) -> Result<(), String> {
    match store.change(|state| act(state, store.node())) {
        Ok(()) => Ok(()),
        Err(Failure::Files(why)) => Err(why),
        Err(Failure::Refused(code)) => Err(format!("NVML says {code:?}: {}", sentence(code.0))),
    }
}

fn on_gpu(store: &Store, gpu: usize, act: impl FnOnce(&mut state::GpuState)) -> Result<(), String> {
    change(store, |state, _| {
        act(state.gpus.get_mut(gpu).ok_or(Code::INVALID_ARGUMENT)?);
        Ok(())
    })
}

fn mig(store: &Store, gpu: usize, what: Mig) -> Result<(), String> {
    match what {
        Mig::On => change(store, |state, node| switch_mig(node, state, gpu, true)),
        Mig::Off => change(store, |state, node| switch_mig(node, state, gpu, false)),
        Mig::Create { profiles } => profiles.iter().try_for_each(|text| {
            change(store, |state, node| create_device(node, state, gpu, text))
        }),
        Mig::Destroy { gi } => change(store, |state, node| destroy_device(node, state, gpu, gi)),
    }
}

fn switch_mig(node: &Node, state: &mut State, gpu: usize, on: bool) -> Result<(), Code> {
    match machine::set_mig_mode(node, state, gpu, on)? {
        Some(Code::RESET_REQUIRED) => machine::reset(state, gpu),
        Some(waits) => Err(waits),
        None => Ok(()),
    }
}

fn create_device(node: &Node, state: &mut State, gpu: usize, text: &str) -> Result<(), Code> {
    let (name, start) = match text.split_once('@') {
        Some((name, start)) => (name, Some(start.parse().map_err(|_| Code::INVALID_ARGUMENT)?)),
        None => (text, None),
    };
    let board = node.boards.get(gpu).ok_or(Code::INVALID_ARGUMENT)?;
    let profile =
        board.profiles.iter().find(|profile| profile.name == name).ok_or(Code::NOT_SUPPORTED)?;
    let wish = Wish { start, ..Wish::default() };
    let (gi, _) = machine::create_gpu_instance(node, state, (gpu, profile.id), wish)?;
    let whole = state::whole_compute_profile(profile).ok_or(Code::NOT_SUPPORTED)?;
    machine::create_compute_instance(node, state, (gpu, gi, whole), Wish::default())?;
    Ok(())
}

fn destroy_device(node: &Node, state: &mut State, gpu: usize, gi: u32) -> Result<(), Code> {
    let (_, of_gpu) = machine::mig_gpu(node, state, gpu)?;
    let instance =
        of_gpu.instances.iter().find(|instance| instance.id == gi).ok_or(Code::NOT_FOUND)?;
    let computes: Vec<u32> = instance.compute.iter().map(|compute| compute.id).collect();
    for ci in computes {
        machine::destroy_compute_instance(node, state, (gpu, gi, ci))?;
    }
    machine::destroy_gpu_instance(node, state, gpu, gi)
}

fn process(store: &Store, place: &str, what: ProcessChange) -> Result<(), String> {
    let mut parts =
        place.split(':').map(|part| part.parse::<u32>().map_err(|_| format!("{place}: no place")));
    let gpu = parts.next().transpose()?.unwrap_or(0);
    let gpu = usize::try_from(gpu).map_err(|_| format!("{place}: no GPU"))?;
    let gi = parts.next().transpose()?;
    let ci = parts.next().transpose()?.or_else(|| gi.map(|_| 0));
    match what {
        ProcessChange::Add { pid, bytes, kind } => {
            let process = Process { pid, bytes, kind, gi, ci };
            change(store, |state, node| machine::add_process(node, state, gpu, process))
        }
        ProcessChange::Rm { pid } => {
            on_gpu(store, gpu, |gpu| gpu.processes.retain(|process| process.pid != pid))
        }
    }
}

fn reboot(store: &Store, clear_run: bool) -> Result<(), String> {
    restart(store, Some(state::new_boot_id()))?;
    let node = store.node();
    if clear_run {
        for folder in ["state", "cdi"].map(|name| node.path(name)) {
            let cleared =
                std::fs::remove_dir_all(&folder).and_then(|()| std::fs::create_dir(&folder));
            cleared.map_err(|error| format!("{}: {error}", folder.display()))?;
        }
    }
    Ok(())
}

/// What a boot and a load of the driver have in common.
fn restart(store: &Store, boot_id: Option<String>) -> Result<(), String> {
    change(store, |state, node| {
        let boot_id = boot_id.unwrap_or_else(|| state.boot_id.clone());
        machine::restart(node, state, boot_id);
        Ok(())
    })?;
    let node = store.node();
    tree::write_boot_id(node, &*store.now()?)?;
    tree::load_driver(node)?;
    tree::remove_capability_nodes(node)
}

fn show(store: &Store) -> Result<String, String> {
    let (node, state) = (store.node(), store.now()?);
    let mut text = format!("driver {}, boot {}\n", node.file.driver_version, state.boot_id);
    for (index, (gpu, of_gpu)) in node.file.gpus.iter().zip(&state.gpus).enumerate() {
        let mig = if of_gpu.mig { "on" } else { "off" };
        let _ = writeln!(
            text,
            "GPU {index}: {} {} {} MIG {mig}{}",
            gpu.board,
            gpu.uuid,
            gpu.pci,
            marks(of_gpu)
        );
        for instance in &of_gpu.instances {
            let profile = node.boards.get(index).and_then(|board| board.profile(instance.profile));
            let name = profile.map_or("?", |profile| &profile.name);
            let _ = writeln!(text, "  {name}@{} gi {}", instance.start, instance.id);
            for compute in &instance.compute {
                let uuid = machine::mig_uuid(node, index, instance.id, compute.id);
                let _ = writeln!(text, "    device {} ci {} {uuid}", compute.index, compute.id);
            }
        }
        for process in &of_gpu.processes {
            let _ = writeln!(
                text,
                "  pid {} {:?} {} bytes gi {:?} ci {:?}",
                process.pid, process.kind, process.bytes, process.gi, process.ci
            );
        }
    }
    Ok(text)
}

/// What is not as it was at the start.
fn marks(gpu: &state::GpuState) -> String {
    let mut marks = vec![];
    if gpu.mig != gpu.mig_pending {
        marks.push("MIG mode waits for a reset".to_owned());
    }
    if gpu.lost {
        marks.push("lost".to_owned());
    }
    if gpu.compute_mode != 0 {
        marks.push(format!("compute mode {}", gpu.compute_mode));
    }
    if gpu.time_slice != 0 {
        marks.push(format!("time slice {}", gpu.time_slice));
    }
    marks.extend(gpu.xids.iter().map(|xid| format!("XID {xid}")));
    marks.into_iter().map(|mark| format!(", {mark}")).collect()
}
