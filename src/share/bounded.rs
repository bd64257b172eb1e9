//! Running another program for an answer, never without a limit.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

/// A handle on one process, whatever becomes of its pid.
#[derive(Debug)]
pub(super) struct Watch(OwnedFd);

impl Watch {
    pub(super) fn of(pid: u32) -> io::Result<Watch> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(Watch(pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Waits for its end; whether it came in time.
    pub(super) fn ended(&self, deadline: Instant) -> io::Result<bool> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends a signal. One that is gone needs none.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.0, signal) {
            Err(error) if error != rustix::io::Errno::SRCH => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// What a program answered.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Standard output, then standard error.
    pub(crate) text: String,
}

/// Runs a program with a line as its input; `None` where it had to be ended at the deadline. What it
/// writes must fit a pipe (64 KiB): nobody reads while it runs.
pub(crate) fn run(
    mut command: Command,
    input: Option<&str>,
    deadline: Instant,
) -> io::Result<Option<Ended>> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let (Some(mut stdin), Some(line)) = (child.stdin.take(), input) {
        // One that has nothing to ask for is gone already, and says why.
        let _ = writeln!(stdin, "{line}");
    }
    let ended = Watch::of(child.id()).and_then(|watch| watch.ended(deadline));
    if !matches!(ended, Ok(true)) {
        let _ = child.kill();
    }
    let status = child.wait()?;
    if !ended? {
        return Ok(None);
    }
    let mut text = String::new();
    // What isn't UTF-8 isn't an answer either.
    if let Some(mut stdout) = child.stdout.take() {
        let _ = stdout.read_to_string(&mut text);
    }
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut text);
    }
    Ok(Some(Ended { status, text: text.trim().to_owned() }))
}
