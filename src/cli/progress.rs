//! What a command that changes the node is doing, for somebody at a terminal.

use crate::claim::Step;
use crate::share::Progress;
use std::io::{self, IsTerminal, Write};

/// Who is told: a terminal, and nobody where stderr is none.
pub(super) fn watch() -> Option<fn(Progress<'_>)> {
    io::stderr().is_terminal().then_some(tell)
}

fn tell(progress: Progress<'_>) {
    let text = match progress {
        Progress::Begins { step, gpu, undo } => {
            let place = gpu.map(|gpu| format!(" on GPU {gpu}")).unwrap_or_default();
            format!("{}{place} … ", if undo { undoing(step) } else { doing(step) })
        }
        Progress::Over { took } => format!("{:.1} s\n", took.as_secs_f64()),
    };
    let mut stderr = io::stderr().lock();
    // Nobody is left to be told where stderr is gone.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn doing(step: &Step) -> String {
    match step {
        Step::EnableMig { .. } => "turning MIG mode on".to_owned(),
        Step::CreateGpuInstance { profile, .. } => format!("creating GPU instance {profile}"),
        Step::CreateComputeInstance { .. } => "creating its compute instance".to_owned(),
        Step::MakeCapabilityNodes { .. } => "making its capability nodes".to_owned(),
        Step::SetTimeSlice { interval, .. } => format!("setting the time slice to {interval}"),
        Step::SetExclusiveProcess { .. } => "setting EXCLUSIVE_PROCESS".to_owned(),
        Step::StartMps { uid, .. } => format!("starting an MPS control daemon for uid {uid}"),
    }
}

fn undoing(step: &Step) -> String {
    match step {
        Step::EnableMig { .. } => "turning MIG mode back".to_owned(),
        Step::CreateGpuInstance { profile, .. } => format!("destroying GPU instance {profile}"),
        Step::CreateComputeInstance { .. } => "destroying its compute instance".to_owned(),
        Step::MakeCapabilityNodes { .. } => "removing its capability nodes".to_owned(),
        Step::SetTimeSlice { .. } => "setting the time slice back".to_owned(),
        Step::SetExclusiveProcess { .. } => "setting the compute mode back".to_owned(),
        Step::StartMps { .. } => "ending the MPS control daemon".to_owned(),
    }
}
