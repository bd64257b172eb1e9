//! Why a request can't be met, and what would help.

use super::meant;
use super::reason::Reason;
use crate::config::Asker;
use crate::inventory::ProfileName;
use crate::request::{Pin, Request};
use serde::{Serialize, Serializer};
use std::fmt;

/// A request that can't be met now. A result, not a failure: nothing was touched.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The request.
    pub request: Request,
    /// How many of its devices could have been had, where it wants several.
    pub served: usize,
    /// What stands in the way.
    pub cause: Cause,
    /// MIG profiles that would fit somewhere now, the largest first; for MIG requests.
    pub fits: Vec<ProfileName>,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// There is no GPU.
    NoGpu,
    /// No GPU is what the request names.
    NoMatch {
        /// What it names.
        pin: Pin,
        /// What there is.
        gpus: Vec<String>,
        /// What it may have meant.
        meant: Option<String>,
    },
    /// MPS beside another mode, or beside other limits, in one claim.
    MixedMps,
    /// Several MPS shares of MIG devices in one claim.
    SeveralMpsOnMig,
    /// No share of that name is configured.
    NoShare {
        /// Those that are.
        known: Vec<String>,
    },
    /// The share means something else.
    OtherShare {
        /// What it means.
        means: Request,
    },
    /// The share is for others.
    NotForYou {
        /// Who asked.
        asker: Asker,
    },
    /// A claim has one replica of the resource at most.
    OnePerClaim {
        /// The resource.
        resource: String,
    },
    /// On each GPU something else; what is easiest to mend first.
    Gpus(Vec<Obstacle>),
}

/// What stands in the way on one GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Obstacle {
    /// NVML's index.
    pub index: u32,
    /// `GPU-…`; empty for a GPU that doesn't answer.
    pub uuid: String,
    /// The product.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub reason: Reason,
}

/// GPUs that a sentence for people names; the JSON form has all.
const SHOWN: usize = 4;

impl Refusal {
    /// Whether that claim stands in the way on some GPU. Of a MIG mode that is being turned off the reason names nobody:
    /// whoever turned it on may be any claim.
    pub fn names(&self, claim: &str) -> bool {
        let Cause::Gpus(obstacles) = &self.cause else { return false };
        obstacles.iter().any(|Obstacle { reason, .. }| match reason.by() {
            [] => matches!(reason, Reason::Retiring { .. }),
            by => by.iter().any(|by| by.claim == claim),
        })
    }

    /// The reason in a word, for counting: of the easiest obstacle, where GPUs have different ones.
    pub fn word(&self) -> String {
        let easiest = match &self.cause {
            Cause::Gpus(obstacles) => obstacles.first(),
            _ => None,
        };
        let form = match easiest {
            Some(obstacle) => serde_json::to_value(&obstacle.reason),
            None => serde_json::to_value(self.cause.word()),
        };
        let form = form.unwrap_or_default();
        form.get("reason").unwrap_or(&form).as_str().unwrap_or_default().to_owned()
    }

    /// What would help most: the easiest obstacle's remedy.
    pub fn remedy(&self) -> String {
        let general = match &self.cause {
            Cause::NoGpu => "check the driver with `divvy doctor`".to_owned(),
            Cause::NoMatch { gpus, .. } if gpus.is_empty() => {
                "there is none to name; mig:1g.10gb makes one where GPUs can do MIG".to_owned()
            }
            Cause::NoMatch { gpus, meant, .. } => {
                let meant = meant.as_ref().map(|meant| format!(" (is {meant} meant?)"));
                let here = gpus.join(", ");
                format!("name one that is there{}: {here}", meant.unwrap_or_default())
            }
            Cause::MixedMps => {
                "make one claim for each, or ask for the same MPS share on each".to_owned()
            }
            Cause::SeveralMpsOnMig => "make one claim for each".to_owned(),
            Cause::NoShare { known } if known.is_empty() => {
                "name one under shares: in the configuration".to_owned()
            }
            Cause::NoShare { known } => format!("name one that is there: {}", known.join(", ")),
            Cause::OtherShare { .. } => {
                "write the CDI spec anew with `divvy cdi refresh --requests`".to_owned()
            }
            Cause::NotForYou { .. } => {
                "ask the administrator for users: or groups: of the share".to_owned()
            }
            Cause::OnePerClaim { .. } => {
                "ask for one (NVIDIA's plugin says failRequestsGreaterThanOne)".to_owned()
            }
            Cause::Gpus(obstacles) => {
                let easiest = obstacles.first().map(|obstacle| &obstacle.reason);
                let remedy = easiest.map(Reason::remedy).unwrap_or_default();
                let meant = match easiest {
                    Some(Reason::NoProfile { has }) => meant::profile(&self.request, has),
                    _ => None,
                };
                remedy + &meant.map(|meant| format!(": is {meant} meant?")).unwrap_or_default()
            }
        };
        match self.fits.first() {
            Some(largest) => format!("{largest} is the largest profile that fits now; {general}"),
            None => general,
        }
    }
}

