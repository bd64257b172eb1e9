//! Versions of the CDI format, and the lowest one that a spec's content needs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{ContainerEdits, Spec};

/// A released version of the CDI format, oldest first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[serde(try_from = "String", into = "String")]
pub enum Version {
    /// 0.1.0
    V0_1,
    /// 0.2.0
    V0_2,
    /// 0.3.0, the lowest that is ever needed.
    #[default]
    V0_3,
    /// 0.4.0: a mount may have a type.
    V0_4,
    /// 0.5.0: a device node may have a host path; a device's name may begin with a digit.
    V0_5,
    /// 0.6.0: annotations; dots in the class.
    V0_6,
    /// 0.7.0: Intel RDT; additional groups.
    V0_7,
    /// 0.8.0: nothing new in the format.
    V0_8,
    /// 1.0.0: nothing new in the format.
    V1_0,
    /// 1.1.0: network devices; RDT schemata and monitoring.
    V1_1,
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: [Version; 10] = [
        Version::V0_1,
        Version::V0_2,
        Version::V0_3,
        Version::V0_4,
        Version::V0_5,
        Version::V0_6,
        Version::V0_7,
        Version::V0_8,
        Version::V1_0,
        Version::V1_1,
    ];

    /// As it stands in a spec: `0.5.0`.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::V0_1 => "0.1.0",
            Version::V0_2 => "0.2.0",
            Version::V0_3 => "0.3.0",
            Version::V0_4 => "0.4.0",
            Version::V0_5 => "0.5.0",
            Version::V0_6 => "0.6.0",
            Version::V0_7 => "0.7.0",
            Version::V0_8 => "0.8.0",
            Version::V1_0 => "1.0.0",
            Version::V1_1 => "1.1.0",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no version of the CDI format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of the CDI format; known are 0.1.0 to 1.1.0, such as 0.5.0")]
pub struct UnknownVersion(pub String);

impl FromStr for Version {
    type Err = UnknownVersion;

    /// A leading `v` is allowed, as engines allow it.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        Version::ALL
            .into_iter()
            .find(|version| version.as_str() == bare)
            .ok_or_else(|| UnknownVersion(text.into()))
    }
}

impl TryFrom<String> for Version {
    type Error = UnknownVersion;

    fn try_from(text: String) -> Result<Self, UnknownVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.as_str().into()
    }
}

/// The lowest version of the format in which everything that `spec` says is allowed.
///
/// Engines drop a spec that states a lower one, and old engines drop one that states more than they know.
pub fn minimum_version(spec: &Spec) -> Version {
    let kind = if spec.kind.class().contains('.') { Version::V0_6 } else { Version::V0_3 };
    let annotations = if spec.annotations.is_empty() { Version::V0_3 } else { Version::V0_6 };
    let devices = spec.devices.iter().map(|device| {
        let name = if device.name.as_str().starts_with(|c: char| c.is_ascii_digit()) {
            Version::V0_5
        } else {
            Version::V0_3
        };
        let annotations = if device.annotations.is_empty() { Version::V0_3 } else { Version::V0_6 };
        name.max(annotations).max(edits_version(&device.container_edits))
    });
    devices.fold(kind.max(annotations).max(edits_version(&spec.container_edits)), Version::max)
}

