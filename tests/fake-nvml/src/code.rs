//! NVML's return codes, those that this library answers with.

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
    match number {
        0 => "Success",
        1 => "Uninitialized",
        2 => "Invalid Argument",
        3 => "Not Supported",
        4 => "Insufficient Permissions",
        6 => "Not Found",
        7 => "Insufficient Size",
        9 => "Driver Not Loaded",
        10 => "Timeout",
        13 => "Function Not Found",
        15 => "GPU is lost",
        16 => "GPU requires reset",
        18 => "Driver/library version mismatch",
        19 => "In use by another client",
        23 => "Insufficient Resources",
        25 => "Argument version mismatch",
        _ => "Unknown Error",
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
