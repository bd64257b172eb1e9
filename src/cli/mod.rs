//! The `divvy` command line: parse, call, print, exit code.

mod answer;
mod cdi;
mod claims;
mod completions;
mod config;
mod doctor;
mod host;
mod import;
mod labels;
mod machine;
mod man;
mod metrics;
mod mig;
mod plan;
mod prepare;
mod progress;
mod reconcile;
mod release;
mod runtime;
mod schema;
mod status;
mod taken_back;
mod terminal;
mod usage;

use crate::claim::store::Store;
use crate::hook_args::DISCONNECT;
use crate::host::Host;
use crate::ops::disconnect::disconnect;
use crate::share::{Settings, mps};
use answer::{Answer, Exit, Failure, Form};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

const START: &str = "\
To begin:
  divvy doctor                                         what would make GPU containers fail here
  divvy runtime configure --runtime podman --dry-run   what an engine needs to serve requests
  divvy cdi refresh                                    tell engines which GPUs there are
  divvy prepare mig:1g.10gb --claim job                make a share, to be named divvy/claim=job
  divvy status                                         see the node, and who holds what
  divvy release job                                    take it back";

/// Lets containers share NVIDIA GPUs on one machine
///
/// A container names the share of a GPU that it wants: exclusive, time-slicing, mps:threads=25,
/// mig:1g.10gb, mig:3g.40gb/mps and so on. divvy makes it on this machine, gives it to the container,
/// and takes it back when the container is gone. No daemon stays behind.
#[derive(Debug, Parser)]
#[command(
    name = "divvy",
    version,
    disable_help_subcommand = true,
    args_override_self = true,
    max_term_width = 100,
    after_help = START
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
    /// Print the JSON Schema of what a command prints with --output json
    ///
    /// The schema is derived from the types that are printed. `divvy config schema` has those of the files that
    /// divvy reads.
    Schema(schema::SchemaArgs),
    /// MIG devices: what GPUs can be cut into, and layouts of them
    Mig {
        #[command(subcommand)]
        command: mig::Command,
    },
    /// Turn the configuration of NVIDIA's Kubernetes device plugin into divvy's own
    ///
    /// Reads it as it is, or in the ConfigMap and the ClusterPolicy around it, and prints what divvy's
    /// configuration says the same with. What divvy doesn't do of it is told on stderr.
    Import(import::Import),
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
    /// Print metrics of GPUs, claims and containers, for Prometheus
    Metrics(metrics::MetricsArgs),
    /// Bring claims and node to agree: takes back what dead containers and crashes left
    Reconcile(reconcile::Reconcile),
    /// Look for what makes GPU containers fail, and say what mends it
    ///
    /// Ends with 1 where it finds an error: something that lets containers fail. Warnings concern some containers,
    /// notes nobody yet. It changes nothing.
    Doctor(doctor::Doctor),
    /// Print a completion script for a shell
    Completions(completions::Completions),
    /// Write the manual pages of this command line
    #[command(hide = true)]
    Man(man::ManPages),
    /// Becomes an MPS control daemon: divvy starts it so, and nobody else
    #[command(hide = true, name = mps::LAUNCH)]
    MpsLaunch {
        #[arg(required = true)]
        arguments: Vec<OsString>,
    },
    /// Ends a container's MPS clients where others share their server, before the container is killed
    #[command(hide = true, name = DISCONNECT)]
    MpsDisconnect {
        /// The container's id
        container: String,
    },
}

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    match usage::parse() {
        Ok((cli, form)) => finish(run(cli), form),
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
    let (host, wrong) = match &cli.command {
        // What tells of the command line alone doesn't need a right configuration.
        None
        | Some(
            Command::Completions(_) | Command::Man(_) | Command::Config { .. } | Command::Schema(_),
        ) => (Host::default(), None),
        Some(Command::Doctor(_)) => cli.host.host_all_the_same()?,
        _ => (cli.host.host()?, None),
    };
    match cli.command {
        None => Ok(Answer::text(usage::command().render_help().to_string())),
        Some(Command::Cdi { command }) => cdi::run(&host, command),
        Some(Command::Runtime { command }) => runtime::run(command),
        Some(Command::Config { command }) => config::run(&command),
        Some(Command::Schema(args)) => schema::run(&args),
        Some(Command::Mig { command }) => mig::run(&host, command),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Plan(args)) => plan::run(&host, &args),
        Some(Command::Prepare(args)) => prepare::run(&host, &args),
        Some(Command::Release(args)) => release::run(&host, &args),
        Some(Command::Claims(args)) => claims::run(&host, &args),
        Some(Command::Status(args)) => status::run(&host, &args),
        Some(Command::Labels(args)) => labels::run(&host, &args),
        Some(Command::Metrics(args)) => metrics::run(&host, &args),
        Some(Command::Reconcile(args)) => reconcile::run(&host, &args),
        Some(Command::Doctor(args)) => doctor::run(&host, wrong, &args),
        Some(Command::Completions(args)) => completions::run(&args),
        Some(Command::Man(args)) => man::run(&args),
        Some(Command::MpsLaunch { arguments }) => match mps::launch(&arguments) {
            Ok(()) => Ok(Answer::text(String::new())),
            Err(message) => Err(Failure { exit: Exit::Failed, message, answer: None }),
        },
        Some(Command::MpsDisconnect { container }) => leave(&host, &container),
    }
}

fn leave(host: &Host, container: &str) -> Result<Answer, Failure> {
    // Less than the wrapper waits: what this starts would stay.
    let command_timeout = Duration::from_secs(2);
    let settings = Settings { command_timeout, ..Settings::new(std::env::current_exe()?) };
    match disconnect(host, &settings, &Store::look(host)?, container) {
        Ok(pids) => Ok(Answer::text(pids.iter().map(|pid| format!("{pid}\n")).collect())),
        Err(error) => Err(Failure::new(Exit::Failed, error)),
    }
}

/// Prints what came out, and says how it went.
fn finish(outcome: Result<Answer, Failure>, form: Form) -> ExitCode {
    let (answer, exit) = match outcome {
        Ok(answer) => (answer, Exit::Done),
        Err(failure) => {
            let exit = failure.exit;
            let notes = vec![format!("divvy: {}", failure.message)];
            (Answer { text: failure.document(form), notes }, exit)
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