/// The lowest version that allows these edits.
pub fn edits_version(edits: &ContainerEdits) -> Version {
    let newest_rdt = |rdt: &crate::IntelRdt| !rdt.schemata.is_empty() || rdt.enable_monitoring;
    if !edits.net_devices.is_empty() || edits.intel_rdt.as_ref().is_some_and(newest_rdt) {
        Version::V1_1
    } else if edits.intel_rdt.is_some() || !edits.additional_gids.is_empty() {
        Version::V0_7
    } else if edits.device_nodes.iter().any(|node| node.host_path.is_some()) {
        Version::V0_5
    } else if edits.mounts.iter().any(|mount| mount.fs_type.is_some()) {
        Version::V0_4
    } else {
        Version::V0_3
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, DeviceNode, IntelRdt, Mount, NetDevice};

    fn spec(kind: &str, name: &str, edits: ContainerEdits) -> Spec {
        let device = Device::new(name.parse().unwrap(), edits);
        Spec::new(kind.parse().unwrap(), vec![device], ContainerEdits::default())
    }

    fn env() -> ContainerEdits {
        ContainerEdits { env: vec!["A=b".into()], ..Default::default() }
    }

    #[test]
    fn versions_print_as_they_parse_and_are_ordered() {
        for pair in Version::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for version in Version::ALL {
            assert_eq!(version.as_str().parse(), Ok(version));
            assert_eq!(format!("v{version}").parse(), Ok(version));
        }
        for wrong in ["", "v", "0.5", "0.5.0 ", "vv0.5.0", "0.9.0", "2.0.0"] {
            assert_eq!(wrong.parse::<Version>(), Err(UnknownVersion(wrong.into())));
        }
    }

    #[test]
    fn each_feature_needs_its_version() {
        let with = |edits| spec("v/c", "a", edits).cdi_version;
        let node = DeviceNode { path: "/dev/x".into(), ..Default::default() };
        let host = DeviceNode { host_path: Some("/dev/y".into()), ..node.clone() };
        let mount =
            Mount { host_path: "/a".into(), container_path: "/b".into(), ..Default::default() };
        let typed = Mount { fs_type: Some("tmpfs".into()), ..mount.clone() };
        let rdt = |rdt| ContainerEdits { intel_rdt: Some(rdt), ..Default::default() };
        let net = NetDevice { host_interface_name: "eth0".into(), name: "net0".into() };

        assert_eq!(with(env()), Version::V0_3);
        assert_eq!(
            with(ContainerEdits { device_nodes: vec![node], ..Default::default() }),
            Version::V0_3
        );
        assert_eq!(
            with(ContainerEdits { mounts: vec![mount], ..Default::default() }),
            Version::V0_3
        );
        assert_eq!(
            with(ContainerEdits { mounts: vec![typed], ..Default::default() }),
            Version::V0_4
        );
        assert_eq!(
            with(ContainerEdits { device_nodes: vec![host], ..Default::default() }),
            Version::V0_5
        );
        assert_eq!(spec("v/c", "0", env()).cdi_version, Version::V0_5);
        assert_eq!(spec("v/c.d", "a", env()).cdi_version, Version::V0_6);
        assert_eq!(spec("v.w/c", "a", env()).cdi_version, Version::V0_3);
        assert_eq!(
            with(ContainerEdits { additional_gids: vec![44], ..Default::default() }),
            Version::V0_7
        );
        assert_eq!(with(rdt(IntelRdt::default())), Version::V0_7);
        assert_eq!(
            with(rdt(IntelRdt { schemata: vec!["MB:0=70".into()], ..Default::default() })),
            Version::V1_1
        );
        assert_eq!(
            with(rdt(IntelRdt { enable_monitoring: true, ..Default::default() })),
            Version::V1_1
        );
        assert_eq!(
            with(ContainerEdits { net_devices: vec![net], ..Default::default() }),
            Version::V1_1
        );
    }

    #[test]
    fn annotations_and_the_edits_of_all_devices_count() {
        let mut annotated = spec("v/c", "a", env());
        annotated.annotations.insert("k".into(), "v".into());
        assert_eq!(minimum_version(&annotated), Version::V0_6);

        let mut device = spec("v/c", "a", env());
        device.devices[0].annotations.insert("k".into(), "v".into());
        assert_eq!(minimum_version(&device), Version::V0_6);

        let mut common = spec("v/c", "a", env());
        common.container_edits.additional_gids.push(44);
        assert_eq!(minimum_version(&common), Version::V0_7);
    }
}
