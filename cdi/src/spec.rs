//! A spec: the file that says how the devices of one kind get into a container.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    ContainerEdits, DeviceName, Kind, Version, minimum_version,
    serde_forms::{annotations, or_default},
};

/// Free text that stands with a spec or a device. Engines do nothing with it.
pub type Annotations = BTreeMap<String, String>;

/// One CDI spec. Field names are those of the CDI specification, version 1.1.0; unknown fields are an error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The version of the format that the content keeps to.
    pub cdi_version: Version,
    /// What its devices are.
    pub kind: Kind,
    /// Needs version 0.6.0 when not empty.
    #[serde(default, deserialize_with = "annotations", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    /// At least one; their names differ.
    #[serde(deserialize_with = "or_default")]
    pub devices: Vec<Device>,
    /// Made once for every container that gets any of the devices.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "ContainerEdits::is_empty"
    )]
    pub container_edits: ContainerEdits,
}

impl Spec {
    /// A spec of `devices` with the edits that all of them share. Its version is the lowest that the content needs.
    pub fn new(kind: Kind, devices: Vec<Device>, container_edits: ContainerEdits) -> Self {
        let spec = Spec {
            cdi_version: Version::default(),
            kind,
            annotations: Annotations::new(),
            devices,
            container_edits,
        };
        Spec { cdi_version: minimum_version(&spec), ..spec }
    }

    /// The device of that name.
    pub fn device(&self, name: &DeviceName) -> Option<&Device> {
        self.devices.iter().find(|device| device.name == *name)
    }
}

/// One device of a spec.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    /// Unique within the kind.
    pub name: DeviceName,
    /// Needs version 0.6.0 when not empty.
    #[serde(default, deserialize_with = "annotations", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    /// Made for a container that gets this device; never empty.
    #[serde(default, deserialize_with = "or_default")]
    pub container_edits: ContainerEdits,
}

impl Device {
    /// A device without annotations.
    pub fn new(name: DeviceName, container_edits: ContainerEdits) -> Self {
        Device { name, annotations: Annotations::new(), container_edits }
    }
}
