//! `divvy cdi refresh`.

use super::spec_args::{SpecArgs, Specs};
use crate::cli::answer::{Answer, AnswerArgs, Exit, Failure, Form};
use crate::compat::device_plugin::ResourceName;
use crate::host::Host;
use crate::ops::generate::{self, Generated};
use crate::ops::refresh::{self, Outcome, Refreshed};
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Debug, Args)]
pub(in crate::cli) struct Refresh {
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    answer: AnswerArgs,
    #[command(flatten)]
    spec: SpecArgs,
}

pub(super) fn run(host: &Host, args: &Refresh) -> Result<Answer, Failure> {
    let (mut options, mut notes) = args.spec.options()?;
    let file = refresh::file(host, &options.kind, args.spec.file_name())
        .map_err(|error| refusal(&args.answer, error))?;
    if let Some(version) = refresh::podman_without_groups()
        .filter(|_| options.edits.additional_gids && !args.spec.requests())
    {
        options.edits.additional_gids = false;
        notes.push(format!(
            "divvy: groups of DRM nodes are left out: podman {version} is here, and before 5.1 it drops a spec that has them"
        ));
    }
    let Specs { own, others } = args.spec.generate(host, &options)?;
    let act = if args.dry_run { refresh::look } else { refresh::refresh };
    let mut refreshed = act(file, own)?;
    if options.kind.to_string() == ResourceName::gpu().as_str() {
        refreshed.resources = resources(host, args, others)?;
    }
    notes.extend(refreshed.notes.iter().map(|note| format!("divvy: {note}")));
    Ok(Answer { text: args.answer.render(&refreshed, || tell(&refreshed, args.dry_run))?, notes })
}

/// Brings the files of the configuration's other resources up to date, and removes those that it has no more.
fn resources(
    host: &Host,
    args: &Refresh,
    others: BTreeMap<ResourceName, Result<Generated, generate::Error>>,
) -> Result<Vec<Refreshed>, Failure> {
    let act = if args.dry_run { refresh::look } else { refresh::refresh };
    let mut done = Vec::new();
    for (name, generated) in others {
        let kind = name.as_str().parse().map_err(|error| Failure::new(Exit::Failed, error))?;
        let file = refresh::file(host, &kind, &refresh::resource_file(&name))
            .map_err(|error| refusal(&args.answer, error))?;
        done.push(act(file, generated)?);
    }
    for file in refresh::other_resources(host, &done)? {
        let reason = "the configuration has no such resource".to_owned();
        done.push(act(file, Err(generate::Error::NoDevices { reason }))?);
    }
    Ok(done)
}

/// Another's file is a refusal; for programs, it is on stdout too.
fn refusal(answer: &AnswerArgs, error: refresh::Error) -> Failure {
    let refresh::Error::Taken { file, kind } = &error else { return error.into() };
    let document = json!({ "refused": error.to_string(), "file": file, "kind": kind });
    let text = match answer.output {
        Form::Table => None,
        Form::Json | Form::Yaml => answer.render(&document, String::new).ok(),
    };
    Failure { answer: text, ..Failure::new(Exit::Refused, &error) }
}

fn tell(refreshed: &Refreshed, dry_run: bool) -> String {
    let file = refreshed.file.display();
    let would = if dry_run { "would be " } else { "" };
    let mut lines = vec![match refreshed.outcome {
        Outcome::Created => format!("{file}: {would}created"),
        Outcome::Replaced => format!("{file}: {would}replaced"),
        Outcome::Unchanged => format!("{file}: unchanged"),
        Outcome::Removed => format!("{file}: {would}removed"),
        Outcome::Absent => format!("{file}: no device, no file"),
    }];
    let parts = [
        ("added", &refreshed.added),
        ("removed", &refreshed.removed),
        ("changed", &refreshed.changed),
    ];
    for (word, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
        lines.push(format!("{word}: {}", names.join(" ")));
    }
    if refreshed.common_changed {
        lines.push(
            "changed: what every device brings along (files, control nodes, hook)".to_owned(),
        );
    }
    lines.extend(refreshed.resources.iter().map(|one| tell(one, dry_run)));
    lines.join("\n")
}
