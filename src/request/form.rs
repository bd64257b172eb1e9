//! Requests in JSON and YAML: the text itself, or one key for each of its parts.

use super::{
    Alias, ComputeSlices, Count, Interval, Memory, MigShare, MigSharing, Mode, MpsLimits, Percent,
    Pin, Request, RequestError, Share,
};
use crate::inventory::ProfileName;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Form::of(self).serialize(serializer)
    }
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

#[derive(Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Sharing {
    Exclusive,
    TimeSlicing,
    Mps,
}

/// A request's keys as they stand, before it is known whether they go together.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "RequestParts"))]
#[serde(deny_unknown_fields)]
struct Form {
    /// How it is shared; `mig` is a MIG device made for it.
    mode: Mode,
    /// The profile of the MIG device, in mode `mig`.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<ProfileName>,
    /// Compute slices of the MIG device, `1c`; all of its GPU instance's where there is no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    compute: Option<ComputeSlices>,
    /// How claims share the MIG device, in mode `mig`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sharing: Option<Sharing>,
    /// How long the turns are, in mode `time-slicing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<Interval>,
    /// The share of the device's threads, in per cent, under MPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<Percent>,
    /// The device's memory for each process, under MPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    /// The GPU: its index, UUID or product name.
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<Pin>,
    /// The named device that it was asked for by.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    alias: Option<Alias>,
    /// How many of it; 1 where there is no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<Count>,
}

impl Form {
    fn of(request: &Request) -> Form {
        let mut form = Form {
            mode: request.share.mode(),
            profile: None,
            compute: None,
            sharing: None,
            interval: None,
            threads: None,
            memory: None,
            gpu: request.pin.clone(),
            alias: request.alias.clone(),
            count: Some(request.count).filter(|count| *count != Count::ONE),
        };
        match &request.share {
            Share::Exclusive => {}
            Share::TimeSlicing { interval } => form.interval = *interval,
            Share::Mps(limits) => form.limit(limits),
            Share::Mig(mig) => {
                form.profile = Some(mig.profile.clone());
                form.compute = mig.compute;
                match &mig.sharing {
                    MigSharing::Exclusive => {}
                    MigSharing::TimeSlicing => form.sharing = Some(Sharing::TimeSlicing),
                    MigSharing::Mps(limits) => {
                        form.sharing = Some(Sharing::Mps);
                        form.limit(limits);
                    }
                }
            }
        }
        form
    }

    fn limit(&mut self, limits: &MpsLimits) {
        (self.threads, self.memory) = (limits.threads, limits.memory);
    }

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
        if generator.contract().is_serialize() {
            return parts;
        }
        schemars::json_schema!({
            "anyOf": [
                { "type": "string", "examples": ["mig:1g.10gb", "mps:threads=25,memory=10Gi", "2x exclusive @0"] },
                parts,
            ]
        })
    }
}
