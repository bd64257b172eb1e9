//! What makes GPU containers fail on this machine: what is wrong, how that is known, and the command that mends it.
//!
//! Looking and judging are apart: each check has a struct of what was seen, a function that looks, and a pure one
//! that judges. A check that can't look says why, and claims nothing.

mod below;
mod cdi_files;
mod cdi_folders;
mod claims;
mod driver;
mod engines;
mod fabric;
mod finding;
mod mend;
mod mig;
mod mps;
mod nodes;
mod state;
mod system;
mod units;

pub use cdi_files::{SpecFile, Writer};
pub use cdi_folders::CdiFolders;
pub use claims::{Claims, Configuration, Named};
pub use driver::{Driver, Persistence};
pub use engines::Legacy;
pub use fabric::Fabric;
pub use finding::{Finding, Level, Name};
pub use mps::{Daemon, Mps};
pub use nodes::Nodes;
pub use state::{FoundFolder, StateDir};
pub use system::{Cgroups, Rootless, Security};
pub use units::Units;

use crate::engines::Found;
use crate::inventory::Inventory;
use schemars::JsonSchema;
use serde::Serialize;

/// A check, or why it could not be made.
pub type Looked<T> = Result<T, String>;

/// All that was seen.
#[derive(Debug)]
pub struct Seen {
    /// The driver and its library.
    pub driver: Driver,
    /// What the driver says of the GPUs.
    pub inventory: Looked<Inventory>,
    /// Persistence of the GPUs.
    pub persistence: Looked<Persistence>,
    /// The NVSwitch fabric.
    pub fabric: Looked<Fabric>,
    /// Device nodes.
    pub nodes: Looked<Nodes>,
    /// The folders that engines read CDI specs from.
    pub cdi: CdiFolders,
    /// The engines that are here.
    pub engines: Vec<Found>,
    /// What the NVIDIA container toolkit left.
    pub legacy: Legacy,
    /// Control groups.
    pub cgroups: Cgroups,
    /// SELinux and AppArmor.
    pub security: Security,
    /// What users without root need.
    pub rootless: Rootless,
    /// MPS control daemons.
    pub mps: Looked<Mps>,
    /// The folder that claims lie in.
    pub state: StateDir,
    /// divvy's systemd units.
    pub units: Units,
    /// Claims and device records.
    pub claims: Looked<Claims>,
    /// The administrator's configuration.
    pub configuration: Configuration,
}

impl Seen {
    /// Whether the configuration gives divvy a GPU of this machine to manage.
    fn manages(&self) -> bool {
        let (Ok(config), Ok(inventory)) = (&self.configuration.config, &self.inventory) else {
            return false;
        };
        inventory.gpus.iter().any(|gpu| config.policy(gpu).managed)
    }
}

/// What is checked, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Kernel module, libraries, GPUs that answer.
    Driver,
    /// Whether the driver keeps GPUs initialised.
    Persistence,
    /// Whether the GPUs have joined their NVSwitch fabric.
    Fabric,
    /// Device nodes and those of MIG capabilities.
    Nodes,
    /// MIG modes and devices.
    Mig,
    /// CDI folders.
    Cdi,
    /// Engines and their configuration.
    Engines,
    /// What would fight with divvy.
    Legacy,
    /// Control groups.
    Cgroups,
    /// SELinux and AppArmor.
    Security,
    /// Containers of users without root.
    Rootless,
    /// MPS control daemons.
    Mps,
    /// The folder that claims lie in.
    State,
    /// divvy's systemd units.
    Units,
    /// Claims and device records.
    Claims,
    /// The administrator's configuration.
    Configuration,
}

impl Check {
    /// Every check.
    pub const ALL: [Check; 16] = [
        Check::Driver,
        Check::Persistence,
        Check::Fabric,
        Check::Nodes,
        Check::Mig,
        Check::Cdi,
        Check::Engines,
        Check::Legacy,
        Check::Cgroups,
        Check::Security,
        Check::Rootless,
        Check::Mps,
        Check::State,
        Check::Units,
        Check::Claims,
        Check::Configuration,
    ];

