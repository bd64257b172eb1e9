//! What can go wrong with a control daemon.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a control daemon can't be started, asked or ended.
#[derive(Debug, Error)]
pub enum MpsError {
    /// NVIDIA's program isn't there.
    #[error(
        "no {program} lies under {}: install the driver's MPS programs (nvidia-cuda-mps, nvidia-compute-utils or cuda-mps, by distribution), or name the driver's place with --driver-root",
        root.display()
    )]
    NoProgram {
        /// Its name.
        program: &'static str,
        /// Where it was looked for.
        root: PathBuf,
    },
    /// The daemon would exit without a word.
    #[error(
        "the MPS pipe directory {} has {length} bytes, and NVIDIA's daemon takes {limit} at most: choose a shorter --state-dir",
        pipe.display()
    )]
    PipePath {
        /// The path.
        pipe: PathBuf,
        /// Its bytes.
        length: usize,
        /// As many as work.
        limit: usize,
    },
    /// The server of a client's uid couldn't reach its own sockets.
    #[error(
        "the MPS server of uid {uid} can't pass through {}: let others pass (`chmod o+x`), or choose another --state-dir",
        folder.display()
    )]
    Closed {
        /// The folder that is closed.
        folder: PathBuf,
        /// Whose server it is.
        uid: u32,
    },
    /// A journal names a folder that divvy doesn't make.
    #[error(
        "{} is not a folder of divvy's MPS control daemons, so it is left alone; is this record another state directory's?",
        path.display()
    )]
    Foreign {
        /// What the journal says.
        path: PathBuf,
    },
    /// The launcher failed.
    #[error("the MPS control daemon in {} didn't start: {reason}", folder.display())]
    Launch {
        /// Its folder.
        folder: PathBuf,
        /// Whose words it is in, and the words.
        reason: String,
    },
    /// The daemon started and isn't ready, or isn't there any more.
    #[error("the MPS {what} in {} didn't get ready ({state}); it said: {said}", folder.display())]
    NotReady {
        /// `control daemon`, `server of uid 0`.
        what: String,
        /// Its folder.
        folder: PathBuf,
        /// What was seen of it last.
        state: String,
        /// Its last messages.
        said: String,
    },
    /// Nobody answers at the sockets.
    #[error("no MPS control daemon answers in {}: it has ended; release the claims on it", folder.display())]
    NotRunning {
        /// Its folder.
        folder: PathBuf,
    },
    /// The daemon serves nobody.
    #[error(
        "the MPS control daemon in {} doesn't answer within {seconds} s: a process that holds its socket keeps it busy, or a server of it hangs; see who uses its GPU with `divvy status`",
        folder.display()
    )]
    Hung {
        /// Its folder.
        folder: PathBuf,
        /// How long it was given.
        seconds: u64,
    },
    /// A limit that was set isn't what the daemon says.
    #[error(
        "the MPS control daemon in {} answers {answer:?} where {wanted} was set ({command}); this driver's daemon doesn't take that limit",
        folder.display()
    )]
    Limit {
        /// Its folder.
        folder: PathBuf,
        /// The command that asked.
        command: String,
        /// What was set.
        wanted: String,
        /// What came back.
        answer: String,
    },
    /// Not even SIGKILL ended it.
    #[error(
        "the MPS processes {pids:?} of {} don't end, not even by SIGKILL: they hang in the driver; see the kernel's log for XID errors", folder.display()
    )]
    Unkillable {
        /// Its folder.
        folder: PathBuf,
        /// What lives.
        pids: Vec<u32>,
    },
    /// A file or a program.
    #[error("can't {what} {}: {source}", path.display())]
    Io {
        /// `make`, `read`, `run`.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl MpsError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> MpsError {
        MpsError::Io { what, path: path.to_owned(), source }
    }
}
