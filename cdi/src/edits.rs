//! Container edits: what is put into a container's OCI configuration.

use serde::{Deserialize, Serialize};

use crate::serde_forms::{is_false, non_empty, or_default};

/// The edits of one device, or those that all devices of a spec share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerEdits {
    /// Environment variables, each `NAME=value`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Device nodes to make and to allow.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub device_nodes: Vec<DeviceNode>,
    /// Network interfaces to move into the container. Needs version 1.1.0.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub net_devices: Vec<NetDevice>,
    /// Programs that the OCI runtime calls.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// Files and folders of the host.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Intel cache and bandwidth allocation. Needs version 0.7.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<IntelRdt>,
    /// Groups of the container's process; 0 is ignored. Needs version 0.7.0. The specification's prose spells the
    /// field `additionalGIDs`, which engines take as well.
    #[serde(
        alias = "additionalGIDs",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub additional_gids: Vec<u32>,
}

impl ContainerEdits {
    /// Whether nothing would be edited. A device whose edits are empty makes its whole spec invalid.
    pub fn is_empty(&self) -> bool {
        *self == ContainerEdits::default()
    }

    /// Adds `other` behind these edits. Its Intel RDT settings replace those that are here.
    pub fn append(&mut self, other: ContainerEdits) {
        self.env.extend(other.env);
        self.device_nodes.extend(other.device_nodes);
        self.net_devices.extend(other.net_devices);
        self.hooks.extend(other.hooks);
        self.mounts.extend(other.mounts);
        self.intel_rdt = other.intel_rdt.or_else(|| self.intel_rdt.take());
        self.additional_gids.extend(other.additional_gids);
    }
}

/// A device node. What is left out is taken from the host's node when the container is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceNode {
    /// Where it stands in the container.
    pub path: String,
    /// Where it stands on the host, if elsewhere. Needs version 0.5.0.
    #[serde(default, deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    /// Character device, block device or FIFO.
    #[serde(
        rename = "type",
        default,
        deserialize_with = "node_type",
        skip_serializing_if = "Option::is_none"
    )]
    pub node_type: Option<NodeType>,
    /// Device major number. Engines read 0 as left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major: Option<i64>,
    /// Device minor number. It counts only where `major` does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
    /// Permission bits, such as `0o666`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<u32>,
    /// What the device cgroup allows: some of `r`, `w` and `m`, or `none`. Engines read nothing as `rwm`; those
    /// with version 1.1.0 or older of the CDI library refuse `none`.
    #[serde(default, deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub permissions: Option<String>,
    /// The node's owner in the container. Engines take the process's user when it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The node's group in the container. Engines take the process's group when it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}

/// What a device node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum NodeType {
    /// A block device.
    #[serde(rename = "b")]
    Block,
    /// A character device.
    #[serde(rename = "c")]
    Char,
    /// A character device without a buffer; OCI's other word for one.
    #[serde(rename = "u")]
    Unbuffered,
    /// A FIFO.
    #[serde(rename = "p")]
    Fifo,
}

impl NodeType {
    /// The letter that stands for it in a spec and in an OCI configuration.
    pub fn letter(self) -> &'static str {
        match self {
            NodeType::Block => "b",
            NodeType::Char => "c",
            NodeType::Unbuffered => "u",
            NodeType::Fifo => "p",
        }
    }
}

/// Reads a node's type; the empty text is nothing, as engines have it.
fn node_type<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<NodeType>, D::Error> {
    match non_empty(deserializer)?.as_deref() {
        None => Ok(None),
        Some("b") => Ok(Some(NodeType::Block)),
        Some("c") => Ok(Some(NodeType::Char)),
        Some("u") => Ok(Some(NodeType::Unbuffered)),
        Some("p") => Ok(Some(NodeType::Fifo)),
        Some(other) => Err(serde::de::Error::custom(format_args!(
            "{other:?} is no type of device node; b, c, u and p are"
        ))),
    }
}

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// What is mounted: a path of the host, or the source of another file system.
    pub host_path: String,
    /// Where it is mounted in the container.
    pub container_path: String,
    /// The file system's type; left out, the options say (`bind`, `rbind`). Needs version 0.4.0.
    #[serde(
        rename = "type",
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub fs_type: Option<String>,
    /// Mount options.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// A program that the OCI runtime calls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    /// When it is called.
    pub hook_name: HookName,
    /// The program; absolute.
    pub path: String,
    /// Its arguments, with its own name as the first.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its whole environment, each `NAME=value`. Left out or empty, runc gives it the runtime's own.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Seconds until it is killed; above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
}

/// The stages at which an OCI runtime calls hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum HookName {
    /// Deprecated by OCI in favour of `createRuntime`.
    Prestart,
    /// In the runtime's namespaces, after the container's are made.
    CreateRuntime,
    /// In the container's namespaces, before its root is entered.
    CreateContainer,
    /// In the container, before its process starts.
    StartContainer,
    /// After its process started.
    Poststart,
    /// After the container is deleted.
    Poststop,
}

impl HookName {
    /// Every stage, in the order of a container's life.
    pub const ALL: [HookName; 6] = [
        HookName::Prestart,
        HookName::CreateRuntime,
        HookName::CreateContainer,
        HookName::StartContainer,
        HookName::Poststart,
        HookName::Poststop,
    ];

    /// As it stands in a spec and under `hooks` of an OCI configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            HookName::Prestart => "prestart",
            HookName::CreateRuntime => "createRuntime",
            HookName::CreateContainer => "createContainer",
            HookName::StartContainer => "startContainer",
            HookName::Poststart => "poststart",
            HookName::Poststop => "poststop",
        }
    }
}

/// Intel Resource Director Technology: the container's class of service under `/sys/fs/resctrl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IntelRdt {
    /// The class of service: a file name.
    #[serde(
        rename = "closID",
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub clos_id: Option<String>,
    /// Level-3 cache allocation.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub l3_cache_schema: Option<String>,
    /// Memory bandwidth allocation.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub mem_bw_schema: Option<String>,
    /// Lines for the `schemata` file. Needs version 1.1.0.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub schemata: Vec<String>,
    /// Whether the container gets a monitoring group. Needs version 1.1.0.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_false")]
    pub enable_monitoring: bool,
}

/// A network interface that is moved from the host into the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetDevice {
    /// Its name on the host.
    pub host_interface_name: String,
    /// Its name in the container.
    pub name: String,
}
