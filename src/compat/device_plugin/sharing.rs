//! `sharing:`, which devices are replicated, and how their replicas share them.

use crate::document::nullable;
use crate::inventory::ProfileName;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The most replicas of a device: more claims than any GPU serves.
pub const MAX_REPLICAS: u32 = 1000;

/// How devices are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", try_from = "SharingForm")]
pub struct Sharing {
    /// By turns.
    pub time_slicing: Option<Replicated>,
    /// At once.
    pub mps: Option<Replicated>,
}

/// How the replicas of a device share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// By turns.
    TimeSlicing,
    /// At once, each with its part of memory and threads.
    Mps,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Strategy::TimeSlicing => "time-slicing",
            Strategy::Mps => "mps",
        })
    }
}

/// Resources that are replicated.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Replicated {
    /// Whether a resource that isn't renamed gets `.shared` behind its name.
    #[serde(default)]
    pub rename_by_default: bool,
    /// Whether a container may have one replica at most. Not said: so for MPS, and not for time-slicing.
    #[serde(default)]
    pub fail_requests_greater_than_one: Option<bool>,
    /// Which.
    #[serde(deserialize_with = "some_resources")]
    pub resources: Vec<Resource>,
}

/// A resource that is replicated.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// What it is called unshared: `nvidia.com/gpu`, `nvidia.com/mig-1g.10gb`.
    pub name: ResourceName,
    /// What its replicas are called.
    #[serde(default)]
    pub rename: Option<ResourceName>,
    /// Which of its devices.
    #[serde(default, deserialize_with = "nullable")]
    pub devices: Devices,
    /// How many of each device.
    #[serde(deserialize_with = "replicas")]
    #[cfg_attr(feature = "cli", schemars(range(min = 2, max = 1000)))]
    pub replicas: u32,
}

impl Sharing {
    /// Every resource with how it is shared; those that take turns first.
    pub fn resources(&self) -> impl Iterator<Item = (Strategy, &Replicated, &Resource)> {
        let all = [(Strategy::TimeSlicing, &self.time_slicing), (Strategy::Mps, &self.mps)];
        all.into_iter().flat_map(|(strategy, replicated)| {
            let replicated = replicated.iter();
            replicated
                .flat_map(move |all| all.resources.iter().map(move |one| (strategy, all, one)))
        })
    }
}

impl Replicated {
    /// What a resource's replicas are called: renamed, with `.shared`, or as the resource.
    #[must_use]
    pub fn shown_name(&self, resource: &Resource) -> ResourceName {
        match (&resource.rename, self.rename_by_default) {
            (Some(rename), _) => rename.clone(),
            (None, true) => ResourceName(format!("{}.shared", resource.name.0)),
            (None, false) => resource.name.clone(),
        }
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[derive(Default)]
struct SharingForm {
    time_slicing: Option<Replicated>,
    mps: Option<Replicated>,
}

impl TryFrom<SharingForm> for Sharing {
    type Error = String;

    /// The plugin takes MPS where both share a device, and says nothing. Here two that meet are an error; on
    /// which devices two of a name meet, where they don't name all, the node shows.
    fn try_from(form: SharingForm) -> Result<Sharing, String> {
        if form.mps.as_ref().is_some_and(|mps| mps.fail_requests_greater_than_one == Some(false)) {
            return Err("a container can't have several parts of one device under MPS: leave failRequestsGreaterThanOne: false out of mps".to_owned());
        }
        let parts = form.mps.iter().flat_map(|mps| &mps.resources).map(|one| one.replicas);
        if let Some(parts) = parts.max().filter(|parts| *parts > 100) {
            return Err(format!(
                "mps has at most 100 replicas, one for each per cent of threads, and this is {parts}"
            ));
        }
        let sharing = Sharing { time_slicing: form.time_slicing, mps: form.mps };
        let all: Vec<_> = sharing.resources().collect();
        for (n, (strategy, _, one)) in all.iter().enumerate() {
            for (other_strategy, _, other) in all.iter().skip(n + 1) {
                if one.name == other.name && one.devices.surely_meet(&other.devices) {
                    return Err(format!(
                        "{} is shared twice, by {strategy} and by {other_strategy}, on the same devices: give each its \
                         own, or leave one out (of two strategies NVIDIA's plugin takes mps and ignores the other)",
                        one.name
                    ));
                }
            }
        }
        Ok(sharing)
    }
}

fn some_resources<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Resource>, D::Error> {
    let resources: Vec<Resource> = nullable(deserializer)?;
    match resources.is_empty() {
        true => Err(D::Error::custom(
            "resources needs an entry, as in {name: nvidia.com/gpu, replicas: 4}",
        )),
        false => Ok(resources),
    }
}

fn replicas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        replicas @ 2..=MAX_REPLICAS => Ok(replicas),
        other => Err(D::Error::custom(format_args!(
            "replicas is a number from 2 to {MAX_REPLICAS}, and this is {other}"
        ))),
    }
}

/// A resource's name with its prefix: `nvidia.com/gpu`. The prefix may be left out where it is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName(String);

impl ResourceName {
    const PREFIX: &str = "nvidia.com/";

    /// GPUs; with the strategy single, their MIG devices.
    #[must_use]
    pub fn gpu() -> ResourceName {
        ResourceName("nvidia.com/gpu".to_owned())
    }

