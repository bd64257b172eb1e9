//! NVML's return codes, those that this library answers with.

use std::ffi::CStr;
use std::fmt;

/// `nvmlReturn_t` of a call that failed. Any number can be injected, so this is no enum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u32);

macro_rules! codes {
    ($($name:ident = $number:literal;)*) => {
        #[allow(missing_docs, reason = "the names are NVML's own")]
        impl Code {
            $(pub const $name: Code = Code($number);)*

            fn name(self) -> Option<&'static str> {
                match self {
                    $(Code::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    UNINITIALIZED = 1;
    INVALID_ARGUMENT = 2;
    NOT_SUPPORTED = 3;
    NO_PERMISSION = 4;
    NOT_FOUND = 6;
    INSUFFICIENT_SIZE = 7;
    DRIVER_NOT_LOADED = 9;
    TIMEOUT = 10;
    FUNCTION_NOT_FOUND = 13;
    GPU_IS_LOST = 15;
    RESET_REQUIRED = 16;
    LIB_RM_VERSION_MISMATCH = 18;
    IN_USE = 19;
    INSUFFICIENT_RESOURCES = 23;
    ARGUMENT_VERSION_MISMATCH = 25;
    UNKNOWN = 999;
}

/// What `nvmlErrorString` says of a code, 0 (no error) included.
pub fn sentence(number: u32) -> &'static str {
    c_sentence(number).to_str().unwrap_or("Unknown Error")
}

/// As [`sentence`], for C.
pub fn c_sentence(number: u32) -> &'static CStr {
    match number {
        0 => c"Success",
        1 => c"Uninitialized",
        2 => c"Invalid Argument",
        3 => c"Not Supported",
        4 => c"Insufficient Permissions",
        6 => c"Not Found",
        7 => c"Insufficient Size",
        9 => c"Driver Not Loaded",
        10 => c"Timeout",
        13 => c"Function Not Found",
        15 => c"GPU is lost",
        16 => c"GPU requires reset",
        18 => c"Driver/library version mismatch",
        19 => c"In use by another client",
        23 => c"Insufficient Resources",
        25 => c"Argument version mismatch",
        _ => c"Unknown Error",
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "code {}", self.0),
        }
    }
}
