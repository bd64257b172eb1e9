//! The GPU models that a node can have: what MIG can make of each, as facts compiled in.

use serde::Deserialize;

/// A GPU model.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Board {
    /// The name that `fake-node create --gpu` takes.
    pub key: String,
    /// What `nvmlDeviceGetName` says.
    pub product: String,
    /// The chip's generation.
    pub architecture: Architecture,
    /// CUDA compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// Memory of the whole GPU, in MiB.
    pub memory_mib: u64,
    /// Streaming multiprocessors of the whole GPU.
    pub multiprocessors: u32,
    /// Device and vendor id as NVML packs them, `0x233010DE`.
    pub pci_device: u32,
    /// The memory slices that placements count in; 0 without MIG.
    pub slices: u32,
    /// Whether a change of MIG mode waits for a GPU reset (Ampere).
    pub mig_mode_needs_reset: bool,
    /// The GPU-instance profiles; empty without MIG.
    pub profiles: Vec<Profile>,
}

/// A chip generation.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are NVIDIA's own")]
pub enum Architecture {
    Pascal,
    Turing,
    Ampere,
    Ada,
    Hopper,
    Blackwell,
}

/// A GPU-instance profile of a board.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    /// `3g.40gb`, `1g.10gb+me`.
    pub name: String,
    /// The `NVML_GPU_INSTANCE_PROFILE_*` number that profiles are listed by.
    pub listed: u32,
    /// The profile id that creation wants: another number than `listed`.
    pub id: u32,
    /// Compute slices.
    pub slices: u32,
    /// How many of it fit on an empty GPU.
    pub max: u32,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Copy, decoder, encoder, JPEG and optical-flow engines.
    pub engines: [u32; 5],
    /// Where it can stand.
    pub placements: Placements,
    /// Which of the values nobody has measured on this board.
    #[serde(default)]
    pub inferred: Vec<String>,
}

/// The places of a profile, in memory slices.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Placements {
    /// First slices.
    pub starts: Vec<u32>,
    /// Number of slices from there.
    pub size: u32,
}

/// A compute-instance profile inside a GPU-instance profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComputeProfile {
    /// The `NVML_COMPUTE_INSTANCE_PROFILE_*` number that profiles are listed by.
    pub listed: u32,
    /// The profile id that creation wants.
    pub id: u32,
    /// Compute slices.
    pub slices: u32,
    /// How many of it fit in an empty GPU instance.
    pub max: u32,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
}

macro_rules! boards {
    ($($key:literal),* $(,)?) => {
        const FILES: &[(&str, &str)] = &[$(($key, include_str!(concat!("../boards/", $key, ".yaml")))),*];
    };
}

boards![
    "A30-24GB",
    "A100-40GB",
    "A100-80GB",
    "H100-80GB",
    "H100-94GB",
    "H100-96GB",
    "GH200-144GB",
    "H200-141GB",
    "B200-180GB",
    "GB200-186GB",
    "B300-269GB",
    "GB300-278GB",
    "RTX-PRO-6000-96GB",
    "L4",
    "T4",
    "GTX-1080-Ti",
];

impl Board {
    /// The keys of all boards.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(key, _)| *key)
    }

    /// The board of that key. `Err` says in a sentence why there is none.
    pub fn named(key: &str) -> Result<Board, String> {
        let file = FILES.iter().find(|(name, _)| *name == key);
        let (_, text) = file.ok_or_else(|| {
            let known: Vec<_> = Board::keys().collect();
            format!("no GPU model is named {key:?}: take one of {}", known.join(", "))
        })?;
        serde_saphyr::from_str(text).map_err(|error| format!("boards/{key}.yaml: {error}"))
    }

    /// Whether it can do MIG.
    pub fn has_mig(&self) -> bool {
        !self.profiles.is_empty()
    }

    /// The GPU-instance profile with that id.
    pub fn profile(&self, id: u32) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.id == id)
    }

    /// The engines of the whole GPU: those of the profile that takes all of it.
    pub fn engines(&self) -> [u32; 5] {
        let whole = self.profiles.iter().find(|profile| profile.placements.size == self.slices);
        whole.map_or([2, 1, 1, 1, 1], |profile| profile.engines)
    }
}

impl Architecture {
    /// `nvmlDeviceArchitecture_t`.
    pub fn number(self) -> u32 {
        match self {
            Architecture::Pascal => 4,
            Architecture::Turing => 6,
            Architecture::Ampere => 7,
            Architecture::Ada => 8,
            Architecture::Hopper => 9,
            Architecture::Blackwell => 10,
        }
    }
}

/// The compute profiles by slices: number in the list, profile id, slices. 7 slices are there
/// twice: the second one is meant for work across GPUs, and a tool that takes it by its slice
/// count alone takes the wrong one.
const COMPUTE: &[(u32, u32, u32)] =
    &[(0, 0, 1), (1, 1, 2), (2, 2, 3), (3, 3, 4), (4, 4, 7), (8, 8, 7)];

/// The one slice that has the GPU instance's media engines.
const COMPUTE_WITH_MEDIA: (u32, u32, u32) = (7, 7, 1);

impl Profile {
    /// Whether it has the media extensions, `+me`.
    pub fn has_media(&self) -> bool {
        self.name.ends_with("+me")
    }

    /// What a GPU instance of this profile can be cut into.
    pub fn compute_profiles(&self) -> Vec<ComputeProfile> {
        let fitting = COMPUTE.iter().filter(|(_, _, slices)| self.offers(*slices));
        let media = self.has_media().then_some(&COMPUTE_WITH_MEDIA);
        fitting.chain(media).map(|&(listed, id, slices)| self.compute(listed, id, slices)).collect()
    }

    /// 3 of 4 slices is no compute profile; 3 of 3 and 3 of 7 are.
    fn offers(&self, slices: u32) -> bool {
        slices <= self.slices && !(slices == 3 && self.slices == 4)
    }

    fn compute(&self, listed: u32, id: u32, slices: u32) -> ComputeProfile {
        let whole = slices == self.slices;
        let multiprocessors = match whole {
            true => self.multiprocessors,
            false => self.multiprocessors / self.slices.max(1) * slices,
        };
        let max = self.slices / slices.max(1);
        ComputeProfile { listed, id, slices, max, multiprocessors }
    }
}

#[cfg(test)]
mod tests;
