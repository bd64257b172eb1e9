//! Labels of the whole node: machine, versions, what its GPUs can do.

use super::{Facts, Labels, plain};
use crate::compat::device_plugin::Strategy;
use std::collections::BTreeSet;

const VGA_CONTROLLER: u32 = 0x03_0000;
const CONTROLLER_3D: u32 = 0x03_0200;
const UNKNOWN: &str = "unknown";

pub(super) fn put(labels: &mut Labels, facts: &Facts<'_>) {
    labels.put("gpu.machine", plain(facts.host.machine().as_deref().unwrap_or(UNKNOWN)));
    labels.put("gpu.mode", mode(facts));
    put_versions(labels, facts);
    put_clique(labels, facts);
    let gpus = &facts.inventory.gpus;
    labels.put("mig.capable", gpus.iter().any(|gpu| gpu.mig.is_some()));
    let mps = facts.config.resources.iter().any(|resource| resource.mode == Strategy::Mps);
    labels.put("mps.capable", mps);
}

/// The NVLink clique, where all GPUs that are in one are in the same.
fn put_clique(labels: &mut Labels, facts: &Facts<'_>) {
    match facts.cliques.iter().collect::<Vec<_>>()[..] {
        [] => {}
        [clique] => labels.put("gpu.clique", clique),
        ref several => labels.notes.push(format!(
            "the node's GPUs are in {} NVLink cliques, so there is no label of one",
            several.len()
        )),
    }
}

/// Whether the GPUs are there to compute or to draw, by their PCI class, where all have one.
fn mode(facts: &Facts<'_>) -> &'static str {
    let class = |gpu: &crate::inventory::Gpu| facts.host.pci_class(&gpu.pci.to_string());
    let classes: BTreeSet<Option<u32>> = facts.inventory.gpus.iter().map(class).collect();
    match classes.into_iter().collect::<Vec<_>>()[..] {
        [Some(VGA_CONTROLLER)] => "graphics",
        [Some(CONTROLLER_3D)] => "compute",
        _ => UNKNOWN,
    }
}

/// The driver's version and CUDA's, each under its old name and its new one.
fn put_versions(labels: &mut Labels, facts: &Facts<'_>) {
    let driver = &facts.inventory.driver_version;
    let mut parts = driver.splitn(3, '.');
    let mut part = || parts.next().unwrap_or_default();
    let (major, minor, revision) = (part(), part(), part());
    labels.put("cuda.driver.major", major);
    labels.put("cuda.driver.minor", minor);
    labels.put("cuda.driver.rev", revision);
    labels.put("cuda.driver-version.major", major);
    labels.put("cuda.driver-version.minor", minor);
    labels.put("cuda.driver-version.revision", revision);
    labels.put("cuda.driver-version.full", driver);
    let (major, minor) = facts.inventory.cuda_version;
    labels.put("cuda.runtime.major", major);
    labels.put("cuda.runtime.minor", minor);
    labels.put("cuda.runtime-version.major", major);
    labels.put("cuda.runtime-version.minor", minor);
    labels.put("cuda.runtime-version.full", format!("{major}.{minor}"));
}
