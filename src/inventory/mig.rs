//! MIG: what a GPU can be cut into, and what it is cut into now.

use serde::{Deserialize, Serialize};
use std::fmt;

/// MIG on one GPU that can do it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Mig {
    /// Whether the mode is on now.
    pub enabled: bool,
    /// The mode after the next GPU reset; differs from `enabled` only where a reset is due.
    pub pending: bool,
    /// Memory slices that placements are counted in: 4, 8 or 12 by board.
    pub slices: u32,
    /// What instances can be made, by profile id.
    pub profiles: Vec<Profile>,
    /// What instances there are, by id.
    pub instances: Vec<GpuInstance>,
}

/// A GPU-instance profile on one GPU. The same name can mean another profile on another board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// The profile id that creation wants (19 is 1g on most boards); not the enum that lists profiles.
    pub id: u32,
    /// The name without compute slices, `3g.40gb` or `1g.10gb+me`.
    pub name: ProfileName,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Media and copy engines.
    pub engines: Engines,
    /// How many of it fit on an empty GPU.
    pub max_instances: u32,
    /// Where it can stand on an empty GPU, by the driver's own word, by start.
    pub placements: Vec<Placement>,
    /// What the GPU instance can be cut into, by profile id.
    pub compute_profiles: Vec<ComputeProfile>,
}

/// A compute-instance profile inside a GPU-instance profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComputeProfile {
    /// The profile id that creation wants.
    pub id: u32,
    /// Compute slices.
    pub slices: u32,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// How many of it fit in an empty GPU instance.
    pub max_instances: u32,
}

/// Engines of a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Engines {
    /// Copy engines.
    pub copy: u32,
    /// Video decoders.
    pub decoder: u32,
    /// Video encoders.
    pub encoder: u32,
    /// JPEG decoders.
    pub jpeg: u32,
    /// Optical-flow accelerators.
    pub ofa: u32,
}

/// What a MIG device has, by its own word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attributes {
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Streaming multiprocessors of the compute instance.
    pub multiprocessors: u32,
    /// Compute slices of the GPU instance.
    pub gpu_slices: u32,
    /// Compute slices of the compute instance: fewer where it is a part of the GPU instance.
    pub compute_slices: u32,
    /// Engines of the GPU instance, which its compute instances share.
    pub engines: Engines,
}

/// A place on a GPU, in memory slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Placement {
    /// First slice.
    pub start: u32,
    /// Number of slices, at least 1.
    pub size: u32,
}

impl Placement {
    /// Whether the two share a slice.
    pub fn overlaps(self, other: Placement) -> bool {
        self.start < other.start + other.size && other.start < self.start + self.size
    }
}

/// The profile id of an instance whose profile isn't known: NVML's `INVALID_GPU_INSTANCE_PROFILE_ID`.
/// A reading in full never holds it.
pub const UNKNOWN_PROFILE: u32 = u32::MAX;

/// A GPU instance that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GpuInstance {
    /// The driver's id of it; ids are used again.
    pub id: u32,
    /// Its [`Profile::id`], or [`UNKNOWN_PROFILE`] where the driver doesn't tell this user.
    pub profile_id: u32,
    /// Where it stands; of size 0 where the driver doesn't tell this user.
    pub placement: Placement,
    /// The compute instances in it, by id.
    pub compute_instances: Vec<ComputeInstance>,
}

/// A compute instance that exists: with its GPU instance, a MIG device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComputeInstance {
    /// The driver's id of it inside its GPU instance.
    pub id: u32,
    /// Its [`ComputeProfile::id`], or [`UNKNOWN_PROFILE`] where it wasn't asked for.
    pub profile_id: u32,
    /// `MIG-…`. Derived from the GPU and both ids, so an instance made again has it again.
    pub uuid: String,
    /// The index among the GPU's MIG devices: the `1` of the CDI name `0:1`.
    pub mig_index: u32,
}

/// The minors of the two capability nodes of a MIG device, under `/dev/nvidia-caps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CapabilityMinors {
    /// Of the GPU instance.
    pub gpu_instance: u32,
    /// Of the compute instance.
    pub compute_instance: u32,
}

/// A GPU-instance profile's name: `<slices>g.<memory>gb` and attributes, as in `1g.10gb+me`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileName {
    /// Compute slices, the number before `g`.
    pub slices: u32,
    /// Nominal memory in GB, the number before `gb`.
    pub gigabytes: u32,
    /// What stands behind the sign: `+me`, `+gfx`, `+me.all`, `-me`; empty for a plain profile.
    pub attribute: String,
}

impl ProfileName {
    /// Reads `3g.40gb`, `1g.10gb+me`. `None` where it isn't one.
    pub fn parse(text: &str) -> Option<ProfileName> {
        let (slices, rest) = text.split_once("g.")?;
        let (gigabytes, attribute) = rest.split_once("gb")?;
        let number = |digits: &str| {
            let plain = !digits.is_empty()
                && digits.len() <= 4
                && digits.bytes().all(|b| b.is_ascii_digit());
            // A profile has one name: 01g.5gb is no other way to write it.
            let canonical = digits == "0" || !digits.starts_with('0');
            (plain && canonical).then(|| digits.parse().ok()).flatten()
        };
        let attribute_known = matches!(attribute, "" | "+me" | "+gfx" | "+me.all" | "-me");
        attribute_known.then_some(())?;
        Some(ProfileName {
            slices: number(slices)?,
            gigabytes: number(gigabytes)?,
            attribute: attribute.to_owned(),
        })
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}g.{}gb{}", self.slices, self.gigabytes, self.attribute)
    }
}

impl<'de> Deserialize<'de> for ProfileName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ProfileName, D::Error> {
        let text = String::deserialize(deserializer)?;
        ProfileName::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "{text:?} is no MIG profile: one is written as in 1g.10gb or 1g.10gb+me"
            ))
        })
    }
}

impl Serialize for ProfileName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "cli")]
crate::schema::text!(
    ProfileName,
    "ProfileName",
    "^(0|[1-9][0-9]{0,3})g\\.(0|[1-9][0-9]{0,3})gb(\\+me|\\+gfx|\\+me\\.all|-me)?$"
);
