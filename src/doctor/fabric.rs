//! The NVSwitch fabric that GPUs of some boards have to join before CUDA starts on them.

use super::Judged;
use super::finding::{Finding, Name};
use super::mend::run;
use crate::inventory::Inventory;
use crate::nvml::{FabricState, Session};

/// What was seen of it.
#[derive(Clone, Debug, Default)]
pub struct Fabric {
    /// The GPUs that are made for one, by index.
    pub gpus: Vec<(u32, FabricState)>,
}

impl Fabric {
    /// Asks the GPUs. One in MIG mode is left out: its MIG devices do without.
    ///
    /// # Errors
    /// Where the driver doesn't say.
    pub fn look(session: &Session, inventory: &Inventory) -> Result<Fabric, String> {
        let mut gpus = Vec::new();
        for gpu in inventory.gpus.iter().filter(|gpu| !gpu.mig_enabled()) {
            let state = session.device_by_uuid(&gpu.uuid).and_then(|device| device.fabric_state());
            gpus.extend(state.map_err(|error| error.to_string())?.map(|state| (gpu.index, state)));
        }
        Ok(Fabric { gpus })
    }
}

pub(super) fn judge(seen: &Fabric) -> Judged {
    let out = seen.gpus.iter().filter(|(_, state)| *state != FabricState::Joined);
    let finding = |(index, state): &(u32, FabricState)| {
        let how = match state {
            FabricState::Joining => "NVML says that it hasn't begun, or isn't done",
            FabricState::Failed | FabricState::Joined => "NVML says that it tried and failed",
        };
        let what =
            format!("GPU {index} hasn't joined its NVSwitch fabric: CUDA doesn't start on it");
        let mend = run("systemctl enable --now nvidia-fabricmanager").but(
            "it has to be of the driver's own version; journalctl -u nvidia-fabricmanager tells what fails",
        );
        Finding::new(Name::FabricIncomplete, what, how, mend)
    };
    let findings: Vec<Finding> = out.map(finding).collect();
    let says = match seen.gpus.len() {
        0 => "no GPU needs one".to_owned(),
        all => format!("joined by {} of {all} GPUs", all - findings.len()),
    };
    Judged { says, findings }
}
