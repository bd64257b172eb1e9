//! Labels of what a node offers: its GPUs, and its MIG devices as the strategy lets them appear.

use super::sharing::{self, Share};
use super::{Facts, Labels, plain};
use crate::compat::device_plugin::MigStrategy;
use crate::inventory::{Attributes, Gpu, UNKNOWN_PROFILE};
use std::collections::BTreeMap;

/// The resource that GPUs are, and under the strategy `single` MIG devices.
const GPU: &str = "gpu";

/// The MIG devices of one profile.
struct Alike<'a> {
    gpu: &'a Gpu,
    attributes: Attributes,
    count: usize,
}

pub(super) fn put(labels: &mut Labels, facts: &Facts<'_>) {
    put_gpus(labels, facts);
    match facts.strategy {
        MigStrategy::None => {}
        MigStrategy::Single => {
            labels.put("mig.strategy", "single");
            put_single(labels, facts);
        }
        MigStrategy::Mixed => {
            labels.put("mig.strategy", "mixed");
            for (profile, alike) in alike(facts) {
                put_mig(labels, facts, &format!("mig-{profile}"), &profile, &alike);
            }
        }
    }
}

/// The product that stands for the node: of GPUs that are used whole, where there is one.
fn put_gpus(labels: &mut Labels, facts: &Facts<'_>) {
    let gpus = &facts.inventory.gpus;
    let whole = gpus.iter().find(|gpu| !gpu.mig_enabled());
    let Some(gpu) = whole.or_else(|| gpus.first()) else { return };
    let mut products: Vec<&str> = gpus.iter().map(|gpu| gpu.name.as_str()).collect();
    products.sort_unstable();
    products.dedup();
    if products.len() > 1 {
        labels.notes.push(format!(
            "the node has GPUs of several products ({}); the labels are of {}, GPU {}",
            products.join(", "),
            gpu.name,
            gpu.index
        ));
    }
    let count = gpus.iter().filter(|other| other.name == gpu.name).count();
    let share = sharing::share(facts.config, gpu, GPU).filter(|_| !gpu.mig_enabled());
    put_offer(labels, GPU, &[&gpu.name], count, share);
    if gpu.mig_enabled() {
        // As a whole it is offered to nobody.
        labels.put("gpu.replicas", 0);
    }
    if gpu.memory_mib != 0 {
        labels.put("gpu.memory", gpu.memory_mib);
    }
    let (major, minor) = gpu.compute_capability;
    if major != 0 {
        labels.put("gpu.family", family(major, minor));
        labels.put("gpu.compute.major", major);
        labels.put("gpu.compute.minor", minor);
    }
}

/// MIG devices in place of GPUs, where all are alike; else labels that say that they aren't.
fn put_single(labels: &mut Labels, facts: &Facts<'_>) {
    let gpus = &facts.inventory.gpus;
    let Some(first) = gpus.iter().find(|gpu| gpu.mig_enabled()) else { return };
    let alike = alike(facts);
    let empty = gpus.iter().any(|gpu| gpu.mig_enabled() && devices_of(facts, gpu).next().is_none());
    let mixed = gpus.iter().any(|gpu| !gpu.mig_enabled());
    let why = match (empty, mixed, alike.len()) {
        (true, ..) => "a GPU in MIG mode has no MIG device",
        (_, true, _) => "some of the GPUs are in MIG mode and some are not",
        (_, _, 1) => {
            for (profile, alike) in &alike {
                put_mig(labels, facts, GPU, profile, alike);
            }
            return;
        }
        _ => "the MIG devices are of several profiles",
    };
    labels.notes.push(format!("the MIG strategy single doesn't fit this node: {why}"));
    put_offer(labels, GPU, &[&first.name, "MIG", "INVALID"], 0, None);
    labels.put("gpu.replicas", 0);
    labels.put("gpu.sharing-strategy", "");
    labels.put("gpu.memory", 0);
}

