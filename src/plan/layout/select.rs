//! Which GPUs a layout is for, and what each should be.

use super::LayoutError;
use crate::compat::mig_parted::{Devices, Entry, Want};
use crate::inventory::{Gpu, Inventory};
use serde::Serialize;
use std::fmt;

/// A GPU and what it should be.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The GPU.
    pub gpu: &'a Gpu,
    /// What it should be.
    pub entry: &'a Entry,
}

/// The GPUs that a layout is for.
#[derive(Clone, Debug, Default)]
pub struct Selection<'a> {
    /// By NVML's index.
    pub targets: Vec<Target<'a>>,
    /// What whoever asked should know.
    pub notes: Vec<Note>,
}

/// Something to know about a selection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "note")]
pub enum Note {
    /// It can't do MIG, and `all` doesn't mean it.
    NotCapable {
        /// NVML's index.
        index: u32,
        /// The product.
        name: String,
    },
    /// It doesn't answer.
    Unusable {
        /// NVML's index.
        index: u32,
        /// What the driver says.
        says: String,
    },
    /// The entry is for boards that this node doesn't have.
    NotHere {
        /// The line of the entry.
        line: u64,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::NotCapable { index, name } => {
                write!(f, "GPU {index} ({name}) can't do MIG and is left out")
            }
            Note::Unusable { index, says } => write!(f, "GPU {index} is left out: {says}"),
            Note::NotHere { line } => {
                write!(f, "the entry of line {line} is for boards that this node doesn't have")
            }
        }
    }
}

/// Finds the GPUs that the entries are for. Indices count all GPUs of the node, whatever the filter.
///
/// # Errors
/// The layout is for no GPU here, or names one that is not there, that its filter leaves out, that can't do
/// what is wanted, or that another entry wants otherwise.
pub fn select<'a>(
    entries: &'a [Entry],
    inventory: &'a Inventory,
) -> Result<Selection<'a>, LayoutError> {
    if inventory.gpus.is_empty() {
        return Err(LayoutError::NoGpu);
    }
    let mut selection = Selection::default();
    let mut for_any = false;
    for entry in entries {
        if !inventory.gpus.iter().any(|gpu| entry.is_for(gpu)) {
            selection.notes.push(Note::NotHere { line: entry.at.line });
            continue;
        }
        for_any = true;
        for gpu in gpus(entry, inventory, &mut selection.notes)? {
            selection.add(gpu, entry)?;
        }
    }
    if !for_any {
        let filters = entries.iter().flat_map(|entry| entry.filter.clone()).collect();
        let gpus = inventory.gpus.iter().map(|gpu| (gpu.index, gpu.pci_ids)).collect();
        return Err(LayoutError::NoMatch { filters, gpus });
    }
    selection.targets.sort_by_key(|target| target.gpu.index);
    Ok(selection)
}

impl<'a> Selection<'a> {
    fn add(&mut self, gpu: &'a Gpu, entry: &'a Entry) -> Result<(), LayoutError> {
        match self.targets.iter().find(|target| target.gpu.index == gpu.index) {
            None => self.targets.push(Target { gpu, entry }),
            Some(there) if there.entry.want.same(&entry.want) => {}
            Some(there) => {
                let (index, first) = (gpu.index, there.entry.at);
                return Err(LayoutError::TwoEntries { index, first, at: entry.at });
            }
        }
        Ok(())
    }
}

/// The GPUs of one entry that there is something to do for, or to see.
fn gpus<'a>(
    entry: &Entry,
    inventory: &'a Inventory,
    notes: &mut Vec<Note>,
) -> Result<Vec<&'a Gpu>, LayoutError> {
    let named: Vec<&Gpu> = match &entry.devices {
        Devices::All => {
            let unusable = inventory.unusable.iter();
            notes.extend(
                unusable.map(|gpu| Note::Unusable { index: gpu.index, says: gpu.says.clone() }),
            );
            inventory.gpus.iter().filter(|gpu| entry.is_for(gpu)).collect()
        }
        Devices::Indices(indices) => {
            indices.iter().map(|index| at(*index, entry, inventory)).collect::<Result<_, _>>()?
        }
    };
    let (able, unable): (Vec<&Gpu>, Vec<&Gpu>) =
        named.into_iter().partition(|gpu| gpu.mig.is_some());
    // A GPU that can't do MIG is whole.
    if entry.want == Want::Off || unable.is_empty() {
        return Ok(able);
    }
    if able.is_empty() || entry.devices != Devices::All {
        let shown = unable.iter().map(|gpu| format!("GPU {} ({})", gpu.index, gpu.name));
        return Err(LayoutError::NotCapable { gpus: shown.collect(), at: entry.devices_at });
    }
    let note = |gpu: &&Gpu| Note::NotCapable { index: gpu.index, name: gpu.name.clone() };
    notes.extend(unable.iter().map(note));
    Ok(able)
}

fn at<'a>(index: u32, entry: &Entry, inventory: &'a Inventory) -> Result<&'a Gpu, LayoutError> {
    let at = entry.devices_at;
    match inventory.gpus.iter().find(|gpu| gpu.index == index) {
        Some(gpu) if entry.is_for(gpu) => Ok(gpu),
        Some(gpu) => Err(LayoutError::FilteredOut { index, ids: gpu.pci_ids, at }),
        None => match inventory.unusable.iter().find(|gpu| gpu.index == index) {
            Some(lost) => Err(LayoutError::Unusable { index, reason: lost.says.clone(), at }),
            None => {
                let last = inventory.gpus.iter().map(|gpu| gpu.index).max();
                let has = last.map(|last| match last {
                    0 => "GPU 0 alone".to_owned(),
                    last => format!("GPUs 0 to {last}"),
                });
                Err(LayoutError::NoSuchDevice { index, has, at })
            }
        },
    }
}
