//! `divvy mig export`.

use crate::cli::answer::{Answer, AnswerArgs, Failure};
use crate::host::Host;
use crate::inventory::{self, Scope};
use crate::ops::mig;
use clap::Args;

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// The label to write it down under
    #[arg(long, short, value_name = "LABEL", default_value = "current")]
    label: String,
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(host: &Host, args: &Export) -> Result<Answer, Failure> {
    let inventory = inventory::read(&inventory::open(host)?, Scope::Full)?;
    let export = mig::export(&inventory, &args.label);
    // A layout is a document, for people as well.
    let document = serde_saphyr::to_string(&export)?;
    let text = args.answer.render(&export, || document)?;
    let lost = inventory.unusable.iter().map(|gpu| format!("{}: left out", gpu.says));
    let notes = export.notes.iter().cloned().chain(lost);
    Ok(Answer { text, notes: notes.map(|note| format!("divvy: {note}")).collect() })
}
