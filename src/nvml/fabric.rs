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

impl Device<'_> {
    /// The fabric that a GPU has joined; `None` where it hasn't, or isn't made for one.
    ///
    /// # Errors
    /// The device doesn't answer.
    pub fn fabric(&self) -> Result<Option<Fabric>, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlDeviceGetGpuFabricInfo);
        let info: c::nvmlGpuFabricInfo_t = match api.get(&self.label, symbol, self.raw) {
            Err(error) if error.is_unsupported() => return Ok(None),
            answer => answer?,
        };
        let joined = u32::from(info.state) == c::NVML_GPU_FABRIC_STATE_COMPLETED
            && info.status == c::nvmlReturn_enum_NVML_SUCCESS
            && info.clusterUuid != [0; 16];
        Ok(joined.then_some(Fabric { cluster: info.clusterUuid, clique: info.cliqueId }))
    }
}
