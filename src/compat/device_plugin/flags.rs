//! `flags:`, the plugin's command line. Few of them mean anything outside Kubernetes.

use super::MigStrategy;
use serde::Deserialize;
use std::path::PathBuf;

/// Options of the plugin and of GPU Feature Discovery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Flags {
    /// What MIG devices are called.
    pub mig_strategy: Option<MigStrategy>,
    /// Whether the plugin ends where there is no driver.
    pub fail_on_init_error: Option<bool>,
    /// Where the plugin keeps the pipe directories of MPS.
    pub mps_root: Option<String>,
    /// The root below which the driver's files lie.
    pub nvidia_driver_root: Option<PathBuf>,
    /// The root whose `dev` folder holds the device nodes.
    pub nvidia_dev_root: Option<PathBuf>,
    /// Whether containers get the nodes of GDRCopy.
    pub gdrcopy_enabled: Option<bool>,
    /// Whether containers get the nodes of GPUDirect Storage.
    pub gds_enabled: Option<bool>,
    /// Whether containers get the nodes of InfiniBand.
    pub mofed_enabled: Option<bool>,
    /// Whether labels go by the API of node-feature-discovery.
    #[serde(rename = "useNodeFeatureAPI")]
    pub use_node_feature_api: Option<bool>,
    /// How devices are found.
    pub device_discovery_strategy: Option<DiscoveryStrategy>,
    /// Options of the plugin alone.
    pub plugin: Option<PluginFlags>,
    /// Options of GPU Feature Discovery alone.
    pub gfd: Option<GfdFlags>,
}

/// How devices are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DiscoveryStrategy {
    /// By whatever is there.
    Auto,
    /// By the driver's library.
    Nvml,
    /// By the files of a Tegra board.
    Tegra,
}

/// `flags.plugin`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginFlags {
    /// Whether kubelet is given device nodes.
    pub pass_device_specs: Option<bool>,
    /// How kubelet is told of devices: one word, or a list.
    pub device_list_strategy: Option<Words>,
    /// What kubelet is told of a device.
    #[serde(rename = "deviceIDStrategy")]
    pub device_id_strategy: Option<DeviceIdStrategy>,
    /// The prefix of annotations.
    pub cdi_annotation_prefix: Option<String>,
    /// Where nvidia-ctk is.
    #[serde(rename = "nvidiaCTKPath")]
    pub nvidia_ctk_path: Option<String>,
    /// Where the plugin's own container has the driver root.
    pub container_driver_root: Option<String>,
    /// Which of several shared devices goes first.
    pub shared_devices_allocation_policy: Option<AllocationPolicy>,
}

/// What kubelet is told of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DeviceIdStrategy {
    /// Its UUID.
    Uuid,
    /// Its index.
    Index,
}

/// Which of several shared devices goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum AllocationPolicy {
    /// The one with the fewest users.
    Distributed,
    /// The one with the most.
    Packed,
}

/// One word, or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "a word or a list of words")]
pub enum Words {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// `flags.gfd`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GfdFlags {
    /// Whether it ends after one time.
    pub oneshot: Option<bool>,
    /// Whether it leaves the time out.
    pub no_timestamp: Option<bool>,
    /// How long it sleeps in between, as `60s`.
    pub sleep_interval: Option<String>,
    /// Where it writes.
    pub output_file: Option<String>,
    /// Where the machine's type stands.
    pub machine_type_file: Option<String>,
}

impl Flags {
    /// What is asked for and not done, a sentence each.
    pub(super) fn without_effect(&self) -> Vec<String> {
        let on = |flag: Option<bool>| flag == Some(true);
        let said = [
            (
                on(self.gdrcopy_enabled),
                "flags.gdrcopyEnabled is left out: its nodes are added by `nvidia-ctk cdi generate --mode gdrcopy`",
            ),
            (
                on(self.gds_enabled),
                "flags.gdsEnabled is left out: its nodes are added by `nvidia-ctk cdi generate --mode gds`",
            ),
            (
                on(self.mofed_enabled),
                "flags.mofedEnabled is left out: its nodes are added by `nvidia-ctk cdi generate --mode mofed`",
            ),
            (
                self.mps_root.is_some(),
                "flags.mpsRoot is left out: divvy gives each device a daemon of its own, below its state directory",
            ),
            (
                self.device_discovery_strategy == Some(DiscoveryStrategy::Tegra),
                "flags.deviceDiscoveryStrategy: tegra is left out: divvy finds GPUs by NVML; for Tegra use `nvidia-ctk cdi generate --mode csv`",
            ),
            (
                self.plugin.is_some(),
                "flags.plugin is left out: it says how kubelet is told of devices, and divvy's are CDI devices named by index",
            ),
            (
                self.gfd.is_some(),
                "flags.gfd is left out: `divvy labels` prints the node's labels once, to a file with --output-file",
            ),
        ];
        let kept = said.into_iter().filter(|(asked, _)| *asked);
        kept.map(|(_, sentence)| sentence.to_owned()).collect()
    }
}