fn put_mig(
    labels: &mut Labels,
    facts: &Facts<'_>,
    resource: &str,
    profile: &str,
    alike: &Alike<'_>,
) {
    let share = sharing::share(facts.config, alike.gpu, resource);
    put_offer(labels, resource, &[&alike.gpu.name, "MIG", profile], alike.count, share);
    let has = &alike.attributes;
    labels.put(&format!("{resource}.memory"), has.memory_mib);
    let numbers = [
        ("multiprocessors", has.multiprocessors),
        ("slices.gi", has.gpu_slices),
        ("slices.ci", has.compute_slices),
        ("engines.copy", has.engines.copy),
        ("engines.decoder", has.engines.decoder),
        ("engines.encoder", has.engines.encoder),
        ("engines.jpeg", has.engines.jpeg),
        ("engines.ofa", has.engines.ofa),
    ];
    for (name, number) in numbers {
        labels.put(&format!("{resource}.{name}"), number);
    }
}

/// The labels that every resource has.
fn put_offer(
    labels: &mut Labels,
    resource: &str,
    product: &[&str],
    count: usize,
    share: Option<Share>,
) {
    let shared = share.filter(|share| !share.renamed).map(|_| "SHARED".to_owned());
    let product: Vec<String> = product.iter().map(|part| plain(part)).chain(shared).collect();
    labels.put(&format!("{resource}.product"), product.join("-"));
    labels.put(&format!("{resource}.count"), count);
    labels.put(&format!("{resource}.replicas"), share.map_or(1, |share| share.replicas));
    let strategy = share.map_or_else(|| "none".to_owned(), |share| share.strategy.to_string());
    labels.put(&format!("{resource}.sharing-strategy"), strategy);
}

/// The MIG devices of a GPU, each with its profile's name and what it has.
fn devices_of<'a>(
    facts: &Facts<'a>,
    gpu: &'a Gpu,
) -> impl Iterator<Item = (String, Attributes)> + use<'a> {
    let attributes = facts.attributes;
    let mig = gpu.mig.iter().filter(|mig| mig.enabled);
    mig.flat_map(move |mig| {
        mig.instances.iter().flat_map(move |instance| {
            let known = mig.profiles.iter().find(|profile| profile.id == instance.profile_id);
            instance.compute_instances.iter().filter_map(move |device| {
                let has = *attributes.get(&device.uuid)?;
                let whole = match known {
                    Some(profile) => profile.name.to_string(),
                    None if instance.profile_id == UNKNOWN_PROFILE => "unknown".to_owned(),
                    None => format!("profile-{}", instance.profile_id),
                };
                Some((profile_label(&whole, &has), has))
            })
        })
    })
}

/// A MIG device's profile in a label: `1c.3g.40gb` where it is a part of a GPU instance, and a dot where a
/// name has a plus.
fn profile_label(profile: &str, has: &Attributes) -> String {
    let whole = profile.replace('+', ".");
    match has.compute_slices < has.gpu_slices {
        true => format!("{}c.{whole}", has.compute_slices),
        false => whole,
    }
}

/// The node's MIG devices by profile; the first of each stands for all.
fn alike<'a>(facts: &Facts<'a>) -> BTreeMap<String, Alike<'a>> {
    let mut found: BTreeMap<String, Alike<'a>> = BTreeMap::new();
    for gpu in &facts.inventory.gpus {
        for (profile, attributes) in devices_of(facts, gpu) {
            let alike = found.entry(profile).or_insert(Alike { gpu, attributes, count: 0 });
            alike.count += 1;
        }
    }
    found
}

/// The architecture's name by compute capability.
pub(super) fn family(major: u32, minor: u32) -> &'static str {
    match (major, minor) {
        (1, _) => "tesla",
        (2, _) => "fermi",
        (3, _) => "kepler",
        (5, _) => "maxwell",
        (6, _) => "pascal",
        (7, 0..=4) => "volta",
        (7, _) => "turing",
        (8, 0..=8) => "ampere",
        (8, _) => "ada-lovelace",
        (9, _) => "hopper",
        (10 | 12, _) => "blackwell",
        (13, _) => "rubin",
        _ => "undefined",
    }
}
