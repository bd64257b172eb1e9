//! `divvy mig profiles`.

use crate::cli::answer::{Answer, AnswerArgs, Failure, table};
use crate::host::Host;
use crate::inventory::{self, Placement, Scope};
use crate::ops::mig::{self, GpuProfiles, ProfileRow};
use clap::Args;

#[derive(Debug, Args)]
pub(in crate::cli) struct Profiles {
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(host: &Host, args: &Profiles) -> Result<Answer, Failure> {
    let inventory = inventory::read(&inventory::open(host)?, Scope::Full)?;
    let gpus = mig::profiles(&inventory);
    let text =
        args.answer.render(&gpus, || gpus.iter().map(tell).collect::<Vec<_>>().join("\n"))?;
    let lost = inventory.unusable.iter().map(|gpu| format!("divvy: {}", gpu.says));
    Ok(Answer { text, notes: lost.collect() })
}

fn tell(gpu: &GpuProfiles) -> String {
    let mode = match gpu.mig_enabled {
        None => "can't do MIG",
        Some(true) => "MIG mode is on",
        Some(false) => "MIG mode is off",
    };
    let mut text = format!("GPU {}: {}, {mode}\n", gpu.index, gpu.name);
    if !gpu.profiles.is_empty() {
        let head = ["PROFILE", "COMPUTE", "SMS", "MEMORY", "MOST", "FREE", "PLACEMENTS"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(gpu.profiles.iter().map(|profile| row(profile, gpu.mig_enabled == Some(true))));
        text.push_str(&table(&rows));
    }
    text
}

/// What is free is told where MIG mode is on: how much could be made elsewhere is another question.
fn row(row: &ProfileRow, on: bool) -> Vec<String> {
    vec![
        row.name.to_string(),
        row.compute_slices.to_string(),
        row.multiprocessors.to_string(),
        format!("{} MiB", row.memory_mib),
        row.most.to_string(),
        if on { row.free.to_string() } else { "-".to_owned() },
        places(&row.placements),
    ]
}

/// `{0,4}:4`: first slices and size, as nvidia-smi writes them.
fn places(placements: &[Placement]) -> String {
    let starts: Vec<String> = placements.iter().map(|place| place.start.to_string()).collect();
    let size = placements.first().map_or(0, |place| place.size);
    format!("{{{}}}:{size}", starts.join(","))
}
