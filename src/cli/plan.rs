//! `divvy plan`.

use super::answer::{Answer, AnswerArgs, Failure};
use super::machine::{self, Machine, RequestArgs};
use crate::config::{Asker, Config};
use crate::host::Host;
use crate::ops::prepare::look;
use crate::plan::{DeviceRef, Plan as Planned};
use crate::request::Requests;
use clap::Args;

#[derive(Debug, Args)]
#[command(
    override_usage = "divvy plan [OPTIONS] <REQUEST>...\n       divvy plan [OPTIONS] --file <FILE>"
)]
pub(super) struct Plan {
    #[command(flatten)]
    requests: RequestArgs,
    /// The uid whose processes will be MPS clients
    #[arg(long, value_name = "UID", default_value_t = 0)]
    uid: u32,
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(host: &Host, args: &Plan) -> Result<Answer, Failure> {
    let requests = args.requests.requests(&Config::load(&host.config)?)?;
    show(host, &requests, (args.uid, &machine::caller(args.uid)), &args.answer)
}

/// What would be done for requests of somebody, or why they can't be met.
pub(super) fn show(
    host: &Host,
    requests: &Requests,
    whose: (u32, &Asker),
    answer: &AnswerArgs,
) -> Result<Answer, Failure> {
    let machine = Machine::look(host)?;
    let config = machine.config()?;
    match look(&machine.node(), &machine.store, &config, requests, whose)? {
        Ok(plan) => {
            let text = answer.render(&plan, || tell(&plan))?;
            let notes = plan.notes.iter().map(|note| format!("divvy: {note}"));
            Ok(Answer { text, notes: notes.collect() })
        }
        Err(refusal) => Err(answer.refused(&refusal, &refusal)),
    }
}

fn tell(plan: &Planned) -> String {
    let steps = plan.new.iter().flat_map(|device| &device.steps);
    let mut lines: Vec<String> =
        steps.enumerate().map(|(n, step)| format!("{}. {step}", n + 1)).collect();
    let joins = plan.parts.iter().filter_map(|part| match &part.device {
        DeviceRef::Join(id) => Some(format!("joins device {id}, which other claims hold as well")),
        DeviceRef::New(_) => None,
    });
    lines.extend(joins);
    if lines.is_empty() {
        lines.push("nothing has to be done on the node: the device is free".to_owned());
    }
    lines.join("\n")
}
