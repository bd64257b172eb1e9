//! `divvy cdi refresh`.

use super::spec_args::SpecArgs;
use crate::cli::answer::{Answer, AnswerArgs, Exit, Failure};
use crate::compat::device_plugin::ResourceName;
use crate::host::Host;
use crate::ops::generate::{self, Generated};
use crate::ops::refresh::{self, Outcome, Refreshed};
use crate::ops::remove_specs::remove_specs;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(in crate::cli) struct Refresh {
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Take all CDI files away that divvy keeps, those of claims too; for a machine that it leaves
    #[arg(long, conflicts_with = "requests")]
    remove: bool,
    #[command(flatten)]
    answer: AnswerArgs,
    #[command(flatten)]
    spec: SpecArgs,
}

pub(super) fn run(host: &Host, args: &Refresh) -> Result<Answer, Failure> {
    if args.remove {
        return remove(host, args);
    }
    let (mut options, mut notes) = args.spec.options()?;
    if let Some(version) = refresh::podman_without_groups()
        .filter(|_| options.edits.additional_gids && !args.spec.requests())
    {
        options.edits.additional_gids = false;
        notes.push(format!(
            "divvy: groups of DRM nodes are left out: podman {version} is here, and before 5.1 it drops a spec that has them"
        ));
    }
    let specs = args.spec.generate_all(host, &options)?;
    // Requests don't depend on whose file describes the devices: they are served where that one is refused.
    let requests = specs.requests.map(|generated| requests(host, args, generated)).transpose()?;
    let file = refresh::file(host, &options.kind, args.spec.file_name())
        .map_err(|error| refusal(&args.answer, error))?;
    let act = if args.dry_run { refresh::look } else { refresh::refresh };
    let mut refreshed = act(file, specs.own)?;
    if options.kind.to_string() == ResourceName::gpu().as_str() {
        refreshed.others = resources(host, args, specs.resources)?;
    }
    refreshed.others.extend(requests);
    notes.extend(refreshed.notes.iter().map(|note| format!("divvy: {note}")));
    Ok(Answer { text: args.answer.render(&refreshed, || tell(&refreshed, args.dry_run))?, notes })
}

fn remove(host: &Host, args: &Refresh) -> Result<Answer, Failure> {
    let done = remove_specs(host, args.dry_run)?;
    let would = if args.dry_run { "would be " } else { "" };
    let tell = || match done.removed.as_slice() {
        [] => "no CDI file of divvy's is here".to_owned(),
        files => files.iter().map(|file| format!("{}: {would}removed\n", file.display())).collect(),
    };
    let left = |file: &PathBuf| {
        let file = file.display();
        format!(
            "divvy: {file} has divvy's hook and stays, since divvy doesn't keep it: without the hook its devices let containers fail"
        )
    };
    let notes = done.left.iter().map(left).collect();
    Ok(Answer { text: args.answer.render(&done, tell)?, notes })
}

/// Brings the file of requests up to date.
fn requests(
    host: &Host,
    args: &Refresh,
    generated: Result<Generated, generate::Error>,
) -> Result<Refreshed, Failure> {
    let act = if args.dry_run { refresh::look } else { refresh::refresh };
    let kind = generate::requests::KIND.parse();
    let kind = kind.map_err(|error| Failure::new(Exit::Failed, error))?;
    let file = refresh::file(host, &kind, refresh::REQUESTS_FILE)
        .map_err(|error| refusal(&args.answer, error))?;
    Ok(act(file, generated)?)
}

/// Brings the files of the configuration's other resources up to date, and removes those that it has no more.
fn resources(
    host: &Host,
    args: &Refresh,
    specs: BTreeMap<ResourceName, Result<Generated, generate::Error>>,
) -> Result<Vec<Refreshed>, Failure> {
    let act = if args.dry_run { refresh::look } else { refresh::refresh };
    let mut done = Vec::new();
    for (name, generated) in specs {
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

/// Another file defines the same devices: a refusal for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Taken<'a> {
    /// One sentence: what is refused, why, what to do.
    message: String,
    /// The other file.
    file: &'a Path,
    /// The kind of the devices, `nvidia.com/gpu`.
    kind: String,
}

fn refusal(answer: &AnswerArgs, error: refresh::Error) -> Failure {
    let refresh::Error::Taken { file, kind } = &error else { return error.into() };
    answer.refused(&Taken { message: error.to_string(), file, kind: kind.to_string() }, &error)
}

/// Names as far as people read them; `divvy cdi list` has all.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(" ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
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
        lines.push(format!("{word}: {}", some(names)));
    }
    if refreshed.common_changed {
        lines.push(
            "changed: what every device brings along (files, control nodes, hook)".to_owned(),
        );
    }
    lines.extend(refreshed.others.iter().map(|one| tell(one, dry_run)));
    lines.join("\n")
}
