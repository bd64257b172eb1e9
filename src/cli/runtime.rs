//! `divvy runtime`.

use super::answer::{Answer, AnswerArgs, Exit, Failure, PlainRefusal};
use super::host::{PROGRAMS, installed};
use crate::engines::{self, Activation, Engine, FileChange, Options, Plan};
use crate::hook_args::PROGRAM as HOOK;
use clap::{Args, Subcommand, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};

const RUNTIME: &str = "divvy-runtime";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Set up a container engine for divvy, or take that back
    ///
    /// Writes drop-ins where the engine reads them, and keeps all else: running it twice changes nothing, and
    /// `--remove` leaves things as they were. It starts nothing again; it says what to do.
    Configure(Configure),
}

#[derive(Debug, Args)]
pub(super) struct Configure {
    #[command(flatten)]
    answer: AnswerArgs,
    /// The engine
    #[arg(long, value_enum)]
    runtime: Name,
    /// Give divvy's runtime to containers that name none
    #[arg(long)]
    set_as_default: bool,
    /// Take out what divvy wrote; what somebody else changed since stays
    #[arg(long, conflicts_with = "set_as_default")]
    remove: bool,
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave CDI as it is, off where it is off (Docker before 28.2, containerd before 2.0)
    #[arg(long)]
    no_cdi: bool,
    /// The engine's own file [default: /etc/containerd/config.toml, /etc/docker/daemon.json]
    #[arg(long, value_name = "FILE")]
    engine_config: Option<PathBuf>,
    /// The file to add [default: 99-divvy.toml, 99-divvy.conf or divvy.conf in the engine's drop-in folder]
    #[arg(long, value_name = "FILE")]
    drop_in: Option<PathBuf>,
    /// The runtime's name
    #[arg(long, value_name = "NAME", default_value = "divvy", value_parser = runtime_name)]
    runtime_name: String,
    /// divvy-runtime on the host [default: the one beside this program, else /usr/bin/divvy-runtime]
    #[arg(long, value_name = "FILE")]
    runtime_path: Option<PathBuf>,
    /// divvy-hook on the host [default: the one beside this program, else /usr/bin/divvy-hook]
    #[arg(long, value_name = "FILE")]
    hook_path: Option<PathBuf>,
    /// Read and write below this folder, as for the image of a machine; other paths are as that machine sees them
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Podman,
    Containerd,
    Crio,
    Docker,
}

impl From<Name> for Engine {
    fn from(name: Name) -> Engine {
        match name {
            Name::Podman => Engine::Podman,
            Name::Containerd => Engine::Containerd,
            Name::Crio => Engine::Crio,
            Name::Docker => Engine::Docker,
        }
    }
}

/// Engines take a runtime's name for a key, a file name and a word in their answers.
fn runtime_name(word: &str) -> Result<String, &'static str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let first = word.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    match word {
        "runc" | "crun" => Err("engines know that name already; use another, such as divvy"),
        _ if first && word.bytes().all(letter) && word.len() <= 63 => Ok(word.to_owned()),
        _ => Err(
            "a name has 1 to 63 letters, digits, '-' and '_', and begins with a letter or digit",
        ),
    }
}

pub(super) fn run(command: Command) -> Result<Answer, Failure> {
    let Command::Configure(args) = command;
    let engine = Engine::from(args.runtime);
    let options = args.options(engine)?;
    let root = std::path::absolute(&args.root)?;
    let plan = args.plan(engine, &options, &root).map_err(|error| match error.is_refusal() {
        true => args.answer.refused(&PlainRefusal::of(&error), &error),
        false => error.into(),
    })?;
    let mut notes: Vec<String> = plan.notes.iter().map(|note| format!("divvy: {note}")).collect();
    if !args.remove {
        notes.extend(missing_programs(engine, &options, &root));
    }
    if !args.dry_run {
        engines::apply(&plan, &root)?;
    }
    let report = Report::of(engine, &plan, args.dry_run);
    Ok(Answer { text: args.answer.render(&report, || report.tell())?, notes })
}

impl Configure {
    fn options(&self, engine: Engine) -> Result<Options, Failure> {
        let usage = |message: String| Failure::new(Exit::Usage, message);
        if self.engine_config.is_some() && matches!(engine, Engine::Podman | Engine::Crio) {
            return Err(usage(format!("{engine} has drop-ins alone: use --drop-in")));
        }
        if self.drop_in.is_some() && engine == Engine::Docker {
            return Err(usage("Docker has no drop-ins: use --engine-config".to_owned()));
        }
        let program = |given: &Option<PathBuf>, name: &str| {
            let path = match given {
                Some(path) => std::path::absolute(path)?,
                None if self.root == Path::new("/") => installed(name),
                None => Path::new(PROGRAMS).join(name),
            };
            let text = path.to_str().map(str::to_owned);
            text.ok_or_else(|| usage(format!("{}: a path in UTF-8 is needed", path.display())))
        };
        let file = |given: &Option<PathBuf>| given.as_deref().map(std::path::absolute).transpose();
        Ok(Options {
            runtime_name: self.runtime_name.clone(),
            runtime_path: program(&self.runtime_path, RUNTIME)?,
            hook_path: program(&self.hook_path, HOOK)?,
            set_as_default: self.set_as_default,
            cdi: !self.no_cdi,
            config: file(&self.engine_config)?,
            drop_in: file(&self.drop_in)?,
        })
    }

