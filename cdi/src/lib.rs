//! The Container Device Interface (CDI) format. This crate knows no GPU.
//!
//! A [`Spec`] is a value: made as a struct, read from a file, written to one. The format is that of CDI 1.1.0, and
//! a spec states the lowest version that its content needs, because engines drop what is newer than they are.
//!
//! ```
//! use cdi::{ContainerEdits, Device, DeviceNode, Format, Spec, Version};
//!
//! let node = DeviceNode { path: "/dev/gpu0".into(), ..DeviceNode::default() };
//! let edits = ContainerEdits { device_nodes: vec![node], ..ContainerEdits::default() };
//! let spec = Spec::new(
//!     "vendor.com/gpu".parse()?,
//!     vec![Device::new("0".parse()?, edits)],
//!     ContainerEdits::default(),
//! );
//! assert_eq!(spec.cdi_version, Version::V0_5, "the name begins with a digit");
//! assert_eq!(cdi::parse(&Format::Yaml.encode(&spec)?).as_ref(), Ok(&spec));
//! assert_eq!(cdi::validate(&spec), []);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use write::{WriteError, Written, remove_interrupted, write_atomically, write_if_changed};
