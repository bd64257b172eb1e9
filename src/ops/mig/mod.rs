//! MIG layouts, as an administrator writes them down: applied, compared, and written down again.

mod act;
mod apply;
mod assert;
mod export;
mod profiles;
mod undo;

pub use act::ActError;
pub use apply::{Ask, Report, State, apply};
pub use assert::{Differences, assert};
pub use export::{Export, export};
pub use profiles::{GpuProfiles, ProfileRow, profiles};

use crate::claim::store::StoreError;
use crate::inventory::InventoryError;
use crate::ops::release::ReleaseError;
use crate::plan::layout::{LayoutError, ModeChange, Refused, Target, Waits};
use crate::share::{self, Node, ShareError};

/// Why a layout isn't applied or can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum MigError {
    /// The file asks what this node can't be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Something is in the way. Nothing was touched.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A step failed.
    #[error(transparent)]
    Act(#[from] Box<ActError>),
    /// The driver doesn't say what it must before anything is done.
    #[error(transparent)]
    Share(Box<ShareError>),
    /// The node can't be read.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A claim that is dead and can't be taken back.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The machine.
    #[error(transparent)]
    Host(#[from] std::io::Error),
}

impl From<ShareError> for MigError {
    fn from(error: ShareError) -> MigError {
        MigError::Share(Box::new(error))
    }
}

/// How MIG mode of a GPU would change. One without a `reset` file in `/sys`, as in many virtual machines,
/// is reset by nothing but a reboot.
fn mode_change(node: &Node<'_>, target: &Target<'_>) -> Result<ModeChange, ShareError> {
    let gpu = target.gpu;
    if share::layout::mode_changes_at_once(node, &gpu.uuid)? {
        return Ok(ModeChange::AtOnce);
    }
    let pci = node.host.sys_root.join("bus/pci/devices").join(gpu.pci.to_string());
    let reboot = pci.is_dir() && !pci.join("reset").exists();
    Ok(ModeChange::After(if reboot { Waits::Reboot } else { Waits::Reset }))
}
