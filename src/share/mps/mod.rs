//! MPS control daemons: one for each device record, started, limited and ended.
//!
//! What NVIDIA's programs do is written at the place that deals with it; it was tried with the daemons
//! of 535.261 and 550.163.

mod client;
mod control;
mod descriptors;
mod disconnect;
mod error;
mod folder;
mod launch;
mod processes;
mod state;

pub use client::{CONTAINER_FOLDER, client_environment, client_folder};
pub use disconnect::disconnect;
pub use error::MpsError;
pub use launch::{Place, launch};
pub use processes::LAUNCH;
pub use state::{Clients, Condition, State, clients, state};

use super::{Settings, programs};
use crate::host::{Host, Liveness, ProcessRef};
use crate::request::{Memory, MpsLimits, Percent};
use control::{Answer, Control};
use folder::{Folder, Messages};
use processes::{Member, Role, members};
use rustix::process::Signal;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

const CONTROL: &str = "nvidia-cuda-mps-control";
/// How long a server must stay listed where the driver (before 545) can't be asked for its state: one
/// that finds no device is gone within a few hundredths of a second.
const SETTLED: Duration = Duration::from_millis(300);

/// What a daemon is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Its folder, from [`choose_folder`].
    pub folder: PathBuf,
    /// The GPUs and MIG devices that its clients see, by UUID, in the order of the record's targets.
    pub devices: Vec<String>,
    /// The limits that hold for every client, whatever the client's environment says.
    pub limits: MpsLimits,
    /// Whose processes may connect.
    pub uid: u32,
    /// Where the driver's libraries lie, on this host; empty where the dynamic linker finds them.
    pub library_folders: Vec<PathBuf>,
}

/// A folder for a new daemon, not made yet.
///
/// # Errors
/// Its path would be too long for NVIDIA's daemon.
pub fn choose_folder(host: &Host) -> Result<PathBuf, MpsError> {
    Folder::choose(host).map(|folder| folder.path().to_owned())
}

/// Starts a daemon and a server for its uid, sets its limits, reads them back, and opens it to clients.
/// Where this fails, or is interrupted, [`stop`] clears up by the folder alone.
///
/// # Errors
/// The daemon isn't ready in time, or isn't as it was asked to be.
pub fn start(host: &Host, settings: &Settings, daemon: &Daemon) -> Result<ProcessRef, MpsError> {
    let folder = Folder::known(host, &daemon.folder)?;
    let program = program(host)?;
    folder.make(daemon.uid)?;
    if !daemon.library_folders.is_empty() {
        folder.link_libraries(&daemon.library_folders)?;
    }
    let mut messages = folder.listen()?;
    let environment = environment(host, &folder, daemon);
    let launcher = &settings.launcher;
    let command = launch::command(&settings.place, launcher, &folder, &program, &environment);
    let deadline = Instant::now() + settings.ready_timeout;
    launch::run(command, &folder, deadline)?;
    let control = Control { program, folder: &folder, timeout: settings.command_timeout };
    let process = wait_for_daemon(host, &control, &mut messages, deadline)?;
    set_limits(&control, daemon)?;
    start_server(&control, daemon.uid, &mut messages, deadline)?;
    folder.open_to_clients()?;
    Ok(process)
}

fn program(host: &Host) -> Result<PathBuf, MpsError> {
    let missing = || MpsError::NoProgram { program: CONTROL, root: host.driver_root.clone() };
    programs::find(host, CONTROL).ok_or_else(missing)
}

/// All of the daemon's environment. Its servers inherit it.
fn environment(host: &Host, folder: &Folder, daemon: &Daemon) -> Vec<(&'static str, OsString)> {
    let folders = programs::FOLDERS.map(|name| host.driver_root.join(name).into_os_string());
    let mut environment = vec![
        ("CUDA_VISIBLE_DEVICES", daemon.devices.join(",").into()),
        ("CUDA_MPS_PIPE_DIRECTORY", folder.pipe().into()),
        ("CUDA_MPS_LOG_DIRECTORY", folder.log().into()),
        // The daemon finds the server program here.
        ("PATH", folders.join(std::ffi::OsStr::new(":"))),
    ];
    if !daemon.library_folders.is_empty() {
        environment.push(("LD_LIBRARY_PATH", folder.libraries().into()));
    }
    environment
}

