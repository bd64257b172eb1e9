//! The program `divvy`, which knows the driver: hooks and wrapper run it for whatever changes the node.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use divvy::claim::{ClaimId, ContainerRef};
use divvy::hook_args::{DISCONNECT, PROGRAM};
use divvy::host::Host;
use divvy::oci::Asked;
use divvy::request::Requests;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::MemfdFlags;
use rustix::process::PidfdFlags;
use serde::Deserialize;

use crate::error::Error;

/// Where packages put divvy's programs.
const FOLDER: &str = "/usr/bin";
/// How long `divvy prepare` may take: longer than it waits for others.
const PREPARE_PATIENCE: Duration = Duration::from_secs(38);
/// How long `divvy release` may take: with a prepare before it, less than the runtime waits for a hook.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a container's MPS clients may take to leave: engines wait some ten seconds for a kill.
const DISCONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of an answer; a grant of 64 devices has some hundred kilobytes.
const ANSWER_LIMIT: u64 = 8 << 20;

/// What a claim got, as far as a container's configuration is concerned.
#[derive(Debug, Deserialize)]
pub(crate) struct Grant {
    /// The claim.
    pub(crate) claim: ClaimId,
    /// What goes into the configuration.
    pub(crate) edits: cdi::ContainerEdits,
}

/// A program of divvy's own: the one beside this, so that what belongs together runs together, or else the
/// installed one.
fn own_program(name: &str) -> PathBuf {
    let beside = std::fs::read_link("/proc/self/exe").ok();
    let beside = beside.and_then(|exe| Some(exe.parent()?.join(name)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| Path::new(FOLDER).join(name))
}

/// Becomes the program with the code for the stages other than create-container, under the name `name`.
/// Returns where that fails.
pub(crate) fn hand_over<'a>(name: &str, args: impl Iterator<Item = &'a String>) -> Error {
    let program = own_program("divvy-runtime");
    let error = Command::new(&program).arg0(name).args(args).exec();
    Error::HandOver { program, error }
}

/// divvy's own hook on this machine.
pub(crate) fn hook() -> String {
    own_program(PROGRAM).to_string_lossy().into_owned()
}

/// The paths that this machine's configuration names. Hooks know no other place to look for them.
pub(crate) fn configuration() -> Result<(divvy::config::Config, Host), Error> {
    let config = divvy::config::Config::load(&Host::default().config)?;
    let host = config.host.clone().host();
    Ok((config, host))
}

/// Makes the claim for a container that is being started by the process `starter`.
pub(crate) fn prepare(id: &ClaimId, asked: &Asked, starter: u32) -> Result<Grant, Error> {
    let mut command = command();
    command.args(["prepare", "--output", "json", "--claim", id.as_str()]);
    command.args(["--uid", &asked.uid.to_string(), "--start-process", &starter.to_string(), "--"]);
    command.args(texts(&asked.requests));
    let answer = run(command, PREPARE_PATIENCE)?;
    match answer.status.code() {
        Some(0) => serde_json::from_slice(&answer.stdout).map_err(Error::Answer),
        Some(3) => Err(Error::Refused(answer.said())),
        _ => Err(Error::Divvy { what: "prepare", said: answer.said() }),
    }
}

/// Takes back a claim that no container got.
pub(crate) fn release(id: &ClaimId) -> Result<(), Error> {
    let mut command = command();
    command.args(["release", "--force", id.as_str()]);
    released(command)
}

/// Takes back what a container held, unless it lives. What is in use stays for `divvy reconcile`.
pub(crate) fn release_container(container: &ContainerRef) -> Result<(), Error> {
    let mut command = command();
    command
        .arg("release")
        .arg(format!("--container={}", container.id))
        .arg("--bundle")
        .arg(&container.bundle);
    released(command)
}

/// Ends the MPS clients of a container that is about to be killed. Answers whether there were any.
pub(crate) fn disconnect(container: &str) -> Result<bool, Error> {
    let mut command = command();
    command.args([DISCONNECT, "--", container]);
    let answer = run(command, DISCONNECT_PATIENCE)?;
    match answer.status.success() {
        true => Ok(!answer.stdout.is_empty()),
        false => Err(Error::Divvy { what: DISCONNECT, said: answer.said() }),
    }
}

fn released(command: Command) -> Result<(), Error> {
    let answer = run(command, PATIENCE)?;
    match answer.status.success() {
        true => Ok(()),
        false => Err(Error::Divvy { what: "release", said: answer.said() }),
    }
}

fn texts(requests: &Requests) -> impl Iterator<Item = String> {
    requests.iter().map(ToString::to_string)
}

fn command() -> Command {
    let mut command = Command::new(own_program("divvy"));
    // What starts a hook could say anything in its environment.
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.stdin(Stdio::null());
    command
}

/// How `divvy` ended, and what it said.
struct Answer {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Answer {
    /// The last line for people, without the program's name.
    fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let line = line.strip_prefix("divvy: ").unwrap_or(line);
        match line {
            "" => format!("it ended with {} and said nothing", self.status),
            line => line.to_owned(),
        }
    }
}

/// Runs it to its end, or ends it. Its output goes into memory and not through a pipe: a daemon that it starts
/// may keep it open.
fn run(mut command: Command, patience: Duration) -> Result<Answer, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source: std::io::Error| Error::Run { program: program.clone(), source };
    let (stdout, stderr) = (memory().map_err(failed)?, memory().map_err(failed)?);
    command.stdout(stdout.try_clone().map_err(failed)?);
    command.stderr(stderr.try_clone().map_err(failed)?);
    let mut child = command.spawn().map_err(failed)?;
    if !await_end(&child, patience).map_err(failed)? {
        // It undoes what it left half done when it is run the next time.
        let _ = child.kill();
        let _ = child.wait();
        return Err(Error::Late { program, seconds: patience.as_secs() });
    }
    let status = child.wait().map_err(failed)?;
    Ok(Answer {
        status,
        stdout: content(stdout).map_err(failed)?,
        stderr: content(stderr).map_err(failed)?,
    })
}

fn memory() -> std::io::Result<File> {
    Ok(rustix::fs::memfd_create("divvy", MemfdFlags::CLOEXEC)?.into())
}

fn content(mut file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(ANSWER_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Waits for a child's end; answers whether it came in time.
fn await_end(child: &std::process::Child, patience: Duration) -> std::io::Result<bool> {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or(std::io::ErrorKind::InvalidInput)?;
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let deadline = Instant::now() + patience;
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now()));
        let mut ends = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
        match rustix::event::poll(&mut ends, left.ok().as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