    /// Its name, as in the report.
    pub fn word(self) -> &'static str {
        match self {
            Check::Driver => "driver",
            Check::Persistence => "persistence",
            Check::Fabric => "fabric",
            Check::Nodes => "nodes",
            Check::Mig => "mig",
            Check::Cdi => "cdi",
            Check::Engines => "engines",
            Check::Legacy => "legacy",
            Check::Cgroups => "cgroups",
            Check::Security => "security",
            Check::Rootless => "rootless",
            Check::Mps => "mps",
            Check::State => "state",
            Check::Units => "units",
            Check::Claims => "claims",
            Check::Configuration => "configuration",
        }
    }

    /// Judges what was seen.
    pub fn judge(self, seen: &Seen) -> Checked {
        let judged = match self {
            Check::Driver => Ok(driver::judge(&seen.driver, &seen.inventory)),
            Check::Persistence => with(&seen.persistence, driver::judge_persistence),
            Check::Fabric => with(&seen.fabric, fabric::judge),
            Check::Nodes => with(&seen.nodes, nodes::judge),
            Check::Mig => with(&seen.inventory, |inventory| mig::judge(inventory, &seen.claims)),
            Check::Cdi => Ok(cdi_folders::judge(seen)),
            Check::Engines => Ok(engines::judge(&seen.engines)),
            Check::Legacy => Ok(engines::judge_legacy(&seen.legacy, &seen.engines)),
            Check::Cgroups => Ok(system::judge_cgroups(&seen.cgroups, &seen.engines)),
            Check::Security => Ok(system::judge_security(&seen.security)),
            Check::Rootless => Ok(system::judge_rootless(&seen.rootless, &seen.engines)),
            Check::Mps => with(&seen.mps, mps::judge),
            Check::State => Ok(state::judge(&seen.state)),
            Check::Units => Ok(units::judge(&seen.units)),
            Check::Claims => {
                with(&seen.claims, |claims| claims::judge(claims, &seen.inventory, &seen.cdi))
            }
            Check::Configuration => {
                Ok(claims::judge_configuration(&seen.configuration, &seen.inventory))
            }
        };
        let (says, findings, not_checked) = match judged {
            Ok(Judged { says, findings }) => (and_count(says, &findings), findings, None),
            Err(why) => (String::new(), Vec::new(), Some(why)),
        };
        let level = findings.iter().map(|finding| finding.level).max();
        Checked { check: self, level: level.unwrap_or_default(), says, findings, not_checked }
    }
}

/// What was seen, with how much of it is wrong: no check with a finding says what a check in order says.
fn and_count(says: String, findings: &[Finding]) -> String {
    let count = |level: Level| {
        let n = findings.iter().filter(|finding| finding.level == level).count();
        let plural = if n == 1 { "" } else { "s" };
        (n > 0).then(|| format!("{n} {}{plural}", level.word()))
    };
    let counts = [Level::Error, Level::Warning, Level::Note].into_iter().filter_map(count);
    let counts: Vec<String> = counts.collect();
    if counts.is_empty() { says } else { format!("{says}: {}", counts.join(", ")) }
}

fn with<T>(looked: &Looked<T>, judge: impl FnOnce(&T) -> Judged) -> Looked<Judged> {
    looked.as_ref().map(judge).map_err(Clone::clone)
}

/// What a judging function says.
#[derive(Debug)]
struct Judged {
    /// What was seen, in a few words.
    says: String,
    findings: Vec<Finding>,
}

/// One check and what came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Checked {
    /// Which.
    pub check: Check,
    /// The worst of its findings.
    pub level: Level,
    /// What was seen, in a few words.
    pub says: String,
    /// What is wrong, or worth knowing.
    pub findings: Vec<Finding>,
    /// Why it could not be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_checked: Option<String>,
}

/// The whole report.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The worst level of all.
    pub level: Level,
    /// Every check.
    pub checks: Vec<Checked>,
}

impl Report {
    /// Judges all that was seen.
    pub fn of(seen: &Seen) -> Report {
        let checks: Vec<Checked> = Check::ALL.into_iter().map(|check| check.judge(seen)).collect();
        let level = checks.iter().map(|checked| checked.level).max().unwrap_or_default();
        Report { level, checks }
    }
}
