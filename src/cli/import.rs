//! `divvy import`.

use super::answer::{self, Answer, Exit, Failure};
use crate::compat::device_plugin::{self, Choice, LABEL, MigStrategy};
use crate::config::{Config, GpuEntry, SharedResource};
use crate::document;
use clap::Args;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The configuration: `version: v1`, or a ConfigMap with several, with or without a ClusterPolicy
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which of several configurations
    #[arg(long, value_name = "NAME", conflicts_with = "node_label")]
    config_name: Option<String>,
    /// The node's labels, of which nvidia.com/device-plugin.config says which of several configurations; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    node_label: Vec<(String, String)>,
    /// Where to write it, whole or not at all; a file that says something else is left as it is [default: stdout]
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Write it even so
    #[arg(long, requires = "output_file")]
    force: bool,
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("a label is KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(super) fn run(args: &Import) -> Result<Answer, Failure> {
    let text = document::read(&args.file)?;
    let named = device_plugin::read(&text, &args.file, &args.choice()?)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let config = Config::from(&named);
    let text = format!("{}{}", heading(&args.file, named.name.as_deref()), body(&config)?);
    let notes = config.notes.iter().map(|note| format!("divvy: {note}")).collect();
    match &args.output_file {
        None => Ok(Answer { text, notes }),
        Some(file) => {
            write(file, &text, args.force)?;
            Ok(Answer { text: String::new(), notes })
        }
    }
}

impl Import {
    fn choice(&self) -> Result<Choice, Failure> {
        let by_label = self.node_label.iter().find(|(key, _)| key == LABEL);
        match (&self.config_name, by_label) {
            (Some(name), _) => Ok(Choice::Named(name.clone())),
            (None, Some((_, name))) => Ok(Choice::Named(name.clone())),
            (None, None) if self.node_label.is_empty() => Ok(Choice::Usual),
            (None, None) => Err(Failure::new(
                Exit::Usage,
                format!(
                    "the label that chooses a configuration is {LABEL}, and it is not among --node-label"
                ),
            )),
        }
    }
}

fn heading(file: &Path, name: Option<&str>) -> String {
    // A name with a line break would end the comment.
    let file = file.display().to_string().replace(char::is_control, "?");
    match name {
        Some(name) => format!("# From {file}, {}\n", name.replace(char::is_control, "?")),
        None => format!("# From {file}\n"),
    }
}

/// What of a configuration an import can say.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gpus: Vec<Managed>,
    mig_strategy: MigStrategy,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    resources: &'a [SharedResource],
    #[serde(skip_serializing_if = "Roots::is_empty")]
    host: Roots<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Managed {
    r#match: String,
    managed: bool,
    compute_mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Roots<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    driver_root: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev_root: Option<&'a Path>,
}

impl Roots<'_> {
    fn is_empty(&self) -> bool {
        self.driver_root.is_none() && self.dev_root.is_none()
    }
}

fn body(config: &Config) -> Result<String, Failure> {
    let managed = |entry: &GpuEntry| Managed {
        r#match: entry.gpus.to_string(),
        managed: entry.policy.managed,
        compute_mode: if entry.policy.exclusive_process { "exclusive" } else { "leave" },
    };
    let body = Body {
        gpus: config.gpus.iter().map(managed).collect(),
        mig_strategy: config.mig_strategy,
        resources: &config.resources,
        host: Roots {
            driver_root: config.host.driver_root.as_deref(),
            dev_root: config.host.dev_root.as_deref(),
        },
    };
    Ok(serde_saphyr::to_string(&body)?)
}

/// Writes the file, where nothing else stands there.
fn write(file: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let there = fs::read_to_string(file).ok();
    if !force && there.as_deref().is_some_and(|there| there != text) {
        let message = format!(
            "{} says something else: look at the difference without --output-file, and write it with --force",
            file.display()
        );
        return Err(Failure::new(Exit::Refused, message));
    }
    answer::write(file, text)
}
