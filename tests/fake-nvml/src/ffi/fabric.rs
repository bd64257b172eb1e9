//! NVLink fabrics of several nodes.

use super::device::gpu_of;
use super::export;
use super::handle::Handle;
use super::pointer::Out;
use crate::code::Code;
use nvml_wrapper_sys::bindings::nvmlGpuFabricInfo_t;

export! {
    query nvmlDeviceGetGpuFabricInfo(device: Handle, info: Out<nvmlGpuFabricInfo_t>) |store| {
        let gpu = gpu_of(store, device)?;
        let (gpu, _) = store.node().gpu(gpu).ok_or(Code::INVALID_ARGUMENT)?;
        let fabric = gpu.fabric.as_ref().ok_or(Code::NOT_SUPPORTED)?;
        Ok(info.set(nvmlGpuFabricInfo_t {
            clusterUuid: fabric.cluster,
            status: 0,
            cliqueId: fabric.clique,
            state: fabric.state,
        })?)
    }
}
