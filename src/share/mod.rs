//! Carries a step out and undoes it: the only room that changes GPUs.

mod bounded;
pub mod mps;

use std::path::PathBuf;
use std::time::Duration;

/// How steps are carried out on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The program `divvy`, which starts control daemons as `divvy mps-launch`.
    pub launcher: PathBuf,
    /// How a control daemon gets a place of its own.
    pub place: mps::Place,
    /// How long one command to a control daemon, or one run of nvidia-smi, may take.
    pub command_timeout: Duration,
    /// How long a control daemon and its server may take to get ready.
    pub ready_timeout: Duration,
    /// How long they may take to end, by `quit` and by each signal.
    pub stop_timeout: Duration,
}

impl Settings {
    /// The defaults, with `launcher` as the program `divvy`.
    pub fn new(launcher: PathBuf) -> Settings {
        Settings {
            launcher,
            place: mps::Place::of_machine(),
            command_timeout: Duration::from_secs(3),
            ready_timeout: Duration::from_secs(15),
            stop_timeout: Duration::from_secs(3),
        }
    }
}
