//! Every metric there is.

/// What a metric's values mean (OpenMetrics' metric types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows; 0 after a boot.
    Counter,
    /// Always 1: the labels tell.
    Info,
    /// How many were no longer than each bound.
    Histogram,
}

impl Kind {
    /// OpenMetrics' word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Info => "info",
            Kind::Histogram => "histogram",
        }
    }

    /// What its samples' names end in beyond the family's name.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        }
    }
}

/// A metric: its name, what it means, and which labels its samples have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name without `_total` or `_info`.
    pub name: &'static str,
    /// What the values mean.
    pub kind: Kind,
    /// The unit, which the name ends in; empty where there is none.
    pub unit: &'static str,
    /// The labels' names.
    pub labels: &'static [&'static str],
    /// One sentence, without quotes.
    pub help: &'static str,
}

impl Family {
    /// The name that a query uses: `divvy_refusals_total`.
    #[must_use]
    pub fn queried(&self) -> String {
        format!("{}{}", self.name, self.kind.suffix())
    }
}

macro_rules! families {
    ($($constant:ident $kind:ident $name:literal $unit:literal [$($label:literal),*] $help:literal)*) => {
        $(pub(super) static $constant: Family = Family {
            name: $name, kind: Kind::$kind, unit: $unit, labels: &[$($label),*], help: $help,
        };)*
        /// Every metric, in the order in which they are written.
        pub static FAMILIES: &[&Family] = &[$(&$constant),*];
    };
}

families! {
    BUILD Info "divvy_build" "" ["version"] "The version of divvy."
    DRIVER_UP Gauge "divvy_driver_up" "" [] "Whether the NVIDIA driver answers; without it there is nothing about GPUs."
    DRIVER Info "divvy_driver" "" ["version", "cuda_version"] "The versions of the driver and of the CUDA that it serves."
    GPU Info "divvy_gpu" "" ["gpu", "index", "name", "pci"] "A GPU by its UUID."
    GPU_MEMORY Gauge "divvy_gpu_memory_bytes" "bytes" ["gpu"] "Memory of the GPU."
    GPUS_UNUSABLE Gauge "divvy_gpus_unusable" "" [] "GPUs that the driver lists and that don't answer, or answer nonsense."
    MIG_ENABLED Gauge "divvy_gpu_mig_enabled" "" ["gpu"] "Whether MIG mode is on, of GPUs that can do MIG."
    MIG_SLICES Gauge "divvy_mig_slices" "" ["gpu", "state"] "Memory slices of a GPU in MIG mode that are used by an instance, and that are free."
    MIG_INSTANCES Gauge "divvy_mig_instances" "" ["gpu", "profile", "claimed"] "GPU instances by profile, and whether a claim holds them."
    MIG_LARGEST Gauge "divvy_mig_largest_placeable_bytes" "bytes" ["gpu", "profile"] "Memory of the largest profile that a free placement is left for; 0 and no profile where there is none."
    MIG_PLACEABLE Gauge "divvy_mig_placeable" "" ["gpu", "profile"] "How many instances of the profile would fit now, with no other beside them."
    CLAIMS Gauge "divvy_claims" "" ["mode", "phase"] "Claims by sharing mode and phase."
    CLAIM_AGE Gauge "divvy_claim_age_seconds" "seconds" ["claim", "mode", "container"] "How long ago each claim was made."
    MPS_UP Gauge "divvy_mps_daemon_up" "" ["device", "gpu"] "Whether the MPS control daemon of a device record answers."
    MPS_CLIENTS Gauge "divvy_mps_clients" "" ["device", "gpu"] "Clients that the MPS control daemon lists."
    REFUSALS Counter "divvy_refusals" "" ["reason"] "Claims that were refused, by the reason that is easiest to mend."
    REFUSALS_KEPT Gauge "divvy_refusals_kept" "" [] "Containers that were not started for a refusal whose sentence is kept: the newest hundred."
    FAILURES Counter "divvy_prepare_failures" "" [] "Claims that could not be made for another reason than a refusal."
    PREPARE_DURATION Histogram "divvy_prepare_duration_seconds" "seconds" ["mode"] "How long claims took to be made, waiting for others included."
    RELEASE_DURATION Histogram "divvy_release_duration_seconds" "seconds" ["mode"] "How long claims took to be taken back, in the try that succeeded."
    CONTAINER_PROCESSES Gauge "divvy_container_processes" "" ["container", "claim", "gpu", "mig", "mode"] "Processes of a container or claim on a GPU or MIG device."
    CONTAINER_MEMORY Gauge "divvy_container_memory_bytes" "bytes" ["container", "claim", "gpu", "mig", "mode"] "GPU memory that they use, where the driver tells it."
    CONTAINER_UTILIZATION Gauge "divvy_container_utilization_ratio" "ratio" ["container", "claim", "gpu", "mig", "mode", "of"] "What they used in the driver's last sample, of the multiprocessors, the memory bandwidth, the encoder and the decoder; not in MIG mode."
    OTHER_PROCESSES Gauge "divvy_other_processes" "" ["gpu", "mig", "kind"] "Processes that belong to no container and no claim, MPS servers apart."
    OTHER_MEMORY Gauge "divvy_other_memory_bytes" "bytes" ["gpu", "mig", "kind"] "GPU memory that they use, where the driver tells it."
}
