//! The dialogue with a control daemon: one command at a time, never without a limit.
//!
//! The daemon serves one control client, and whoever holds its socket open, a tenant too, makes all
//! others wait. NVIDIA's own client speaks to it, in a process that can be ended. Its exit code says
//! nothing of the command (535 and 550, tried): what counts is what the daemon answers to a `get`.

use super::MpsError;
use super::folder::Folder;
use crate::share::bounded;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(5);

/// A control daemon to talk to.
#[derive(Debug)]
pub(super) struct Control<'a> {
    /// NVIDIA's control program, which is its own client.
    pub(super) program: PathBuf,
    pub(super) folder: &'a Folder,
    /// How long one command may take, the wait for its turn included.
    pub(super) timeout: Duration,
}

/// What a daemon answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It served the command; empty for most.
    Text(String),
    /// There is no daemon at the sockets.
    NotRunning,
    /// It served nobody within the time limit.
    Hung,
}

impl Control<'_> {
    /// Gives one command.
    pub(super) fn ask(&self, command: &str) -> Result<Answer, MpsError> {
        let deadline = Instant::now() + self.timeout;
        let Some(_turn) = self.turn(deadline)? else { return Ok(Answer::Hung) };
        loop {
            let Some(text) = self.once(command, deadline)? else { return Ok(Answer::Hung) };
            if text.starts_with("Cannot find MPS control daemon") {
                return Ok(Answer::NotRunning);
            }
            // Another client, of the daemon's own user or a tenant's, was faster.
            if !text.starts_with("Cannot send command") {
                return Ok(Answer::Text(text));
            }
            if Instant::now() > deadline {
                return Ok(Answer::Hung);
            }
            sleep(PAUSE);
        }
    }

    /// Gives one command that only a serving daemon will do for.
    pub(super) fn expect(&self, command: &str) -> Result<String, MpsError> {
        let folder = || self.folder.path().to_owned();
        match self.ask(command)? {
            Answer::Text(text) => Ok(text),
            Answer::NotRunning => Err(MpsError::NotRunning { folder: folder() }),
            Answer::Hung => {
                Err(MpsError::Hung { folder: folder(), seconds: self.timeout.as_secs() })
            }
        }
    }

    /// The servers' pids.
    pub(super) fn servers(&self) -> Result<Vec<u32>, MpsError> {
        self.expect("get_server_list").map(|text| pids(&text))
    }

    /// Waits for the daemon's lock; `None` where the time is over first.
    fn turn(&self, deadline: Instant) -> Result<Option<File>, MpsError> {
        let path = self.folder.lock();
        let opened = File::options().create(true).append(true).mode(0o600).open(&path);
        let file = match opened {
            // Its folder is gone, and the daemon with it: the client will say so.
            Err(error) if error.kind() == ErrorKind::NotFound => null()?,
            opened => opened.map_err(|source| MpsError::io("open", &path, source))?,
        };
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() > deadline => {
                    return Ok(None);
                }
                Err(std::fs::TryLockError::WouldBlock) => sleep(PAUSE),
                Err(std::fs::TryLockError::Error(source)) => {
                    return Err(MpsError::io("lock", &path, source));
                }
            }
        }
    }

    /// Runs the client once; `None` where it had to be ended.
    fn once(&self, command: &str, deadline: Instant) -> Result<Option<String>, MpsError> {
        let mut client = Command::new(&self.program);
        client.env_clear().env("CUDA_MPS_PIPE_DIRECTORY", self.folder.pipe()).current_dir("/");
        let ended = bounded::run(client, Some(command), deadline);
        let ended = ended.map_err(|source| MpsError::io("run", &self.program, source))?;
        Ok(ended.map(|ended| ended.text))
    }
}

/// Pids, one on a line, and no words.
pub(super) fn pids(text: &str) -> Vec<u32> {
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

fn null() -> Result<File, MpsError> {
    let path = Path::new("/dev/null");
    File::open(path).map_err(|source| MpsError::io("open", path, source))
}
