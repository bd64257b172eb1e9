//! Requests in JSON and YAML: the text itself, or one key for each of its parts.

use super::{
    Alias, ComputeSlices, Count, Interval, Memory, MigShare, MigSharing, Mode, MpsLimits, Percent,
    Pin, Request, RequestError, Share,
};
use crate::inventory::ProfileName;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("mode", &self.share.mode())?;
        match &self.share {
            Share::Exclusive => {}
            Share::TimeSlicing { interval } => entry(&mut map, "interval", interval)?,
            Share::Mps(limits) => write_limits(&mut map, limits)?,
            Share::Mig(mig) => {
                map.serialize_entry("profile", &mig.profile)?;
                entry(&mut map, "compute", &mig.compute)?;
                match &mig.sharing {
                    MigSharing::Exclusive => {}
                    MigSharing::TimeSlicing => map.serialize_entry("sharing", "time-slicing")?,
                    MigSharing::Mps(limits) => {
                        map.serialize_entry("sharing", "mps")?;
                        write_limits(&mut map, limits)?;
                    }
                }
            }
        }
        entry(&mut map, "gpu", &self.pin.as_ref().map(Pin::to_string))?;
        entry(&mut map, "as", &self.alias)?;
        entry(&mut map, "count", &Some(self.count).filter(|count| *count != Count::ONE))?;
        map.end()
    }
}

fn entry<M: SerializeMap, T: Serialize>(
    map: &mut M,
    key: &'static str,
    value: &Option<T>,
) -> Result<(), M::Error> {
    value.as_ref().map_or(Ok(()), |value| map.serialize_entry(key, value))
}

fn write_limits<M: SerializeMap>(map: &mut M, limits: &MpsLimits) -> Result<(), M::Error> {
    entry(map, "threads", &limits.threads)?;
    entry(map, "memory", &limits.memory)
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Request, D::Error> {
        deserializer.deserialize_any(RequestVisitor)
    }
}

struct RequestVisitor;

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = Request;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request: mig:1g.10gb, or its parts as in {mode: mig, profile: 1g.10gb}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Request, E> {
        text.parse().map_err(|error: RequestError| E::custom(error.sentence()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Request, A::Error> {
        let form = Form::deserialize(MapAccessDeserializer::new(map))?;
        form.request().map_err(A::Error::custom)
    }
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Sharing {
    Exclusive,
    TimeSlicing,
    Mps,
}

/// A request's keys as they stand, before it is known whether they go together.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "RequestParts"))]
#[serde(deny_unknown_fields)]
struct Form {
    mode: Mode,
    profile: Option<ProfileName>,
    compute: Option<ComputeSlices>,
    sharing: Option<Sharing>,
    interval: Option<Interval>,
    threads: Option<Percent>,
    memory: Option<Memory>,
    gpu: Option<Pin>,
    #[serde(rename = "as")]
    alias: Option<Alias>,
    count: Option<Count>,
}

impl Form {
    fn request(mut self) -> Result<Request, String> {
        let share = match self.mode {
            Mode::Exclusive => Share::Exclusive,
            Mode::TimeSlicing => Share::TimeSlicing { interval: self.interval.take() },
            Mode::Mps => Share::Mps(self.limits()),
            Mode::Mig => Share::Mig(self.mig()?),
        };
        self.nothing_left(share.mode())?;
        let request = Request::new(share).with_count(self.count.unwrap_or(Count::ONE));
        let request = match self.gpu {
            None => request,
            Some(pin) => request.with_pin(pin)?,
        };
        Ok(match self.alias {
            None => request,
            Some(alias) => request.with_alias(alias),
        })
    }

    fn limits(&mut self) -> MpsLimits {
        MpsLimits { threads: self.threads.take(), memory: self.memory.take() }
    }

    fn mig(&mut self) -> Result<MigShare, String> {
        let profile = self.profile.take().ok_or("mode mig needs the key \"profile\"")?;
        let sharing = match self.sharing.take() {
            None | Some(Sharing::Exclusive) => MigSharing::Exclusive,
            Some(Sharing::TimeSlicing) => MigSharing::TimeSlicing,
            Some(Sharing::Mps) => MigSharing::Mps(self.limits()),
        };
        Ok(MigShare { profile, compute: self.compute.take(), sharing })
    }

    /// Every key that the mode takes was taken: what is left doesn't belong to it.
    fn nothing_left(&self, mode: Mode) -> Result<(), String> {
        let left = [
            ("profile", self.profile.is_some()),
            ("compute", self.compute.is_some()),
            ("sharing", self.sharing.is_some()),
            ("interval", self.interval.is_some()),
            ("threads", self.threads.is_some()),
            ("memory", self.memory.is_some()),
        ];
        match left.into_iter().find(|(_, left)| *left) {
            None => Ok(()),
            Some((key, _)) => Err(format!("the key {key:?} says nothing in mode {mode} here")),
        }
    }
}

#[cfg(feature = "cli")]
impl schemars::JsonSchema for Request {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Request".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let parts = generator.subschema_for::<Form>();
        schemars::json_schema!({
            "anyOf": [
                { "type": "string", "examples": ["mig:1g.10gb", "mps:threads=25,memory=10Gi", "2x exclusive @0"] },
                parts,
            ]
        })
    }
}
