//! NVLink fabrics that join the GPUs of several nodes.

use super::call::symbol;
use super::device::Device;
use super::error::NvmlError;
use nvml_wrapper_sys::bindings as c;

/// A GPU's place in a fabric that it has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fabric {
    /// The bytes of the cluster's UUID.
    pub cluster: [u8; 16],
    /// The clique in it: GPUs that can reach each other's memory.
    pub clique: u32,
}

/// How far a GPU is that has to join a fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FabricState {
    /// It hasn't begun, or isn't done.
    Joining,
    /// It has joined.
    Joined,
    /// It tried and failed.
    Failed,
}

impl Device<'_> {
    /// The fabric that a GPU has joined; `None` where it hasn't, or isn't made for one.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn fabric(&self) -> Result<Option<Fabric>, NvmlError> {
        let Some(info) = self.fabric_info()? else { return Ok(None) };
        let joined = u32::from(info.state) == c::NVML_GPU_FABRIC_STATE_COMPLETED
            && info.status == c::nvmlReturn_enum_NVML_SUCCESS
            && info.clusterUuid != [0; 16];
        Ok(joined.then_some(Fabric { cluster: info.clusterUuid, clique: info.cliqueId }))
    }

    /// How far a GPU is on its way into a fabric; `None` where it isn't made for one.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn fabric_state(&self) -> Result<Option<FabricState>, NvmlError> {
        let info = self.fabric_info()?;
        Ok(info.and_then(|info| match u32::from(info.state) {
            c::NVML_GPU_FABRIC_STATE_NOT_STARTED | c::NVML_GPU_FABRIC_STATE_IN_PROGRESS => {
                Some(FabricState::Joining)
            }
            c::NVML_GPU_FABRIC_STATE_COMPLETED
                if info.status == c::nvmlReturn_enum_NVML_SUCCESS =>
            {
                Some(FabricState::Joined)
            }
            c::NVML_GPU_FABRIC_STATE_COMPLETED => Some(FabricState::Failed),
            _ => None,
        }))
    }

    fn fabric_info(&self) -> Result<Option<c::nvmlGpuFabricInfo_t>, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlDeviceGetGpuFabricInfo);
        match api.get(&self.label, symbol, self.raw) {
            Err(error) if error.is_unsupported() => Ok(None),
            answer => answer.map(Some),
        }
    }
}
