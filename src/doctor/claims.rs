//! Claims and device records, and the administrator's configuration.

use super::finding::{Finding, Name};
use super::mend::{self, advice, run};
use super::{CdiFolders, Judged, Looked};
use crate::claim::repair::Repair;
use crate::claim::{Claim, Device, Owner, Phase, lost_devices};
use crate::config::Config;
use crate::host::NodeIdentity;
use crate::inventory::Inventory;
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

pub(super) fn judge(seen: &Claims, inventory: &Looked<Inventory>, cdi: &CdiFolders) -> Judged {
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
    findings.extend(current(seen).filter(|claim| unnamed(claim, cdi)).map(without_cdi));
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

/// Those of this boot and driver load: of the others nothing is left to look for.
fn current(seen: &Claims) -> impl Iterator<Item = &Claim> {
    seen.claims.iter().filter(|claim| claim.identity == seen.now)
}

fn lost(seen: &Claims, inventory: &Inventory) -> Vec<Finding> {
    let finding = |claim: &Claim| {
        let lost = lost_devices(claim, &seen.devices, inventory);
        let first = lost.first()?;
        let (what, how) = match first.starts_with("MIG-") {
            true => (
                "a MIG device that is gone",
                format!("NVML lists no MIG device {first} of that profile at that placement"),
            ),
            false => ("a GPU that doesn't answer", format!("NVML doesn't list {first}")),
        };
        Some(Finding::new(
            Name::ClaimLost,
            format!("claim {} holds {what}: its container can't use it", claim.id),
            how,
            run(format!("divvy release --force {}", claim.id)).but("stop its container first"),
        ))
    };
    current(seen).filter_map(finding).collect()
}

/// Whether engines should know a claim by name, and don't. Only what a caller prepared has a file.
fn unnamed(claim: &Claim, cdi: &CdiFolders) -> bool {
    let named = claim.phase == Phase::Granted && claim.owner == Owner::Caller;
    named && !cdi.claims.contains(claim.id.as_str())
}

fn without_cdi(claim: &Claim) -> Finding {
    let requests: Vec<String> =
        claim.requests.iter().map(|request| mend::word(&request.to_string())).collect();
    let uid = if claim.uid == 0 { String::new() } else { format!(" --uid {}", claim.uid) };
    Finding::new(
        Name::ClaimWithoutCdi,
        format!("no container gets claim {}: engines don't know divvy/claim={0}", claim.id),
        "it is granted, and engines find no CDI file of it",
        run(format!("divvy prepare --claim {}{uid} {}", claim.id, requests.join(" ")))
            .but("finds the claim as it is, and writes the file again"),
    )
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
