//! What a container asks for.
//!
//! A [`Request`] that exists is well formed; whether a node can serve it is the plan's question.
//! It is read from text (the command line, annotations), from JSON and YAML, and from the names
//! of CDI devices, and written back to each.

mod alias;
mod cdi_name;
mod error;
mod form;
mod list;
mod parse;
mod pin;
mod sharing_mode;
#[cfg(test)]
mod tests;
mod values;

pub use alias::Alias;
pub use cdi_name::NoCdiName;
pub use error::{Problem, RequestError};
pub use list::{ListError, MAX_REQUESTS, Requests};
pub use pin::{Pin, ProductGlob, Uuid};
pub use sharing_mode::SharingMode;
pub use values::{ComputeSlices, Count, Interval, Memory, Percent};

use crate::inventory::ProfileName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One kind of device that a container wants, and how many of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    count: Count,
    share: Share,
    pin: Option<Pin>,
    alias: Option<Alias>,
}

/// What is wanted of a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Share {
    /// The whole GPU (or MIG device that exists), for this claim alone.
    Exclusive,
    /// Turns on a GPU.
    TimeSlicing {
        /// How long the turns are; `None` takes them as they are.
        interval: Option<Interval>,
    },
    /// To run at once with others on a GPU, within limits.
    Mps(MpsLimits),
    /// A hardware partition.
    Mig(MigShare),
}

/// A way to share a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Not shared.
    Exclusive,
    /// By turns.
    TimeSlicing,
    /// At once.
    Mps,
    /// By hardware partitions.
    Mig,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 4] = [Mode::Exclusive, Mode::TimeSlicing, Mode::Mps, Mode::Mig];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Exclusive => "exclusive",
            Mode::TimeSlicing => "time-slicing",
            Mode::Mps => "mps",
            Mode::Mig => "mig",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What an MPS client may use. A limit that isn't set doesn't hold and isn't counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MpsLimits {
    /// Of the device's threads, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<Percent>,
    /// Of the device's memory, per process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
}

/// A MIG device to be made, or to be shared where one like it has room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MigShare {
    /// The GPU instance's profile.
    pub profile: ProfileName,
    /// The compute instance's slices; `None` is all that the GPU instance has.
    pub compute: Option<ComputeSlices>,
    /// How claims share the device.
    pub sharing: MigSharing,
}

/// How claims share a MIG device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MigSharing {
    /// Not at all.
    Exclusive,
    /// By turns.
    TimeSlicing,
    /// At once, within limits.
    Mps(MpsLimits),
}

impl Request {
    /// One of the share, on any GPU.
    pub fn new(share: Share) -> Request {
        Request { count: Count::ONE, share, pin: None, alias: None }
    }

    /// The same, so many times.
    #[must_use]
    pub fn with_count(self, count: Count) -> Request {
        Request { count, ..self }
    }

    /// The same, on this GPU.
    ///
    /// # Errors
    /// A MIG device that exists serves once, and isn't made: what clashes with that, in words.
    pub fn with_pin(self, pin: Pin) -> Result<Request, &'static str> {
        if matches!(pin, Pin::MigDevice(_)) {
            match self.share {
                Share::Mig(_) => return Err("mig makes a MIG device: pin it to a GPU instead"),
                Share::TimeSlicing { interval: Some(_) } => return Err(parse::NO_INTERVAL),
                _ if self.count != Count::ONE => return Err("there is only one such MIG device"),
                _ => {}
            }
        }
        Ok(Request { pin: Some(pin), ..self })
    }

    /// The same, asked for by this name.
    #[must_use]
    pub fn with_alias(self, alias: Alias) -> Request {
        Request { alias: Some(alias), ..self }
    }

    /// The same, whatever it was asked for by.
    #[must_use]
    pub fn without_alias(self) -> Request {
        Request { alias: None, ..self }
    }

    /// How many devices.
    pub fn count(&self) -> Count {
        self.count
    }

    /// What of each.
    pub fn share(&self) -> &Share {
        &self.share
    }

    /// Which GPU, where that matters.
    pub fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    /// The named device that it was asked for by.
    pub fn alias(&self) -> Option<&Alias> {
        self.alias.as_ref()
    }
}

impl Share {
    /// Its sharing mode; a MIG device's own sharing stands in [`MigShare`].
    pub fn mode(&self) -> Mode {
        match self {
            Share::Exclusive => Mode::Exclusive,
            Share::TimeSlicing { .. } => Mode::TimeSlicing,
            Share::Mps(_) => Mode::Mps,
            Share::Mig(_) => Mode::Mig,
        }
    }
}

impl FromStr for Request {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Request, RequestError> {
        parse::request(text)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count != Count::ONE {
            write!(f, "{}x ", self.count)?;
        }
        self.share.fmt(f)?;
        if let Some(pin) = &self.pin {
            write!(f, " @{pin}")?;
        }
        match &self.alias {
            Some(alias) => write!(f, " as {alias}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Share::Exclusive => f.write_str("exclusive"),
            Share::TimeSlicing { interval: None } => f.write_str("time-slicing"),
            Share::TimeSlicing { interval: Some(interval) } => {
                write!(f, "time-slicing:interval={interval}")
            }
            Share::Mps(limits) => limits.fmt(f),
            Share::Mig(mig) => mig.fmt(f),
        }
    }
}

impl fmt::Display for MigShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mig:{}", self.profile)?;
        if let Some(compute) = self.compute {
            write!(f, ",compute={compute}")?;
        }
        match self.sharing {
            MigSharing::Exclusive => Ok(()),
            MigSharing::TimeSlicing => f.write_str("/time-slicing"),
            MigSharing::Mps(limits) => write!(f, "/{limits}"),
        }
    }
}

impl fmt::Display for MpsLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.threads, self.memory) {
            (None, None) => f.write_str("mps"),
            (Some(threads), None) => write!(f, "mps:threads={threads}"),
            (None, Some(memory)) => write!(f, "mps:memory={memory}"),
            (Some(threads), Some(memory)) => write!(f, "mps:threads={threads},memory={memory}"),
        }
    }
}
