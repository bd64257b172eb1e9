//! The Container Device Interface (CDI) format. This crate knows no GPU.
//!
//! A [`Spec`] is a value: made as a struct, read from a file, written to one. The format is that of CDI 1.1.0, and
//! a spec states the lowest version that its content needs, because engines drop what is newer than they are.

mod apply;
mod edits;
mod finding;
mod format;
mod name;
mod position;
mod read;
mod registry;
mod serde_forms;
mod spec;
mod validate;
mod version;
mod write;

pub use apply::{ApplyError, HostNode, apply, host_node};
pub use edits::{ContainerEdits, DeviceNode, Hook, HookName, IntelRdt, Mount, NetDevice, NodeType};
pub use finding::{Finding, Position, Severity};
pub use format::{Format, FormatError};
pub use name::{DeviceName, Kind, NameError, QualifiedName};
pub use position::locate;
pub use read::{MAX_SIZE, ReadError, check_file, parse, read_file};
pub use registry::{Conflict, Registry, ResolveError, Shadowed, SpecFile};
pub use spec::{Annotations, Device, Spec};
pub use validate::validate;
pub use version::{UnknownVersion, Version, edits_version, minimum_version};
pub use write::{WriteError, Written, write_atomically, write_if_changed};
