//! What a command that changes the node is doing, for somebody at a terminal.

use crate::claim::{Step, store};
use crate::plan::layout;
use crate::share::{End, Progress, Work};
use std::io::{self, IsTerminal, Write};

/// Who is told: a terminal, and nobody where stderr is none.
pub(super) fn watch() -> Option<fn(Progress<'_>)> {
    io::stderr().is_terminal().then_some(tell)
}

/// Who is told that another divvy process has to be waited for: the same.
pub(super) fn waits() -> Option<store::Watch> {
    let tell = |pid: Option<u32>| {
        let pid = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        say(&format!("waiting for another divvy process{pid} …\n"));
    };
    io::stderr().is_terminal().then_some(tell)
}

fn tell(progress: Progress<'_>) {
    match progress {
        Progress::Begins { work, gpu } => {
            let text = match work {
                Work::Do(step) => doing(step, gpu),
                Work::Undo(step) => undoing(step, gpu),
                Work::Layout(step) => laying_out(step, gpu),
                Work::LayoutUndo(words) => format!("{words}{}", on(gpu)),
            };
            say(&format!("{text} … "));
        }
        Progress::Over { took, end } => {
            let end = match end {
                End::Done => "",
                End::InUse => "it is still in use, ",
                End::Failed => "failed, ",
            };
            say(&format!("{end}{:.1} s\n", took.as_secs_f64()));
        }
    }
}

fn say(text: &str) {
    let mut stderr = io::stderr().lock();
    // Nobody is left to be told where stderr is gone.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn on(gpu: Option<u32>) -> String {
    gpu.map(|gpu| format!(" on GPU {gpu}")).unwrap_or_default()
}

fn of(gpu: Option<u32>) -> String {
    gpu.map(|gpu| format!(" of GPU {gpu}")).unwrap_or_default()
}

fn doing(step: &Step, gpu: Option<u32>) -> String {
    let (on, of) = (on(gpu), of(gpu));
    match step {
        Step::EnableMig { .. } => format!("turning on MIG mode{of}"),
        Step::CreateGpuInstance { profile, .. } => format!("creating GPU instance {profile}{on}"),
        Step::CreateComputeInstance { .. } => format!("creating its compute instance{on}"),
        Step::MakeCapabilityNodes { .. } => format!("making its capability nodes{on}"),
        Step::SetTimeSlice { interval, .. } => format!("setting the time slice{of} to {interval}"),
        Step::SetExclusiveProcess { .. } => format!("setting EXCLUSIVE_PROCESS{on}"),
        Step::StartMps { uid, .. } => format!("starting an MPS control daemon for uid {uid}"),
    }
}

fn undoing(step: &Step, gpu: Option<u32>) -> String {
    let (on, of) = (on(gpu), of(gpu));
    match step {
        Step::EnableMig { .. } => format!("restoring MIG mode{of}"),
        Step::CreateGpuInstance { profile, .. } => format!("destroying GPU instance {profile}{on}"),
        Step::CreateComputeInstance { .. } => format!("destroying its compute instance{on}"),
        Step::MakeCapabilityNodes { .. } => format!("removing its capability nodes{on}"),
        Step::SetTimeSlice { .. } => format!("restoring the time slice{of}"),
        Step::SetExclusiveProcess { .. } => format!("restoring the compute mode{of}"),
        Step::StartMps { .. } => "ending the MPS control daemon".to_owned(),
    }
}

fn laying_out(step: &layout::Step, gpu: Option<u32>) -> String {
    let (on, of) = (on(gpu), of(gpu));
    match step {
        layout::Step::SetMigMode { on } => {
            format!("turning {} MIG mode{of}", if *on { "on" } else { "off" })
        }
        layout::Step::DestroyComputeInstance { instance, id, .. } => {
            format!("destroying compute instance {id} of {}{on}", instance.profile)
        }
        layout::Step::DestroyGpuInstance { instance } => {
            format!("destroying GPU instance {}{on}", instance.profile)
        }
        layout::Step::CreateGpuInstance { profile, .. } => {
            format!("creating GPU instance {profile}{on}")
        }
        layout::Step::CreateComputeInstance { profile, .. } => {
            format!("creating a compute instance of {profile}{on}")
        }
    }
}

/// What the undo of a step would be, for who asks beforehand.
pub(super) fn undo(step: &Step) -> String {
    match step {
        Step::EnableMig { gpu } => format!("restore MIG mode of {gpu}"),
        Step::CreateGpuInstance { gpu, profile, placement, .. } => {
            format!("destroy the GPU instance {profile} at {} on {gpu}", placement.start)
        }
        Step::CreateComputeInstance { gpu, .. } => {
            format!("destroy its compute instance on {gpu}")
        }
        Step::MakeCapabilityNodes { gpu } => format!("remove its capability nodes on {gpu}"),
        Step::SetTimeSlice { gpu, .. } => format!("restore the time-slice interval of {gpu}"),
        Step::SetExclusiveProcess { gpu } => format!("restore the compute mode of {gpu}"),
        Step::StartMps { .. } => "end the MPS control daemon".to_owned(),
    }
}
