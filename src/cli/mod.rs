//! The `divvy` command line: parse, call, print, exit code.

mod answer;
mod cdi;
mod claims;
mod config;
mod host;
mod labels;
mod machine;
mod plan;
mod prepare;
mod reconcile;
mod release;
mod runtime;
mod status;

use crate::share::mps;
use answer::{Answer, Exit, Failure};
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// Lets containers share NVIDIA GPUs on one machine.
#[derive(Debug, Parser)]
#[command(
    name = "divvy",
    version,
    disable_help_subcommand = true,
    args_override_self = true,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    host: host::HostArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// CDI specs: how container engines get to know GPUs
    Cdi {
        #[command(subcommand)]
        command: cdi::Command,
    },
    /// Container engines: set up to serve requests
    Runtime {
        #[command(subcommand)]
        command: runtime::Command,
    },
    /// The files that divvy reads
    Config {
        #[command(subcommand)]
        command: config::Command,
    },
    /// Show what would be done for requests, or why they can't be met; changes nothing
    Plan(plan::Plan),
    /// Make the devices for a claim, and a CDI device that stands for them
    Prepare(prepare::Prepare),
    /// Take claims back, with everything that was made for them alone
    Release(release::Release),
    /// Show who holds what
    Claims(claims::Claims),
    /// Show the node as a picture
    Status(status::StatusArgs),
    /// Print the labels that GPU Feature Discovery would put on the node
    Labels(labels::LabelsArgs),
    /// Bring claims and node to agree: takes back what dead containers and crashes left
    Reconcile(reconcile::Reconcile),
    /// Becomes an MPS control daemon: divvy starts it so, and nobody else
    #[command(hide = true, name = mps::LAUNCH)]
    MpsLaunch {
        #[arg(required = true)]
        arguments: Vec<OsString>,
    },
}

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => finish(run(cli)),
        // Help and version are no failures; everything else is one of usage.
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            if error.print().is_err() {
                return Exit::Failed.into();
            }
            exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<Answer, Failure> {
    let host = cli.host.host()?;
    match cli.command {
        None => Ok(Answer::text(Cli::command().render_help().to_string())),
        Some(Command::Cdi { command }) => cdi::run(&host, command),
        Some(Command::Runtime { command }) => runtime::run(command),
        Some(Command::Config { command }) => config::run(&command),
        Some(Command::Plan(args)) => plan::run(&host, &args),
        Some(Command::Prepare(args)) => prepare::run(&host, &args),
        Some(Command::Release(args)) => release::run(&host, &args),
        Some(Command::Claims(args)) => claims::run(&host, &args),
        Some(Command::Status(args)) => status::run(&host, &args),
        Some(Command::Labels(args)) => labels::run(&host, &args),
        Some(Command::Reconcile(args)) => reconcile::run(&host, &args),
        Some(Command::MpsLaunch { arguments }) => match mps::launch(&arguments) {
            Ok(()) => Ok(Answer::text(String::new())),
            Err(message) => Err(Failure { exit: Exit::Failed, message, answer: None }),
        },
    }
}

/// Prints what came out, and says how it went.
fn finish(outcome: Result<Answer, Failure>) -> ExitCode {
    let (answer, exit) = match outcome {
        Ok(answer) => (answer, Exit::Done),
        Err(Failure { exit, message, answer }) => {
            let notes = vec![format!("divvy: {message}")];
            (Answer { text: answer.unwrap_or_default(), notes }, exit)
        }
    };
    let mut stderr = io::stderr().lock();
    for note in &answer.notes {
        // Nobody is left to be told where stderr is gone.
        let _ = writeln!(stderr, "{note}");
    }
    match print(&answer.text) {
        Ok(()) => exit.into(),
        // Who reads the answer has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit.into(),
        Err(error) => {
            let _ = writeln!(stderr, "divvy: the answer can't be written to stdout: {error}");
            Exit::Failed.into()
        }
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
