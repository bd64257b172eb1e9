//! What NVML answers when it doesn't do what it was asked.

use std::fmt;
use thiserror::Error;

/// Why NVML couldn't be asked, or what it answered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NvmlError {
    /// No library could be loaded.
    #[error(
        "can't load the NVML library {library}: {cause}; install the NVIDIA driver, or say where it is with --nvml-library or --driver-root"
    )]
    Library {
        /// The name or path that was tried.
        library: String,
        /// The dynamic linker's words.
        cause: String,
    },
    /// A library was loaded, and it isn't NVML.
    #[error(
        "{library} is not an NVML library: it has no function {function}; name the driver's libnvidia-ml.so.1"
    )]
    NotNvml {
        /// The name or path that was loaded.
        library: String,
        /// The function that every NVML has.
        function: &'static str,
    },
    /// The kernel module and the library come from different drivers ([`Code::VersionMismatch`]).
    #[error(
        "the NVIDIA kernel module ({}) and the NVML library ({}) are of different versions; reload the kernel module or reboot, so that both are of the driver that is installed",
        driver.as_deref().unwrap_or("version unknown"),
        library.as_deref().unwrap_or("version unknown")
    )]
    VersionMismatch {
        /// The kernel module's version, where /proc/driver/nvidia/version tells.
        driver: Option<String>,
        /// The library's version, where it tells.
        library: Option<String>,
    },
    /// A call that was made and failed, or that this library doesn't have.
    #[error("{subject}: {code} ({call}, NVML error {})", code.raw())]
    Call {
        /// The function.
        call: &'static str,
        /// What it was about: `the driver`, `GPU 3`, `GPU-…`.
        subject: String,
        /// The answer.
        code: Code,
    },
}

impl NvmlError {
    /// NVML's answer, where a call got one.
    pub fn code(&self) -> Option<Code> {
        match self {
            NvmlError::Library { .. } | NvmlError::NotNvml { .. } => None,
            NvmlError::VersionMismatch { .. } => Some(Code::VersionMismatch),
            NvmlError::Call { code, .. } => Some(*code),
        }
    }

    /// Whether NVML answered just this.
    pub fn is(&self, code: Code) -> bool {
        self.code() == Some(code)
    }

    /// Whether the driver, the GPU or the library can't do this at all.
    pub fn is_unsupported(&self) -> bool {
        matches!(self.code(), Some(Code::NotSupported | Code::FunctionNotFound))
    }

    /// Whether the answer is about the one thing that was asked for, which isn't there or which this
    /// driver can't tell of; and not about the GPU, the session or the caller's rights.
    pub fn is_absence(&self) -> bool {
        matches!(
            self.code(),
            Some(
                Code::InvalidArgument
                    | Code::NotSupported
                    | Code::NotFound
                    | Code::FunctionNotFound
                    | Code::ArgumentVersionMismatch
                    | Code::Deprecated
                    | Code::Unknown
                    | Code::Other(_)
            )
        )
    }
}

macro_rules! codes {
    ($($name:ident = $raw:literal, $doc:literal, $says:literal;)*) => {
        /// What a call answered (`nvmlReturn_t`), other than success.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $doc] $name,)*
            /// A code that this table doesn't have.
            Other(u32),
        }

        impl Code {
            /// Reads NVML's number.
            pub fn from_raw(raw: u32) -> Code {
                match raw { $($raw => Code::$name,)* _ => Code::Other(raw) }
            }

            /// NVML's number.
            pub fn raw(self) -> u32 {
                match self { $(Code::$name => $raw,)* Code::Other(raw) => raw }
            }
        }

        impl fmt::Display for Code {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Code::$name => $says,)* Code::Other(_) => "NVML answered with an error that divvy doesn't know; see the kernel's log" })
            }
        }
    };
}