/// Ready is a daemon that answers.
fn wait_for_daemon(
    host: &Host,
    control: &Control<'_>,
    messages: &mut Messages,
    deadline: Instant,
) -> Result<ProcessRef, MpsError> {
    let mut pause = Duration::from_millis(1);
    let state = loop {
        let process = written_down(control.folder);
        match (control.ask("get_server_list")?, process) {
            (Answer::Text(_), Some(process)) => return Ok(process),
            (Answer::NotRunning, Some(process)) if host.liveness(&process) == Liveness::Dead => {
                break "it has ended";
            }
            (Answer::Hung, _) => break "it doesn't answer",
            _ if Instant::now() > deadline => break "it doesn't listen",
            _ => sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    };
    Err(not_ready(control, "control daemon", state, messages))
}

fn not_ready(control: &Control<'_>, what: &str, state: &str, messages: &mut Messages) -> MpsError {
    MpsError::NotReady {
        what: what.to_owned(),
        folder: control.folder.path().to_owned(),
        state: state.to_owned(),
        said: messages.last(),
    }
}

/// The process that the launcher wrote down.
fn written_down(folder: &Folder) -> Option<ProcessRef> {
    serde_json::from_slice(&fs::read(folder.process()).ok()?).ok()
}

/// Sets the defaults, which the server that is started next takes over, and reads each back.
fn set_limits(control: &Control<'_>, daemon: &Daemon) -> Result<(), MpsError> {
    if let Some(threads) = daemon.limits.threads {
        control.expect(&format!("set_default_active_thread_percentage {threads}"))?;
        read_back(control, "get_default_active_thread_percentage", &shown_percent(threads))?;
    }
    if let Some(memory) = daemon.limits.memory {
        // By index: by UUID the daemon takes it without a word and forgets it.
        for index in 0..daemon.devices.len() {
            let set = format!("set_default_device_pinned_mem_limit {index} {}M", memory.mib());
            control.expect(&set)?;
            let get = format!("get_default_device_pinned_mem_limit {index}");
            memory_read_back(control, &get, Some(memory))?;
        }
    }
    Ok(())
}

/// Gives a daemon that serves other limits: its servers, and those that follow them. What a client has
/// already stays.
///
/// # Errors
/// It doesn't answer, or doesn't take them.
pub fn change_limits(
    host: &Host,
    settings: &Settings,
    folder: &Path,
    devices: usize,
    limits: &MpsLimits,
) -> Result<(), MpsError> {
    let folder = Folder::known(host, folder)?;
    let timeout = settings.command_timeout;
    let control = Control { program: program(host)?, folder: &folder, timeout };
    let threads = limits.threads.map_or(100, Percent::get);
    let memory = limits.memory.map_or(0, Memory::mib);
    control.expect(&format!("set_default_active_thread_percentage {threads}"))?;
    read_back(&control, "get_default_active_thread_percentage", &format!("{threads}.0"))?;
    for index in 0..devices {
        control.expect(&format!("set_default_device_pinned_mem_limit {index} {memory}M"))?;
        let get = format!("get_default_device_pinned_mem_limit {index}");
        memory_read_back(&control, &get, limits.memory)?;
    }
    for server in control.servers()? {
        control.expect(&format!("set_active_thread_percentage {server} {threads}"))?;
        let get = format!("get_active_thread_percentage {server}");
        read_back(&control, &get, &format!("{threads}.0"))?;
        for index in 0..devices {
            control.expect(&format!("set_device_pinned_mem_limit {server} {index} {memory}M"))?;
            let get = format!("get_device_pinned_mem_limit {server} {index}");
            memory_read_back(&control, &get, limits.memory)?;
        }
    }
    Ok(())
}

fn memory_read_back(
    control: &Control<'_>,
    command: &str,
    wanted: Option<Memory>,
) -> Result<(), MpsError> {
    let Some(wanted) = wanted else {
        // A daemon shows no limit as nothing; what a true server makes of 0 is its own affair.
        return control.expect(command).map(drop);
    };
    read_back(control, command, &shown_memory(wanted))
}

fn read_back(control: &Control<'_>, command: &str, wanted: &str) -> Result<(), MpsError> {
    let answer = control.expect(command)?;
    if answer == wanted {
        return Ok(());
    }
    Err(MpsError::Limit {
        folder: control.folder.path().to_owned(),
        command: command.to_owned(),
        wanted: wanted.to_owned(),
        answer,
    })
}

/// A percentage as the daemon writes it.
fn shown_percent(percent: Percent) -> String {
    format!("{percent}.0")
}

/// An amount as the daemon writes it: whole G from 1 G on, the rest not shown.
fn shown_memory(memory: Memory) -> String {
    match memory.mib() {
        mib if mib >= 1024 => format!("{}G", mib / 1024),
        mib => format!("{mib}M"),
    }
}

/// Starts the server before the first client, so that where the compute mode lets one process in, it is
/// this one: a client that goes around the daemon fails instead of getting the whole GPU.
fn start_server(
    control: &Control<'_>,
    uid: u32,
    messages: &mut Messages,
    deadline: Instant,
) -> Result<(), MpsError> {
    let what = format!("server of uid {uid}");
    control.expect(&format!("start_server -uid {uid}"))?;
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let Some(server) = control.servers()?.first().copied() else {
            return Err(not_ready(control, &what, "it has ended", messages));
        };
        let state = control.expect(&format!("get_server_status {server}"))?;
        match state.as_str() {
            "ACTIVE" => return Ok(()),
            unknown if unknown.starts_with("Unknown command") && started.elapsed() > SETTLED => {
                return Ok(());
            }
            "FAULT" => return Err(not_ready(control, &what, "FAULT", messages)),
            state if Instant::now() > deadline => {
                return Err(not_ready(control, &what, state, messages));
            }
            _ => sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Ends a daemon with its servers: by `quit`, else SIGTERM, else SIGKILL. Takes its folder away last.
/// What is gone already is ended; whoever is asked twice does nothing the second time.
///
/// # Errors
/// It doesn't end, or its folder can't be removed.
pub fn stop(host: &Host, settings: &Settings, folder: &Path) -> Result<(), MpsError> {
    let folder = Folder::known(host, folder)?;
    let running = living(host, &folder)?;
    if running.iter().any(|member| member.role == Role::Daemon) {
        // Without the program there is nobody to say it to, and signals do as well.
        if let Ok(program) = program(host) {
            let timeout = settings.command_timeout;
            let quit = Control { program, folder: &folder, timeout }.ask("quit");
            if matches!(quit, Ok(Answer::Text(_))) {
                all_end(&running, settings.stop_timeout);
            }
        }
    }
    end_by_signals(host, settings, &folder)?;
    folder.remove()?;
    // A launcher that was slower than whoever started it finds its folder gone, or is found here.
    end_by_signals(host, settings, &folder)?;
    launch::remove_cgroups(host, &folder.name());
    Ok(())
}

fn living(host: &Host, folder: &Folder) -> Result<Vec<Member>, MpsError> {
    members(host, folder).map_err(|source| MpsError::io("list", &host.processes, source))
}

fn all_end(members: &[Member], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    members.iter().all(|member| member.ended(deadline))
}

fn end_by_signals(host: &Host, settings: &Settings, folder: &Folder) -> Result<(), MpsError> {
    for signal in [Signal::TERM, Signal::KILL] {
        let members = living(host, folder)?;
        for member in &members {
            let sent = member.signal(signal);
            sent.map_err(|source| MpsError::io("end a process of", folder.path(), source))?;
        }
        if all_end(&members, settings.stop_timeout) {
            return Ok(());
        }
    }
    let pids: Vec<u32> = living(host, folder)?.iter().map(|member| member.process.pid).collect();
    match pids.is_empty() {
        true => Ok(()),
        false => Err(MpsError::Unkillable { folder: folder.path().to_owned(), pids }),
    }
}