/// What stands in the way, in a word.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Cause"))]
#[serde(rename_all = "kebab-case")]
enum Word {
    /// There is no GPU.
    NoGpu,
    /// No GPU is what the request names.
    NoMatch,
    /// MPS beside another mode, or beside other limits, in one claim.
    MixedMps,
    /// Several MPS shares of MIG devices in one claim.
    SeveralMpsOnMig,
    /// No share of that name is configured.
    NoShare,
    /// The share means something else.
    OtherShare,
    /// The share is for others.
    NotForYou,
    /// A claim has one replica of the resource at most.
    OnePerClaim,
    /// On each GPU something else.
    Gpus,
}

impl Cause {
    fn word(&self) -> Word {
        match self {
            Cause::NoGpu => Word::NoGpu,
            Cause::NoMatch { .. } => Word::NoMatch,
            Cause::MixedMps => Word::MixedMps,
            Cause::SeveralMpsOnMig => Word::SeveralMpsOnMig,
            Cause::NoShare { .. } => Word::NoShare,
            Cause::OtherShare { .. } => Word::OtherShare,
            Cause::NotForYou { .. } => Word::NotForYou,
            Cause::OnePerClaim { .. } => Word::OnePerClaim,
            Cause::Gpus(_) => Word::Gpus,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is refused: ", self.request)?;
        match &self.cause {
            Cause::NoGpu => f.write_str("there is no GPU")?,
            Cause::NoMatch { pin, .. } => write!(f, "no GPU here is {pin}")?,
            Cause::MixedMps => f.write_str(
                "in one claim MPS stands alone and with the same limits throughout, \
                 for its clients see nothing but their daemon's devices",
            )?,
            Cause::SeveralMpsOnMig => f.write_str(
                "a process sees one MIG device at most, so several with MPS can't be one claim",
            )?,
            Cause::NoShare { .. } => f.write_str("there is no share of that name")?,
            Cause::OtherShare { means } => write!(f, "that share is {means}")?,
            Cause::NotForYou { asker } => write!(f, "that share is not for {asker}")?,
            Cause::OnePerClaim { resource } => {
                write!(f, "a claim has one device of {resource} at most")?;
            }
            Cause::Gpus(obstacles) => {
                if self.request.count().get() > 1 {
                    write!(f, "{} of {} could be had", self.served, self.request.count())?;
                    f.write_str("; ")?;
                }
                let groups = alike(obstacles);
                for (n, group) in groups.iter().take(SHOWN).enumerate() {
                    f.write_str(if n == 0 { "" } else { "; " })?;
                    write!(f, "{group}")?;
                }
                let more: usize = groups.iter().skip(SHOWN).map(|group| group.0.len()).sum();
                if more > 0 {
                    write!(f, "; and {more} more GPU{}", if more == 1 { "" } else { "s" })?;
                }
            }
        }
        write!(f, ". What helps: {}", self.remedy())
    }
}

/// GPUs of one product with the same in the way.
struct Group<'a>(Vec<&'a Obstacle>);

/// In the order of the first of each: eight GPUs of a node say the same thing once.
fn alike(obstacles: &[Obstacle]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for obstacle in obstacles {
        let same = |group: &&mut Group<'_>| {
            let of =
                |first: &&Obstacle| first.name == obstacle.name && first.reason == obstacle.reason;
            group.0.first().is_some_and(of)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.0.push(obstacle),
            None => groups.push(Group(vec![obstacle])),
        }
    }
    groups
}

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else { return Ok(()) };
        let indices: Vec<String> = self.0.iter().map(|one| one.index.to_string()).collect();
        let gpus = if indices.len() == 1 { "GPU" } else { "GPUs" };
        write!(f, "{gpus} {} ({}): {}", indices.join(", "), first.name, first.reason)
    }
}

/// A refusal as programs read it.
#[derive(Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
struct Form<'a> {
    /// The request, in words.
    request: String,
    /// How many of its devices could have been had, where it wants several.
    served: usize,
    cause: Word,
    /// What stands in the way on each GPU, the easiest to mend first; where `cause` is `gpus`.
    gpus: &'a [Obstacle],
    /// MIG profiles that would fit somewhere now, the largest first; for MIG requests.
    fits: &'a [ProfileName],
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    largest: Option<&'a ProfileName>,
    /// What would help most.
    remedy: String,
    /// All of it in one sentence.
    message: String,
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let gpus = match &self.cause {
            Cause::Gpus(obstacles) => &obstacles[..],
            _ => &[],
        };
        let form = Form {
            request: self.request.to_string(),
            served: self.served,
            cause: self.cause.word(),
            gpus,
            fits: &self.fits,
            largest: self.fits.first(),
            remedy: self.remedy(),
            message: self.to_string(),
        };
        form.serialize(serializer)
    }
}

#[cfg(feature = "cli")]
impl schemars::JsonSchema for Refusal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Refusal".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Form::json_schema(generator)
    }
}