// Numbers and meanings: nvml.h, nvmlReturn_enum.
codes! {
    Uninitialized = 1, "The session is closed.", "NVML is not initialised";
    InvalidArgument = 2, "An argument that this library doesn't take.", "the driver doesn't take an argument; it may be older than the request needs";
    NotSupported = 3, "This GPU can't.", "the GPU or its driver doesn't support this";
    NoPermission = 4, "Root is wanted.", "no permission; run as root, or check the owner and mode of /dev/nvidiactl and /dev/nvidia*";
    AlreadyInitialized = 5, "A session is open.", "NVML is initialised already";
    NotFound = 6, "No such thing.", "not found; it may be gone since it was listed";
    InsufficientSize = 7, "The buffer was too small.", "the answer is larger than the room given for it";
    InsufficientPower = 8, "A power cable is missing.", "the GPU's external power is not connected";
    DriverNotLoaded = 9, "No kernel driver.", "the NVIDIA kernel driver is not loaded; load it with `modprobe nvidia` and see the kernel's log if that fails";
    Timeout = 10, "The driver took too long.", "the driver didn't answer in time; try again, and see the kernel's log for XID errors";
    IrqIssue = 11, "Interrupts don't arrive.", "the GPU's interrupts don't reach the kernel; see the kernel's log";
    LibraryNotFound = 12, "NVML couldn't load a library of its own.", "NVML can't find a library that it needs; install the driver again";
    FunctionNotFound = 13, "This library is older than the function.", "this driver's NVML doesn't have the function; a newer driver may";
    CorruptedInforom = 14, "The GPU's own store is corrupt.", "the GPU's infoROM is corrupt; the GPU wants service";
    GpuIsLost = 15, "Fallen off the bus.", "the GPU has fallen off the bus; see the kernel's log for XID 79, then reset the GPU or reboot";
    ResetRequired = 16, "A GPU reset is due.", "the GPU must be reset first (`nvidia-smi --gpu-reset`), with nothing running on it";
    OperatingSystem = 17, "The kernel refused.", "the operating system refused the driver's request; check cgroup device rules and the nodes below /dev";
    VersionMismatch = 18, "Kernel module and library differ.", "the NVIDIA kernel module and the NVML library are of different versions; reload the module or reboot";
    InUse = 19, "Somebody uses it.", "it is in use; end the processes on it and try again";
    Memory = 20, "No memory.", "NVML has no memory left";
    NoData = 21, "Nothing to report.", "there is no data to report";
    VgpuEccNotSupported = 22, "vGPU and ECC.", "ECC must be off for vGPU";
    InsufficientResources = 23, "It doesn't fit.", "no room is left on the GPU for this; release an instance or ask for a smaller one";
    FreqNotSupported = 24, "No such frequency.", "the frequency is not supported";
    ArgumentVersionMismatch = 25, "A structure of a version that the library doesn't know.", "the driver's NVML doesn't know this version of the request";
    Deprecated = 26, "No longer there.", "this driver has retired the function";
    NotReady = 27, "Not yet.", "the GPU is not ready; try again";
    GpuNotFound = 28, "No GPU.", "no NVIDIA GPU was found";
    InvalidState = 29, "Not in this state.", "the GPU's present state doesn't allow this";
    ResetTypeNotSupported = 30, "No such reset.", "the GPU doesn't support this kind of reset";
    Unknown = 999, "The driver doesn't say.", "the driver failed without saying why; see the kernel's log";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_keeps_its_number() {
        for raw in 1..2000 {
            assert_eq!(Code::from_raw(raw).raw(), raw);
        }
        assert_eq!(Code::from_raw(31), Code::Other(31));
    }

    #[test]
    fn an_error_says_what_on_what_and_the_remedy() {
        let error = NvmlError::Call {
            call: "nvmlDeviceGetUUID",
            subject: "GPU 3".into(),
            code: Code::GpuIsLost,
        };
        assert_eq!(
            error.to_string(),
            "GPU 3: the GPU has fallen off the bus; see the kernel's log for XID 79, then reset the GPU or reboot (nvmlDeviceGetUUID, NVML error 15)"
        );
        assert!(error.is(Code::GpuIsLost) && !error.is_unsupported());
    }

    #[test]
    fn a_version_mismatch_names_both() {
        let error = NvmlError::VersionMismatch {
            driver: Some("550.163.01".into()),
            library: Some("535.247.01".into()),
        };
        let text = error.to_string();
        assert!(text.contains("(550.163.01)") && text.contains("(535.247.01)"), "{text}");
        assert_eq!(error.code(), Some(Code::VersionMismatch));
    }
}
