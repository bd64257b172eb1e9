//! A simulated NVML: a `libnvidia-ml.so.1` for nodes without a GPU.
//!
//! A *node* is a folder with a `node.yaml` ([`node`]). What happens on it is kept in `state.json`
//! ([`state`]), so each process that loads the library sees what the others did. The rules of
//! MIG are in [`mig`], the GPU models in [`board`], and the C interface in `ffi`.
//!
//! The library is *stricter* than hardware where programs tend to be careless: handles of
//! instances that are gone are refused, indices have gaps, ids and UUIDs are used again.

pub mod board;
pub mod capabilities;
pub mod code;
pub mod fault;
mod ffi;
pub mod machine;
pub mod mig;
pub mod node;
pub mod state;
pub mod tree;
