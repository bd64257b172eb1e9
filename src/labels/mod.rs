//! Labels of the node, as NVIDIA's GPU Feature Discovery (v0.20) gives them: the same keys, values and
//! file format, so that whatever selects nodes by them goes on to work.
//!
//! Where GPU Feature Discovery leaves a value to chance (a node with GPUs of several products), the GPU
//! with the lowest index decides here.

mod node;
mod resource;
mod sharing;
#[cfg(test)]
mod tests;

use crate::compat::device_plugin::{Devices, MigStrategy};
use crate::config::Config;
use crate::host::Host;
use crate::inventory::{Attributes, Inventory};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// What the keys begin with.
const DOMAIN: &str = "nvidia.com";
/// The most that Kubernetes takes as a label's value.
const MAX_VALUE: usize = 63;

/// What the labels depend on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The GPUs and MIG devices.
    pub inventory: &'a Inventory,
    /// What the MIG devices have, by UUID. One that isn't here has gone, and isn't counted.
    pub attributes: &'a BTreeMap<String, Attributes>,
    /// The NVLink cliques that its GPUs belong to, as `CLUSTER-UUID.CLIQUE`.
    pub cliques: &'a BTreeSet<String>,
    /// The machine.
    pub host: &'a Host,
    /// How GPUs are shared.
    pub config: &'a Config,
    /// How MIG devices appear.
    pub strategy: MigStrategy,
    /// When, in seconds of Unix time; `None` leaves the label out.
    pub time: Option<u64>,
}

/// Labels by key, and what whoever asked should know about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Values by key, `nvidia.com/gpu.count`.
    pub labels: BTreeMap<String, String>,
    /// Sentences for people.
    pub notes: Vec<String>,
}

impl Labels {
    /// The labels of a node.
    pub fn of(facts: &Facts<'_>) -> Labels {
        let mut labels = Labels::default();
        if let Some(time) = facts.time {
            labels.put("gfd.timestamp", time);
        }
        for gpu in &facts.inventory.unusable {
            labels.notes.push(format!("GPU {} is in no label: {}", gpu.index, gpu.says));
        }
        if facts.inventory.gpus.is_empty() {
            labels.notes.push("there is no GPU, so there is nothing to label".to_owned());
            return labels;
        }
        node::put(&mut labels, facts);
        resource::put(&mut labels, facts);
        labels.note_devices_apart(facts.config);
        labels.note_long_values();
        labels
    }

    /// The labels as node-feature-discovery reads them, `key=value` on a line each, by key.
    pub fn text(&self) -> String {
        self.labels.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
    }

    fn put(&mut self, name: &str, value: impl ToString) {
        self.labels.insert(format!("{DOMAIN}/{name}"), value.to_string());
    }

    fn note_devices_apart(&mut self, config: &Config) {
        for resource in config.resources.iter().filter(|one| one.devices != Devices::All) {
            self.notes.push(format!(
                "only some devices of {} are shared, and the labels say it of all: they have no words for less",
                resource.name
            ));
        }
    }

    fn note_long_values(&mut self) {
        for (key, value) in &self.labels {
            if value.len() > MAX_VALUE {
                self.notes.push(format!(
                    "{key}={value} is longer than the {MAX_VALUE} characters that Kubernetes takes, \
                     and will be left out there"
                ));
            }
        }
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.labels.serialize(serializer)
    }
}

#[cfg(feature = "cli")]
impl schemars::JsonSchema for Labels {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Labels".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = BTreeMap::<String, String>::json_schema(generator);
        let description =
            "Values by key, as GPU Feature Discovery gives them: `nvidia.com/gpu.count`.";
        schema.insert("description".to_owned(), description.into());
        schema
    }
}

/// A part of a value in the characters that Kubernetes takes: others are left out, and runs of spaces
/// become a hyphen.
fn plain(text: &str) -> String {
    let taken = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let taken: String = text.chars().filter(taken).collect();
    taken.split_ascii_whitespace().collect::<Vec<_>>().join("-")
}
