//! Opening NVML, and what it says of the whole machine.

use super::call::{Api, symbol, unsigned};
use super::device::Device;
use super::error::{Code, NvmlError};
use nvml_wrapper_sys::bindings as c;
use std::ffi::{CString, OsStr};
use std::fmt;
use std::path::Path;

/// The name by which the dynamic linker finds the driver's library.
const LIBRARY: &str = "libnvidia-ml.so.1";
/// What errors about no one GPU are about.
const DRIVER: &str = "the NVIDIA driver";

/// NVML, initialised once and shut down when dropped.
pub struct Session {
    pub(super) api: Api,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

impl Session {
    /// Loads `library` and initialises it. `None` takes `libnvidia-ml.so.1` as the dynamic linker
    /// finds it.
    ///
    /// # Errors
    /// No library, a library that isn't NVML, or initialisation failed: no driver, driver and library
    /// of different versions ([`NvmlError::VersionMismatch`], with the library's version), no permission.
    pub fn open(library: Option<&Path>) -> Result<Session, NvmlError> {
        let name = library.map_or_else(|| OsStr::new(LIBRARY), Path::as_os_str);
        let shown = || name.to_string_lossy().into_owned();
        let api =
            Api::load(name).map_err(|cause| NvmlError::Library { library: shown(), cause })?;
        if api.library.nvmlInit_v2.is_err() {
            return Err(NvmlError::NotNvml { library: shown(), function: "nvmlInit_v2" });
        }
        match init(&api) {
            Ok(()) => Ok(Session { api }),
            // The library tells its own version before it is initialised, too.
            Err(error) if error.is(Code::VersionMismatch) => {
                Err(NvmlError::VersionMismatch { driver: None, library: library_version(&api) })
            }
            Err(error) => Err(error),
        }
    }

    /// The driver's version, `550.163.01`.
    ///
    /// # Errors
    /// The driver doesn't say.
    pub fn driver_version(&self) -> Result<String, NvmlError> {
        self.api.system_text(DRIVER, symbol!(self.api, nvmlSystemGetDriverVersion))
    }

    /// The newest CUDA version that the driver serves, as (major, minor).
    ///
    /// # Errors
    /// The driver doesn't say.
    pub fn cuda_version(&self) -> Result<(u32, u32), NvmlError> {
        let newest = self.api.system(DRIVER, symbol!(self.api, nvmlSystemGetCudaDriverVersion_v2));
        let number = match newest {
            Err(error) if error.is_unsupported() => {
                self.api.system(DRIVER, symbol!(self.api, nvmlSystemGetCudaDriverVersion))
            }
            answer => answer,
        }?;
        // 12040 is 12.4 (CUDA_VERSION in cuda.h).
        let number = unsigned(number);
        Ok((number / 1000, number % 1000 / 10))
    }

    /// How many GPUs there are; some of them may not answer.
    ///
    /// # Errors
    /// The driver doesn't say.
    pub fn device_count(&self) -> Result<u32, NvmlError> {
        self.api.system(DRIVER, symbol!(self.api, nvmlDeviceGetCount_v2))
    }

    /// A GPU by NVML's index.
    ///
    /// # Errors
    /// No such GPU, it is lost, or this user may not use it.
    pub fn device(&self, index: u32) -> Result<Device<'_>, NvmlError> {
        let label = format!("GPU {index}");
        let raw = self.api.get(&label, symbol!(self.api, nvmlDeviceGetHandleByIndex_v2), index)?;
        Ok(Device { session: self, raw, label })
    }

    /// A GPU (`GPU-…`) or a MIG device (`MIG-…`) by UUID.
    ///
    /// # Errors
    /// No such device, or it is lost.
    pub fn device_by_uuid(&self, uuid: &str) -> Result<Device<'_>, NvmlError> {
        let text = CString::new(uuid).map_err(|_| NvmlError::Call {
            call: "nvmlDeviceGetHandleByUUID",
            subject: uuid.replace('\0', "?"),
            code: Code::NotFound,
        })?;
        let raw = self.api.find(uuid, symbol!(self.api, nvmlDeviceGetHandleByUUID), &text)?;
        Ok(Device { session: self, raw, label: uuid.to_owned() })
    }

    /// How many NVML functions were called in this session.
    pub fn calls(&self) -> u64 {
        self.api.calls()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // There is nobody to tell, and nothing to do about it: the process's end closes it, too.
        let _ = self.api.plain(DRIVER, symbol!(self.api, nvmlShutdown));
    }
}

/// Initialises NVML so that a machine without a GPU is one with none, and not an error.
fn init(api: &Api) -> Result<(), NvmlError> {
    let flags = c::NVML_INIT_FLAG_NO_GPUS;
    match api.give(DRIVER, symbol!(api, nvmlInitWithFlags), flags) {
        Err(error) if error.is_unsupported() => api.plain(DRIVER, symbol!(api, nvmlInit_v2)),
        answer => answer,
    }
}

/// The driver version that the library belongs to: `550.163.01` of NVML's own `12.550.163.01`.
fn library_version(api: &Api) -> Option<String> {
    let version = api.system_text(DRIVER, symbol!(api, nvmlSystemGetNVMLVersion)).ok()?;
    let (_, driver) = version.split_once('.')?;
    Some(driver.to_owned())
}
