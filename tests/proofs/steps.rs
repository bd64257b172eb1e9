//! Programs that are killed at one of their steps.

use crate::claims::site::{Said, Site};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// One step of a run, as `stepper.c` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// `main`, or `outer` and `inner` of the launcher.
    pub(super) role: String,
    /// From 1 in its process.
    pub(super) number: usize,
    /// `rename /…`, `say set_default_active_thread_percentage 25`.
    pub(super) what: String,
}

/// Where a process dies.
#[derive(Clone, Debug)]
pub(super) enum Kill {
    /// At a step, before it is taken or after.
    Step { step: Step, after: bool },
    /// At a call of NVML that changes something, by its number in the process.
    Call { number: usize, after: bool },
}

impl Kill {
    /// Whether the process that dies is `divvy` itself and not its launcher.
    pub(super) fn is_main(&self) -> bool {
        match self {
            Kill::Step { step, .. } => step.role == "main",
            Kill::Call { .. } => true,
        }
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = |after| if after { "after" } else { "before" };
        match self {
            Kill::Step { step, after } => {
                write!(f, "{} step {} of {}: {}", when(*after), step.number, step.role, step.what)
            }
            Kill::Call { number, after } => {
                write!(f, "{} the call {number} that changes something", when(*after))
            }
        }
    }
}

/// What became of a run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) said: Said,
    /// The steps that were taken.
    pub(super) steps: Vec<Step>,
    /// Whether somebody was killed.
    pub(super) killed: bool,
}

/// Runs `divvy WORD…`, killed at a call or not at all.
pub(super) fn plain(site: &Site, words: &[&str], env: &[(&str, &str)], kill: Option<&Kill>) -> Run {
    let mut command = site.command(words);
    command.envs(env.iter().copied());
    if let Some(Kill::Call { number, after }) = kill {
        let after = if *after { ":after" } else { "" };
        command.env("FAKE_NVML_ABORT_AT", format!("*:{number}{after}"));
    }
    let said = Said::of(command.output().unwrap());
    Run { killed: said.code.is_none(), said, steps: Vec::new() }
}

/// Runs `divvy WORD…` step by step.
pub(super) fn run(site: &Site, words: &[&str], env: &[(&str, &str)], kill: Option<&Kill>) -> Run {
    if matches!(kill, Some(Kill::Call { .. })) {
        return plain(site, words, env, kill);
    }
    let mut plain = site.command(words);
    plain.envs(env.iter().copied());
    let nobody = ("main", 0, false);
    let (role, number, after) = match kill {
        Some(Kill::Step { step, after }) => (step.role.as_str(), step.number, *after),
        _ => nobody,
    };
    let log = site.node.dir().join("steps");
    let mut command = Command::new(stepper());
    command.arg(&log).args([role, &number.to_string(), if after { "after" } else { "before" }]);
    command.arg(folders(site)).arg(plain.get_program()).args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = fs::read_to_string(&log).unwrap();
    let killed = text.lines().any(|line| line == "killed");
    Run { said: Said::of(output), steps: text.lines().filter_map(step).collect(), killed }
}

fn step(line: &str) -> Option<Step> {
    let mut words = line.splitn(3, ' ');
    let (role, number, what) = (words.next()?, words.next()?, words.next()?);
    Some(Step { role: role.to_owned(), number: number.parse().ok()?, what: what.to_owned() })
}

/// Where a change is a step.
fn folders(site: &Site) -> String {
    let host = site.node.host();
    let cgroups = Path::new("/sys/fs/cgroup");
    let folders = [&host.state_dir, &host.cdi_dirs[0], &host.dev_root.join("dev"), cgroups];
    folders.map(|folder| folder.to_str().unwrap()).join(":")
}

/// The program that does it, built once.
fn stepper() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proofs/stepper.c");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stepper");
        let beside = program.with_extension(std::process::id().to_string());
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&beside).arg(source);
        assert!(compiler.status().expect("cc comes with build-essential").success());
        fs::rename(beside, &program).unwrap();
        program
    })
}
