//! What an OCI runtime and container engines start: `divvy-hook`, and `divvy-runtime` in front of runc or
//! crun. Both are small and static; what must be made on the node is made by `divvy`, which they run.

mod bundle;
mod container;
mod create_container;
mod create_runtime;
mod device_cgroup;
mod elf;
mod error;
pub mod hook;
mod ldconfig;
mod poststop;
mod precreate;
mod process;
mod program;
mod road;
pub mod runtime;
mod state;
mod sys;

use hook::tell;