    /// MIG devices of a profile, with the strategy mixed: `+` becomes `.`.
    #[must_use]
    pub fn mig(profile: &ProfileName) -> ResourceName {
        ResourceName(format!("nvidia.com/mig-{}", profile.to_string().replace('+', ".")))
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its prefix.
    #[must_use]
    pub fn class(&self) -> &str {
        self.0.strip_prefix(ResourceName::PREFIX).unwrap_or(&self.0)
    }

    /// Reads a name, with or without its prefix. Kubernetes allows 63 characters, CDI letters, digits and
    /// `_-.`, a letter first, a letter or digit last.
    pub fn parse(text: &str) -> Option<ResourceName> {
        let class = text.strip_prefix(ResourceName::PREFIX).unwrap_or(text);
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        let begins = class.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        let ends = class.bytes().last().is_some_and(|b| b.is_ascii_alphanumeric());
        let name = format!("{}{class}", ResourceName::PREFIX);
        (begins && ends && class.bytes().all(letter) && name.len() <= 63)
            .then_some(ResourceName(name))
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ResourceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResourceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ResourceName, D::Error> {
        let text = String::deserialize(deserializer)?;
        ResourceName::parse(&text).ok_or_else(|| {
            D::Error::custom(format_args!(
                "{text:?} is no resource's name: one is written as in nvidia.com/gpu, gpu.shared or mig-1g.10gb"
            ))
        })
    }
}

#[cfg(feature = "cli")]
crate::schema::text!(
    ResourceName,
    "ResourceName",
    "^(nvidia\\.com/)?[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"
);

/// Which devices of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    /// Every one.
    #[default]
    All,
    /// So many, the first by index.
    Count(u32),
    /// These.
    List(Vec<DeviceRef>),
}

/// A device by index or UUID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceRef {
    /// A GPU, by NVML's index.
    Gpu(u32),
    /// A MIG device, `0:1`: the GPU's index, and its own on it.
    Mig(u32, u32),
    /// `GPU-…` or `MIG-…`.
    Uuid(String),
}

impl DeviceRef {
    /// Reads `0`, `0:1`, `GPU-…`, `MIG-…`.
    pub fn parse(text: &str) -> Option<DeviceRef> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|n| n.to_string() == text);
        if let Some((gpu, mig)) = text.split_once(':') {
            return Some(DeviceRef::Mig(number(gpu)?, number(mig)?));
        }
        if text.starts_with("GPU-") || text.starts_with("MIG-") {
            let uuid = text.get(4..)?;
            let digits = uuid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
            let groups = uuid.split('-').map(str::len);
            return (digits && groups.eq([8, 4, 4, 4, 12]))
                .then(|| DeviceRef::Uuid(text.to_owned()));
        }
        number(text).map(DeviceRef::Gpu)
    }
}

impl fmt::Display for DeviceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceRef::Gpu(gpu) => gpu.fmt(f),
            DeviceRef::Mig(gpu, mig) => write!(f, "{gpu}:{mig}"),
            DeviceRef::Uuid(uuid) => f.write_str(uuid),
        }
    }
}

impl Devices {
    /// Whether two selections have a device in common on every node that has any.
    fn surely_meet(&self, other: &Devices) -> bool {
        match (self, other) {
            (Devices::List(some), Devices::List(others)) => {
                some.iter().any(|one| others.contains(one))
            }
            (Devices::All, _) | (_, Devices::All) | (Devices::Count(_), Devices::Count(_)) => true,
            (Devices::List(_), Devices::Count(_)) | (Devices::Count(_), Devices::List(_)) => false,
        }
    }
}

const DEVICES: &str =
    "devices is \"all\", a count, or a list of indices (0, 0:1) and UUIDs (GPU-…, MIG-…)";

impl<'de> Deserialize<'de> for Devices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Devices, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "\"all\", a count, or a list of indices (0, 0:1) and UUIDs (GPU-…, MIG-…)"
        )]
        enum Form {
            Count(u32),
            Word(String),
            List(Vec<Scalar>),
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Scalar {
            Number(u32),
            Word(String),
        }
        let wrong =
            |value: &str| D::Error::custom(format_args!("{value:?} is no such choice: {DEVICES}"));
        match Form::deserialize(deserializer)? {
            Form::Word(word) if word == "all" => Ok(Devices::All),
            Form::Word(word) => Err(wrong(&word)),
            Form::Count(0) => Err(wrong("0")),
            Form::Count(count) => Ok(Devices::Count(count)),
            Form::List(list) if list.is_empty() => Err(wrong("[]")),
            Form::List(list) => {
                let one = |scalar: Scalar| match scalar {
                    Scalar::Number(index) => Ok(DeviceRef::Gpu(index)),
                    Scalar::Word(word) => DeviceRef::parse(&word).ok_or_else(|| wrong(&word)),
                };
                list.into_iter().map(one).collect::<Result<_, _>>().map(Devices::List)
            }
        }
    }
}

impl Serialize for Devices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Devices::All => serializer.serialize_str("all"),
            Devices::Count(count) => serializer.serialize_u32(*count),
            Devices::List(list) => serializer.collect_seq(list.iter().map(DeviceRef::to_string)),
        }
    }
}

#[cfg(feature = "cli")]
impl schemars::JsonSchema for Devices {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Devices".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let uuid =
            "^((GPU|MIG)-[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9]+(:[0-9]+)?)$";
        schemars::json_schema!({
            "anyOf": [
                { "const": "all" },
                { "type": "integer", "minimum": 1 },
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": uuid }]
                    }
                },
            ]
        })
    }
}
