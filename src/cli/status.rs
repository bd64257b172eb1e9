//! `divvy status`.

use super::answer::{Answer, AnswerArgs, Failure};
use super::machine::{Machine, together};
use super::terminal;
use crate::host::Host;
use crate::status::{Status, Style, draw};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(host: &Host, args: &StatusArgs) -> Result<Answer, Failure> {
    let machine = Machine::look(host)?;
    let seen = together(machine.node().nvml.get()?, &machine.store)?;
    let status = Status::of(&seen.inventory, &seen.claims, &seen.devices);
    Ok(Answer::text(args.answer.render(&status, || draw(&status, style()))?))
}

/// Fits the terminal; colours one, and never where NO_COLOR asks not to.
fn style() -> Style {
    Style { width: terminal::columns().unwrap_or(100).max(40), colour: terminal::colour() }
}
