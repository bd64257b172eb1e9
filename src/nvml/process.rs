//! The processes on a GPU, and how much of it each uses.

use super::call::symbol;
use super::device::Device;
use super::error::NvmlError;
use nvml_wrapper_sys::bindings as c;

/// A process with a context on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuProcess {
    /// The pid in the caller's namespace.
    pub pid: u32,
    /// Memory on the device, in bytes, where the driver says.
    pub used_bytes: Option<u64>,
    /// The GPU instance, where MIG is on and the driver says.
    pub gpu_instance: Option<u32>,
    /// The compute instance in it.
    pub compute_instance: Option<u32>,
}

/// One sample of what a process used of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessUtilization {
    /// The pid.
    pub pid: u32,
    /// When, in microseconds since 1970.
    pub time_us: u64,
    /// Multiprocessors, in percent.
    pub multiprocessors: u32,
    /// Memory bandwidth, in percent.
    pub memory: u32,
    /// Encoders, in percent.
    pub encoder: u32,
    /// Decoders, in percent.
    pub decoder: u32,
}

impl Device<'_> {
    /// Processes with a compute context. MPS servers are among them; their clients are
    /// [`Device::mps_processes`].
    ///
    /// # Errors
    /// The device doesn't answer, or this user may not ask.
    pub fn compute_processes(&self) -> Result<Vec<GpuProcess>, NvmlError> {
        let api = &self.session.api;
        // _v3 came with R510, _v2 with R460; both fill the structure that names instances.
        let newest = || symbol!(api, nvmlDeviceGetComputeRunningProcesses_v3);
        let second = || symbol!(api, nvmlDeviceGetComputeRunningProcesses_v2);
        let oldest = || symbol!(api, nvmlDeviceGetComputeRunningProcesses);
        match api.processes(&self.label, newest, self.raw) {
            Err(error) if error.is_unsupported() => {}
            answer => return answer.map(with_instances),
        }
        match api.processes(&self.label, second, self.raw) {
            Err(error) if error.is_unsupported() => {}
            answer => return answer.map(with_instances),
        }
        api.processes(&self.label, oldest, self.raw).map(without_instances)
    }

    /// Clients of MPS servers.
    ///
    /// # Errors
    /// The device doesn't answer, or its driver can't say.
    pub fn mps_processes(&self) -> Result<Vec<GpuProcess>, NvmlError> {
        let api = &self.session.api;
        let newest = || symbol!(api, nvmlDeviceGetMPSComputeRunningProcesses_v3);
        let second = || symbol!(api, nvmlDeviceGetMPSComputeRunningProcesses_v2);
        match api.processes(&self.label, newest, self.raw) {
            Err(error) if error.is_unsupported() => {}
            answer => return answer.map(with_instances),
        }
        api.processes(&self.label, second, self.raw).map(with_instances)
    }

    /// What processes used, one sample each, after a time in microseconds since 1970.
    ///
    /// # Errors
    /// The device doesn't answer, has no samples ([`super::Code::NotFound`]), or its driver can't say:
    /// none does where MIG is on.
    pub fn process_utilization(&self, since_us: u64) -> Result<Vec<ProcessUtilization>, NvmlError> {
        let api = &self.session.api;
        let symbol = symbol!(api, nvmlDeviceGetProcessUtilization);
        let samples: Vec<c::nvmlProcessUtilizationSample_t> =
            api.samples(&self.label, symbol, self.raw, since_us)?;
        let read = |sample: &c::nvmlProcessUtilizationSample_t| ProcessUtilization {
            pid: sample.pid,
            time_us: sample.timeStamp,
            multiprocessors: sample.smUtil,
            memory: sample.memUtil,
            encoder: sample.encUtil,
            decoder: sample.decUtil,
        };
        // Room that the driver didn't fill has no pid.
        Ok(samples.iter().filter(|sample| sample.pid != 0).map(read).collect())
    }
}

// NVML says "not available" with all ones.
fn known<T: PartialEq>(value: T, unknown: T) -> Option<T> {
    (value != unknown).then_some(value)
}

fn with_instances(list: Vec<c::nvmlProcessInfo_v2_t>) -> Vec<GpuProcess> {
    let read = |info: c::nvmlProcessInfo_v2_t| GpuProcess {
        pid: info.pid,
        used_bytes: known(info.usedGpuMemory, u64::MAX),
        gpu_instance: known(info.gpuInstanceId, u32::MAX),
        compute_instance: known(info.computeInstanceId, u32::MAX),
    };
    list.into_iter().map(read).collect()
}

fn without_instances(list: Vec<c::nvmlProcessInfo_v1_t>) -> Vec<GpuProcess> {
    let read = |info: c::nvmlProcessInfo_v1_t| GpuProcess {
        pid: info.pid,
        used_bytes: known(info.usedGpuMemory, u64::MAX),
        gpu_instance: None,
        compute_instance: None,
    };
    list.into_iter().map(read).collect()
}
