//! The C interface, with NVML's own names and layouts.
//!
//! Every function goes through [`session::call`]: counted, delayed, failed or logged as the
//! node and the environment ask.

#![allow(unsafe_code, reason = "a C interface; the unsafe blocks are in pointer.rs")]
#![allow(non_snake_case, reason = "the names are NVML's")]

mod compute;
mod device;
mod event;
mod fabric;
mod handle;
mod instance;
mod pointer;
mod process;
mod session;
mod system;

/// Exports functions with C names. `query`, `change`, `create` and `destroy` say how a call is
/// counted and delayed; the body answers `Result<(), Failure>`.
macro_rules! export {
    ($($kind:ident $name:ident($($arg:ident: $type:ty),* $(,)?) |$store:pat_param| $body:block)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name($($arg: $type),*) -> std::os::raw::c_uint {
                $crate::ffi::session::call(
                    stringify!($name),
                    $crate::ffi::session::Kind::$kind,
                    |$store: &$crate::state::Store| $body,
                )
            }
        )*
    };
}
use export;
