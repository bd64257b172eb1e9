//! `divvy doctor`.

use super::answer::{Answer, AnswerArgs, Exit, Failure, wrapped};
use super::terminal;
use crate::claim::store::Store;
use crate::config::Config;
use crate::doctor::{
    CdiFolders, Cgroups, Check, Checked, Claims, Configuration, Driver, Fabric, Finding, Legacy,
    Level, Mps, Nodes, Persistence, Report, Rootless, Security, Seen, StateDir, Units,
};
use crate::engines;
use crate::host::Host;
use crate::inventory::{self, Inventory, Scope};
use crate::nvml::{NvmlError, Session};
use crate::ops::reconcile;
use clap::Args;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Where this machine's files lie, for a divvy that runs in a container: engines, control groups, /tmp and /etc are looked for below it
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
    /// Also what is in order
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(host: &Host, wrong: Option<String>, args: &Doctor) -> Result<Answer, Failure> {
    let root = std::path::absolute(&args.root)?;
    let report = Report::of(&look(host, wrong, &root));
    let colour = terminal::colour();
    let text = args.answer.render(&report, || tell(&report, args.verbose, colour))?;
    match report.level {
        Level::Error => {
            let findings = report.checks.iter().flat_map(|checked| &checked.findings);
            let errors = findings.filter(|finding| finding.level == Level::Error).count();
            let plural = if errors == 1 { "" } else { "s" };
            let message = format!("{errors} error{plural}: GPU containers fail on this machine");
            Err(Failure { answer: Some(text), ..Failure::new(Exit::Failed, message) })
        }
        Level::Ok | Level::Note | Level::Warning => Ok(Answer::text(text)),
    }
}

/// Looks at everything. What can't be looked at says why.
fn look(host: &Host, wrong: Option<String>, root: &Path) -> Seen {
    let session = inventory::open(host);
    let inventory = read(&session);
    let with_inventory = |look: &dyn Fn(&Inventory) -> Result<Nodes, String>| match &inventory {
        Ok(inventory) => look(inventory),
        Err(error) => Err(error.clone()),
    };
    let claims = claims(host);
    let ids = claims.as_ref().ok().map(|claims| {
        claims.claims.iter().map(|claim| claim.id.to_string()).collect::<BTreeSet<String>>()
    });
    let (persistence, fabric) = match (&session, &inventory) {
        (Ok(session), Ok(inventory)) => {
            (Persistence::look(host, session, inventory), Fabric::look(session, inventory))
        }
        (Err(_), _) | (_, Err(_)) => (Err(NO_DRIVER.to_owned()), Err(NO_DRIVER.to_owned())),
    };
    let config = match wrong {
        Some(error) => Err(error),
        None => Config::load(&host.config).map_err(|error| error.to_string()),
    };
    Seen {
        driver: Driver::look(host, &session),
        nodes: with_inventory(&|inventory| Nodes::look(host, inventory)),
        persistence,
        fabric,
        cdi: CdiFolders::look(root, &host.cdi_dirs, ids.as_ref()),
        engines: engines::look(root),
        legacy: Legacy::look(root),
        cgroups: Cgroups::look(root),
        security: Security::look(root),
        rootless: Rootless::look(root),
        mps: claims.as_ref().map_err(Clone::clone).and_then(|claims| Mps::look(host, root, claims)),
        state: StateDir::look(host),
        units: Units::look(root),
        claims,
        configuration: Configuration {
            file: host.config.clone(),
            present: host.config.exists(),
            config,
        },
        inventory,
    }
}

const NO_DRIVER: &str = "the driver doesn't answer";

fn read(session: &Result<Session, NvmlError>) -> Result<Inventory, String> {
    let session = session.as_ref().map_err(|_| NO_DRIVER.to_owned())?;
    inventory::read(session, Scope::Full).map_err(|error| error.to_string())
}

fn claims(host: &Host) -> Result<Claims, String> {
    let read = || -> Result<Claims, Failure> {
        let store = Store::look(host)?;
        Ok(Claims {
            claims: store.claims()?,
            devices: store.devices()?,
            repairs: reconcile::look(host, &store)?,
            now: host.identity()?,
        })
    };
    read().map_err(|failure| failure.message)
}

/// The worst first: what stands at the end of a long table isn't read.
fn tell(report: &Report, verbose: bool, colour: bool) -> String {
    let mut found: Vec<(Check, &Finding)> = report
        .checks
        .iter()
        .flat_map(|checked| checked.findings.iter().map(|finding| (checked.check, finding)))
        .collect();
    found.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.level));
    let mut text = String::new();
    for (check, finding) in &found {
        let (level, plain) = (shown(finding.level, colour), finding.level.word());
        let rest = format!("{} ({}, {})", finding.what, check.word(), finding.name.word());
        // Colours have no width.
        let line = wrapped(&format!("{plain}: {rest}"), SAYS);
        text.push_str(&line.replacen(plain, &level, 1));
        text.push_str(&wrapped(&format!("    seen: {}", finding.how), SAYS));
        // A line that begins with a dollar sign can be pasted, without it: it stays whole.
        text.extend(finding.command.iter().map(|command| format!("    mend: $ {command}\n")));
        let label = if finding.command.is_some() { "      " } else { "mend: " };
        let advice = finding.advice.iter();
        text.extend(advice.map(|advice| wrapped(&format!("    {label}{advice}"), SAYS)));
    }
    for checked in &report.checks {
        if let Some(why) = &checked.not_checked {
            let line = format!("not checked: {}: {why}", checked.check.word());
            text.push_str(&wrapped(&line, SAYS));
        } else if verbose || found.is_empty() {
            text.push_str(&in_order(checked));
        }
    }
    text
}

/// Where the words of `    seen: ` begin, and where a line goes on.
const SAYS: usize = 10;

fn shown(level: Level, colour: bool) -> String {
    let number = match level {
        Level::Ok => 32,
        Level::Note => 36,
        Level::Warning => 33,
        Level::Error => 31,
    };
    if colour { format!("\x1b[{number}m{}\x1b[0m", level.word()) } else { level.word().to_owned() }
}

fn in_order(checked: &Checked) -> String {
    let line = format!("{:7} {}: {}", checked.level.word(), checked.check.word(), checked.says);
    wrapped(&line, SAYS)
}
