//! `divvy mig assert`.

use super::layout::{LayoutArgs, tell};
use crate::cli::answer::{Answer, AnswerArgs, Exit, Failure};
use crate::cli::machine::Machine;
use crate::host::Host;
use crate::ops::mig::{self, Differences};
use clap::Args;

#[derive(Debug, Args)]
pub(in crate::cli) struct Assert {
    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(host: &Host, args: &Assert) -> Result<Answer, Failure> {
    let entries = args.layout.entries()?;
    let machine = Machine::open(host)?;
    let config = machine.config()?;
    let mode_only = args.layout.mode_only;
    let found = mig::assert(&machine.node(), &machine.store, &config, &entries, mode_only)
        .map_err(|error| args.layout.failure(&args.answer, &error))?;
    let text = args.answer.render(&found, || shown(&found))?;
    if found.is_right {
        let notes = found.notes.iter().map(|note| format!("divvy: {note}"));
        return Ok(Answer { text, notes: notes.collect() });
    }
    let wrong = found.gpus.iter().filter(|gpu| !gpu.is_right()).map(|gpu| gpu.index);
    let mut wrong: Vec<u32> = wrong.chain(found.refused.iter().map(|gpu| gpu.index)).collect();
    wrong.sort_unstable();
    let wrong: Vec<String> = wrong.iter().map(u32::to_string).collect();
    let message = format!("the layout doesn't hold on GPU {}", wrong.join(", "));
    Err(Failure { answer: Some(text), ..Failure::new(Exit::Failed, message) })
}

fn shown(found: &Differences) -> String {
    let mut text = tell(&found.gpus);
    for gpu in &found.refused {
        text.push_str(&format!("GPU {}: {}\n", gpu.index, gpu.name));
        for obstacle in &gpu.obstacles {
            text.push_str(&format!("  is wrong, and {obstacle}\n"));
        }
    }
    text
}
