//! `divvy cdi refresh`.

use super::spec_args::SpecArgs;
use crate::cli::answer::{Answer, AnswerArgs, Exit, Failure, Form};
use crate::host::Host;
use crate::ops::refresh::{self, Outcome, Refreshed};
use clap::Args;
use serde_json::json;

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
    let act = if args.dry_run { refresh::look } else { refresh::refresh };
    let refreshed = act(file, args.spec.generate(host, &options)?)?;
    notes.extend(refreshed.notes.iter().map(|note| format!("divvy: {note}")));
    Ok(Answer { text: args.answer.render(&refreshed, || tell(&refreshed, args.dry_run))?, notes })
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
    lines.join("\n")
}
