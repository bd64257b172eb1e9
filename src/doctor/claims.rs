//! Claims and device records, and the administrator's configuration.

use super::finding::{Finding, Name};
use super::mend::{advice, run};
use super::{Judged, Looked};
use crate::claim::repair::Repair;
use crate::claim::{Claim, Device, Owner, Phase};
use crate::config::Config;
use crate::host::NodeIdentity;
use crate::inventory::Inventory;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What was seen of the records.
#[derive(Debug)]
pub struct Claims {
    /// Every claim.
    pub claims: Vec<Claim>,
    /// Every device record.
    pub devices: Vec<Device>,
    /// What `divvy reconcile` would mend.
    pub repairs: Vec<Repair>,
    /// This boot and driver load.
    pub now: NodeIdentity,
}

pub(super) fn judge(seen: &Claims, inventory: &Looked<Inventory>) -> Judged {
    let reconcile =
        || run("divvy reconcile").but("divvy-reconcile.timer does it each minute, where it is on");
    let mut findings = Vec::new();
    for repair in &seen.repairs {
        findings.push(match repair {
            Repair::Release(id) => {
                let claim = seen.claims.iter().find(|claim| claim.id == *id);
                let how = claim.map_or_else(String::new, |claim| why_dead(claim, &seen.now));
                let what = format!("claim {id} holds devices for nobody");
                Finding::new(Name::ClaimDead, what, how, reconcile())
            }
            Repair::Retire(id) => {
                let what = format!("device record {id} holds a device for nobody");
                Finding::new(Name::RecordOrphan, what, "no claim names it", reconcile())
            }
        });
    }
    if let Ok(inventory) = inventory {
        findings.extend(lost(seen, inventory));
    }
    let claims = seen.claims.len();
    let plural = if claims == 1 { "" } else { "s" };
    Judged { says: format!("{claims} claim{plural}"), findings }
}

fn why_dead(claim: &Claim, now: &NodeIdentity) -> String {
    if claim.identity != *now {
        return "it is of another boot, or another load of the driver".to_owned();
    }
    match (claim.phase, &claim.owner) {
        (Phase::Intent, _) => format!("process {} was preparing it, and is gone", claim.worker.pid),
        (Phase::Releasing, _) => {
            format!("process {} was releasing it, and is gone", claim.worker.pid)
        }
        (_, Owner::Container { container, process, .. }) => {
            format!(
                "process {} of container {} is gone, and so are the others",
                process.pid, container.id
            )
        }
        (_, Owner::Start { process }) => {
            format!("process {} was starting a container with it, and none has it", process.pid)
        }
        (_, Owner::Caller) => String::new(),
    }
}

fn lost(seen: &Claims, inventory: &Inventory) -> Vec<Finding> {
    let there: BTreeSet<&str> = inventory.gpus.iter().map(|gpu| gpu.uuid.as_str()).collect();
    let gone = |claim: &&Claim| {
        let held = seen.devices.iter().filter(|device| claim.holds(&device.id));
        held.flat_map(|device| &device.targets).any(|target| !there.contains(target.gpu.as_str()))
    };
    let current = seen.claims.iter().filter(|claim| claim.identity == seen.now);
    let finding = |claim: &Claim| {
        Finding::new(
            Name::ClaimLost,
            format!(
                "claim {} holds a GPU that doesn't answer: its container can't use it",
                claim.id
            ),
            "NVML doesn't list the GPU of its record",
            run(format!("divvy release --force {}", claim.id)).but("stop its container first"),
        )
    };
    current.filter(gone).map(finding).collect()
}

/// An entry of the configuration, as it names GPUs.
pub type Named = String;

/// What was seen of the configuration.
#[derive(Debug)]
pub struct Configuration {
    /// Its file.
    pub file: PathBuf,
    /// Whether it is there.
    pub present: bool,
    /// What it says, or what is wrong with it.
    pub config: Result<Config, String>,
}

pub(super) fn judge_configuration(seen: &Configuration, inventory: &Looked<Inventory>) -> Judged {
    let file = seen.file.display();
    let says =
        if seen.present { file.to_string() } else { format!("no {file}: the defaults hold") };
    let config = match &seen.config {
        Ok(config) => config,
        Err(error) => {
            let what = format!(
                "{file} can't be read: no command and no hook does anything until it is right"
            );
            let mend = advice(format!("edit {file}"));
            let wrong = Finding::new(Name::ConfigurationWrong, what, error, mend);
            return Judged { says, findings: vec![wrong] };
        }
    };
    let mut findings = Vec::new();
    let Ok(inventory) = inventory else { return Judged { says, findings } };
    let mend = advice(format!("edit {file}"));
    for entry in &config.gpus {
        if !inventory.gpus.iter().any(|gpu| entry.gpus.matches(gpu)) {
            let named: Named = entry.gpus.to_string();
            let what = format!("the entry {named:?} of gpus is for no GPU of this machine");
            let names: Vec<&str> = inventory.gpus.iter().map(|gpu| gpu.name.as_str()).collect();
            let how = format!("the GPUs here are {}", names.join(", "));
            findings.push(Finding::new(Name::ConfigurationIdle, what, how, mend.clone()));
        }
    }
    let managed = inventory.gpus.iter().any(|gpu| config.policy(gpu).managed);
    if !managed && !inventory.gpus.is_empty() {
        let what =
            "divvy may change the MIG mode and the compute mode of no GPU: it uses what is there";
        let mend = advice(format!(
            "add to {file}: gpus: [{{match: \"*\", managed: true, mig-mode: enable, compute-mode: exclusive}}]"
        ));
        findings.push(Finding::new(
            Name::Unmanaged,
            what,
            "no entry of gpus says managed: true",
            mend,
        ));
    }
    Judged { says, findings }
}
