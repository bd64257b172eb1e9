//! The library and the programs as others meet them: through the dynamic linker and exec.

#![allow(unsafe_code, reason = "C functions are called, through common::nvml!")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![allow(clippy::panic, reason = "a test that can't go on has failed")]

mod common;
mod interface;
mod programs;
mod several;
mod tree;
