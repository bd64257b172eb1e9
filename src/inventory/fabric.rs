//! The NVLink fabrics that the node's GPUs have joined.

use super::Inventory;
use crate::nvml::{Fabric, NvmlError, Session};
use std::collections::BTreeSet;

/// The clusters and cliques of the node's GPUs, as `CLUSTER-UUID.CLIQUE`; empty without a fabric.
///
/// # Errors
/// The driver doesn't answer.
pub fn cliques(session: &Session, inventory: &Inventory) -> Result<BTreeSet<String>, NvmlError> {
    let mut found = BTreeSet::new();
    for gpu in &inventory.gpus {
        found.extend(session.device_by_uuid(&gpu.uuid)?.fabric()?.map(|fabric| text(&fabric)));
    }
    Ok(found)
}

fn text(fabric: &Fabric) -> String {
    let digits: String = fabric.cluster.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let uuid = parts.map(|(from, to)| &digits[from..to]).join("-");
    format!("{uuid}.{}", fabric.clique)
}
