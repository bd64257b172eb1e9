//! Requests as names of CDI devices of kind `divvy/gpu`: `mig-3g.40gb.mps-50`, `0:mig-1g.10gb`.
//!
//! A CDI device name has letters, digits and `_-.:`, and begins and ends with a letter or digit
//! (CDI specification, "Device names"). So `+` becomes `.`, and what has no sign has no name.

use super::error::{Problem, RequestError, Wrong};
use super::parse::bounded;
use super::values::{ComputeSlices, Count, Interval, Percent, decimal};
use super::{MigShare, MigSharing, MpsLimits, Pin, Request, Share};
use crate::inventory::ProfileName;

/// A request that no CDI device name can say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{request}' has no CDI device name, which can't say {what}: \
     use an annotation or `divvy prepare`, or name it under shares: in the configuration"
)]
pub struct NoCdiName {
    /// The request.
    pub request: String,
    /// What in it a name can't say.
    pub what: &'static str,
}

const EXAMPLE: &str = "mig-1g.10gb, mps-25, time-slicing, exclusive, 0:mig-3g.40gb.mps-50";

impl Request {
    /// The name of this request's CDI device.
    ///
    /// # Errors
    /// A count, a memory limit and a product glob can't be said in a name.
    pub fn cdi_name(&self) -> Result<String, NoCdiName> {
        let no_name = |what| NoCdiName { request: self.to_string(), what };
        if self.count != Count::ONE {
            return Err(no_name("a count"));
        }
        match &self.alias {
            None => {}
            Some(alias) if alias.resource().is_some() => return Err(no_name("a replica")),
            Some(alias) => return Ok(alias.to_string()),
        }
        let share = match &self.share {
            Share::Exclusive => "exclusive".to_owned(),
            Share::TimeSlicing { interval: None } => "time-slicing".to_owned(),
            Share::TimeSlicing { interval: Some(interval) } => format!("time-slicing-{interval}"),
            Share::Mps(limits) => mps_name(limits).ok_or_else(|| no_name("a memory limit"))?,
            Share::Mig(mig) => mig_name(mig).ok_or_else(|| no_name("a memory limit"))?,
        };
        match &self.pin {
            None => Ok(share),
            Some(Pin::Product(_)) => Err(no_name("a product")),
            Some(pin) => Ok(format!("{pin}:{share}")),
        }
    }

    /// Reads the name of a CDI device of kind `divvy/gpu`.
    ///
    /// # Errors
    /// A name that is no request. It may still be one of the administrator's own shares.
    pub fn from_cdi_name(name: &str) -> Result<Request, RequestError> {
        bounded(name)
            .and_then(|whole| read(name).map_err(|problem| whole.wrong(problem, EXAMPLE)))
            .map_err(|wrong: Wrong| RequestError::new(name, wrong))
    }
}

fn mps_name(limits: &MpsLimits) -> Option<String> {
    match (limits.threads, limits.memory) {
        (_, Some(_)) => None,
        (None, None) => Some("mps".to_owned()),
        (Some(threads), None) => Some(format!("mps-{threads}")),
    }
}

fn mig_name(mig: &MigShare) -> Option<String> {
    let compute = mig.compute.map(|compute| format!("{compute}.")).unwrap_or_default();
    let profile = mig.profile.to_string().replace('+', ".");
    let sharing = match &mig.sharing {
        MigSharing::Exclusive => String::new(),
        MigSharing::TimeSlicing => ".time-slicing".to_owned(),
        MigSharing::Mps(limits) => format!(".{}", mps_name(limits)?),
    };
    Some(format!("mig-{compute}{profile}{sharing}"))
}

fn read(name: &str) -> Result<Request, Problem> {
    let unknown = || {
        let word = name.chars().take(80).collect();
        let nearest = crate::suggest::nearest(name, &["exclusive", "time-slicing", "mps"]);
        Problem::Unknown { kind: "CDI device of kind divvy/gpu named", word, nearest }
    };
    let (pin, share) = match name.split_once(':') {
        Some((pin, share)) => (Some(pin), share),
        None => (None, name),
    };
    let request = Request::new(read_share(share).ok_or_else(unknown)?);
    match pin.map(Pin::parse) {
        None => Ok(request),
        Some(None | Some(Pin::Product(_))) => Err(unknown()),
        Some(Some(pin)) => request.with_pin(pin).map_err(Problem::Clash),
    }
}

fn read_share(name: &str) -> Option<Share> {
    match name {
        "exclusive" => Some(Share::Exclusive),
        "time-slicing" => Some(Share::TimeSlicing { interval: None }),
        _ => {
            if let Some(interval) = name.strip_prefix("time-slicing-") {
                return Interval::parse(interval)
                    .map(|interval| Share::TimeSlicing { interval: Some(interval) });
            }
            if let Some(mig) = name.strip_prefix("mig-") {
                return read_mig(mig).map(Share::Mig);
            }
            read_mps(name).map(Share::Mps)
        }
    }
}

fn read_mps(name: &str) -> Option<MpsLimits> {
    let threads = match name.strip_prefix("mps")? {
        "" => None,
        rest => Some(Percent::new(decimal(rest.strip_prefix('-')?)?)?),
    };
    Some(MpsLimits { threads, memory: None })
}

fn read_mig(name: &str) -> Option<MigShare> {
    let (compute, rest) = match name.split_once('.') {
        Some((first, rest)) if first.ends_with('c') => (Some(ComputeSlices::parse(first)?), rest),
        _ => (None, name),
    };
    let size = rest.find("gb")? + "gb".len();
    let (size, behind) = rest.split_at(size);
    // The longest first: `.me` begins `.me.all` too.
    let attributes =
        [(".me.all", "+me.all"), (".me", "+me"), (".gfx", "+gfx"), ("-me", "-me"), ("", "")];
    attributes.into_iter().find_map(|(written, attribute)| {
        let sharing = read_mig_sharing(behind.strip_prefix(written)?)?;
        let profile = ProfileName::parse(&format!("{size}{attribute}"))?;
        Some(MigShare { profile, compute, sharing })
    })
}

fn read_mig_sharing(name: &str) -> Option<MigSharing> {
    match name {
        "" => Some(MigSharing::Exclusive),
        ".time-slicing" => Some(MigSharing::TimeSlicing),
        _ => read_mps(name.strip_prefix('.')?).map(MigSharing::Mps),
    }
}