    fn plan(&self, engine: Engine, options: &Options, root: &Path) -> Result<Plan, engines::Error> {
        let current = engines::read(engine, options, root)?;
        if self.remove {
            return engines::plan_removal(engine, options, &current);
        }
        let program = Path::new(&options.runtime_path);
        if options.set_as_default && !engines::below(root, program).exists() {
            let path = program.to_owned();
            return Err(engines::Error::NoProgram { path, option: "--runtime-path" });
        }
        engines::plan(engine, options, &current)
    }
}

/// An engine says nothing of a program that isn't there until a container wants it, and podman not even then.
fn missing_programs(engine: Engine, options: &Options, root: &Path) -> Vec<String> {
    let mut programs = vec![(&options.runtime_path, "containers with this runtime don't start")];
    if engine == Engine::Podman {
        programs.push((&options.hook_path, "podman passes over the hook in silence"));
    }
    let missing = programs
        .into_iter()
        .filter(|(path, _)| !engines::below(root, Path::new(path.as_str())).exists());
    missing
        .map(|(path, effect)| format!("divvy: {path} is not there yet: until it is, {effect}"))
        .collect()
}

/// What a run did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    engine: Engine,
    /// Whether any file changed, or would.
    changed: bool,
    /// Whether this says what would be done, and nothing was.
    dry_run: bool,
    /// The files that changed, or would.
    files: Vec<FileReport>,
    needs: Needs,
    /// The command that lets the engine see it, where it takes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// What that command does to containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

/// A file that changed, or would.
#[derive(Debug, Serialize, JsonSchema)]
struct FileReport {
    /// The file, as the engine sees it.
    path: PathBuf,
    change: Change,
    /// What the change is for.
    why: String,
    /// The change as a unified diff, with `--dry-run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Change {
    Created,
    Changed,
    Removed,
}

impl Change {
    fn of(change: &FileChange) -> Change {
        match (&change.before, &change.after) {
            (None, _) => Change::Created,
            (_, None) => Change::Removed,
            _ => Change::Changed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Change::Created => "created",
            Change::Changed => "changed",
            Change::Removed => "removed",
        }
    }
}

/// What it takes for the engine to see a change.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Needs {
    /// Nothing changed.
    Nothing,
    /// The next container sees it.
    NextContainer,
    /// The engine's service has to be reloaded; containers are not touched.
    Reload,
    /// The engine's service has to be restarted.
    Restart,
}

impl Report {
    fn of(engine: Engine, plan: &Plan, dry_run: bool) -> Report {
        let file = |change: &FileChange| FileReport {
            path: change.path.clone(),
            change: Change::of(change),
            why: change.why.clone(),
            diff: dry_run.then(|| engines::diff(change)),
        };
        let (needs, command, warning) = match plan.activation {
            Activation::Nothing => (Needs::Nothing, None, None),
            Activation::NextContainer => (Needs::NextContainer, None, None),
            Activation::Reload { service } => {
                (Needs::Reload, Some(format!("systemctl reload {service}")), None)
            }
            Activation::Restart { service, warning } => {
                (Needs::Restart, Some(format!("systemctl restart {service}")), warning)
            }
        };
        Report {
            engine,
            changed: !plan.changes.is_empty(),
            dry_run,
            files: plan.changes.iter().map(file).collect(),
            needs,
            command,
            warning,
        }
    }

    fn tell(&self) -> String {
        if !self.changed {
            return format!("{}: nothing to change\n", self.engine.word());
        }
        let mut text = String::new();
        for FileReport { path, change, why, diff } in &self.files {
            match diff {
                Some(diff) => text.push_str(diff),
                None => text.push_str(&format!("{}: {} ({why})\n", path.display(), change.word())),
            }
        }
        if self.dry_run {
            return text;
        }
        match (&self.command, self.warning) {
            (None, _) => text.push_str("To take effect: nothing, the next container sees it\n"),
            (Some(command), None) => text.push_str(&format!("To take effect: {command}\n")),
            (Some(command), Some(warning)) => {
                text.push_str(&format!("To take effect: {command} ({warning})\n"));
            }
        }
        text
    }
}
