//! What can stand in the way of a request on one GPU, and what helps against it.

use super::matrix::State;
use crate::config::Enforced;
use crate::inventory::{ComputeMode, ProfileName};
use crate::request::{Interval, Memory, Mode};
use serde::Serialize;
use std::fmt;

/// A claim on a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Holder {
    /// The claim's id.
    pub claim: String,
    /// The container's id, where one has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What it holds: `exclusive`, `3g.40gb`.
    pub holds: String,
}

impl Holder {
    /// Stands for the id of the claim that is being planned, where its own devices are in its way.
    pub const OWN: &str = "this one";
}

/// The reasons, with what they need to be understood.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Reason {
    /// It doesn't answer.
    Lost {
        /// What the driver says.
        says: String,
    },
    /// Policy keeps the mode away.
    ModeNotAllowed {
        /// Which.
        mode: Mode,
    },
    /// Policy lets only named shares onto it.
    OnlyShares,
    /// Policy lets no more claims onto it.
    MostClaims {
        /// How many it lets.
        most: u32,
        /// Who they are.
        by: Vec<Holder>,
    },
    /// Claims are in the way.
    Held {
        /// How they share.
        state: State,
        /// Who.
        by: Vec<Holder>,
    },
    /// What there is is being undone.
    Retiring {
        /// Whose it was.
        by: Vec<Holder>,
    },
    /// A GPU or MIG device under it is gone.
    Gone {
        /// Whose it is.
        by: Vec<Holder>,
    },
    /// The claim has a share of this device already.
    SameClaim,
    /// Another interval holds.
    OtherInterval {
        /// The one that holds; absent where nobody asked for one.
        #[serde(skip_serializing_if = "Option::is_none")]
        has: Option<Interval>,
        /// Who.
        by: Vec<Holder>,
    },
    /// All replicas are taken.
    NoReplica {
        /// How many there are.
        replicas: u32,
        /// Who has them.
        by: Vec<Holder>,
    },
    /// Too few threads are left.
    Threads {
        /// What is left, in per cent.
        left_percent: u32,
        /// Who has the others.
        by: Vec<Holder>,
    },
    /// Too little memory is left, or there is too little at all.
    Memory {
        /// What is left, in MiB.
        left_mib: u64,
        /// Who has the rest.
        by: Vec<Holder>,
    },
    /// MPS serves no more clients.
    Clients {
        /// How many it serves.
        most: u32,
        /// Who they are.
        by: Vec<Holder>,
    },
    /// The daemon serves another uid.
    OtherUid {
        /// Which.
        uid: u32,
        /// Whose it is.
        by: Vec<Holder>,
    },
    /// With this driver any client can change the limits of all, so a daemon serves one claim.
    OneClaimPerDaemon {
        /// Which.
        by: Vec<Holder>,
    },
    /// The daemon serves another number of GPUs at once.
    DaemonOfSeveral {
        /// Whose it is.
        by: Vec<Holder>,
    },
    /// Policy demands more than the mode enforces.
    Enforcement {
        /// What policy demands.
        demanded: Enforced,
        /// What would be enforced.
        possible: Enforced,
    },
    /// Somebody else set the compute mode.
    ComputeModeSet {
        /// To what.
        mode: ComputeMode,
    },
    /// Processes that nobody claims.
    Processes {
        /// Which.
        pids: Vec<u32>,
    },
    /// MIG mode is on.
    MigOn {
        /// Who has MIG devices.
        by: Vec<Holder>,
    },
    /// The GPU can't do MIG.
    NoMig,
    /// MIG mode is off, and policy doesn't let it be turned on.
    MigOff,
    /// MIG mode is off, and turning it on takes a GPU reset.
    MigNeedsReset,
    /// MIG mode changes with the next reset.
    MigPending,
    /// The board has no such profile.
    NoProfile {
        /// What it has.
        has: Vec<ProfileName>,
    },
    /// The profile can't be cut like that.
    NoComputeProfile {
        /// The compute slices that there are profiles for.
        has: Vec<u32>,
    },
    /// No placement is free.
    NoPlacement {
        /// Memory slices that are free.
        free_slices: u32,
        /// Memory slices that there are.
        memory_slices: u32,
        /// Who has the others.
        by: Vec<Holder>,
        /// MIG devices that nobody claims.
        unclaimed: usize,
    },
    /// The MIG device was made by divvy for a claim.
    MadeForClaim {
        /// Whose it is.
        by: Vec<Holder>,
    },
}

impl Reason {
    /// The claims that stand in the way.
    pub fn by(&self) -> &[Holder] {
        match self {
            Reason::MostClaims { by, .. }
            | Reason::Held { by, .. }
            | Reason::Retiring { by }
            | Reason::Gone { by }
            | Reason::OtherInterval { by, .. }
            | Reason::NoReplica { by, .. }
            | Reason::Threads { by, .. }
            | Reason::Memory { by, .. }
            | Reason::Clients { by, .. }
            | Reason::OtherUid { by, .. }
            | Reason::OneClaimPerDaemon { by }
            | Reason::DaemonOfSeveral { by }
            | Reason::MigOn { by }
            | Reason::NoPlacement { by, .. }
            | Reason::MadeForClaim { by } => by,
            Reason::Lost { .. }
            | Reason::ModeNotAllowed { .. }
            | Reason::OnlyShares
            | Reason::SameClaim
            | Reason::Enforcement { .. }
            | Reason::ComputeModeSet { .. }
            | Reason::Processes { .. }
            | Reason::NoMig
            | Reason::MigOff
            | Reason::MigNeedsReset
            | Reason::MigPending
            | Reason::NoProfile { .. }
            | Reason::NoComputeProfile { .. } => &[],
        }
    }

    /// What can be mended soon stands before what can't.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Reason::NoPlacement { .. }
            | Reason::NoReplica { .. }
            | Reason::MostClaims { .. }
            | Reason::Threads { .. }
            | Reason::Memory { .. }
            | Reason::Clients { .. } => 0,
            Reason::Held { .. }
            | Reason::OtherInterval { .. }
            | Reason::OtherUid { .. }
            | Reason::OneClaimPerDaemon { .. }
            | Reason::DaemonOfSeveral { .. }
            | Reason::MadeForClaim { .. }
            | Reason::SameClaim
            | Reason::Retiring { .. }
            | Reason::Gone { .. } => 1,
            Reason::Processes { .. } | Reason::ComputeModeSet { .. } | Reason::MigOn { .. } => 2,
            Reason::MigOff
            | Reason::ModeNotAllowed { .. }
            | Reason::OnlyShares
            | Reason::Enforcement { .. }
            | Reason::MigPending
            | Reason::MigNeedsReset => 3,
            Reason::NoComputeProfile { .. } => 4,
            Reason::NoProfile { .. } => 5,
            Reason::NoMig | Reason::Lost { .. } => 6,
        }
    }

    /// What somebody can do about it.
    pub fn remedy(&self) -> String {
        let text = match self {
            Reason::NoPlacement { by, unclaimed, .. } => return room(by, *unclaimed),
            Reason::NoReplica { by, .. }
            | Reason::MostClaims { by, .. }
            | Reason::Clients { by, .. }
                if by.is_empty() =>
            {
                "ask for fewer"
            }
            Reason::Held { by, .. }
            | Reason::NoReplica { by, .. }
            | Reason::MostClaims { by, .. } => return release(by, "ask for less"),
            Reason::Clients { by, .. } => return release(by, "use another GPU"),
            // Oversubscribing is for several; nobody has more memory than there is.
            Reason::Memory { by, .. } if by.is_empty() => "ask for less, or use another GPU",
            Reason::Lost { .. } => "see `divvy doctor`; the GPU may need a reset or a reboot",
            Reason::ModeNotAllowed { .. } => {
                "ask for another mode, or allow it in the configuration"
            }
            Reason::OnlyShares => "ask for a share by its name, as `divvy cdi list` shows them",
            Reason::Threads { .. } | Reason::Memory { .. } => {
                "ask for less, release a claim, or let policy oversubscribe"
            }
            Reason::Retiring { .. } => "try again in a moment; `divvy reconcile` finishes it",
            Reason::Gone { .. } => "release its claims, which `divvy claims` shows as lost",
            Reason::SameClaim => "ask for fewer devices, or for devices on other GPUs",
            Reason::OtherInterval { .. } => {
                "ask for time-slicing without an interval, or for that one"
            }
            Reason::OtherUid { .. } => "prepare it for that uid, or release the claims",
            Reason::OneClaimPerDaemon { .. } => {
                "update the driver to 550 or later, or use another GPU"
            }
            Reason::DaemonOfSeveral { .. } => {
                "ask for as many MPS devices as it serves, or wait for its release"
            }
            Reason::Enforcement { .. } => {
                "ask for a mode that enforces it, as mig does, or demand less in the configuration"
            }
            Reason::ComputeModeSet { .. } => "put it back with `nvidia-smi -c DEFAULT`",
            Reason::Processes { .. } => "end them, or ask for time-slicing",
            Reason::MigOn { .. } => {
                "ask for a MIG device (mig:1g.10gb, or exclusive @MIG-… where there is one), or turn MIG mode off with `nvidia-smi -mig 0` once it is idle"
            }
            Reason::NoMig => "use a GPU that can do MIG, or ask for mps or time-slicing",
            Reason::MigOff => {
                "turn it on with `nvidia-smi -mig 1`, or let divvy do so: managed: true and mig-mode: enable in the configuration"
            }
            Reason::MigNeedsReset => {
                "turn it on with `nvidia-smi -mig 1` and reset the GPU while nothing uses it"
            }
            Reason::MigPending => "reset the GPU while nothing uses it",
            Reason::NoProfile { .. } | Reason::NoComputeProfile { .. } => "ask for one that it has",
            Reason::MadeForClaim { .. } => "ask for its profile with a way to share it",
        };
        text.to_owned()
    }
}

/// What helps where claims are in the way. A device record without a claim is what a crash left, and the claim that is
/// being planned can't be released.
fn release(by: &[Holder], or: &str) -> String {
    let others = by.iter().any(|holder| holder.claim != Holder::OWN);
    match (others, by.is_empty()) {
        (true, _) => format!("release a claim (`divvy claims` lists them), or {or}"),
        (false, true) => format!("{or}, or see whether `divvy reconcile` takes something back"),
        (false, false) => or.to_owned(),
    }
}

/// What helps where a placement is wanted: a MIG device of nobody's can be had as it is.
fn room(by: &[Holder], unclaimed: usize) -> String {
    if unclaimed == 0 {
        return release(by, "ask for less");
    }
    let there = match unclaimed {
        1 => "take the MIG device that nobody claims",
        _ => "take a MIG device that nobody claims",
    };
    let take = format!("{there} (exclusive @MIG-…, by the UUID that `nvidia-smi -L` shows)");
    if by.iter().any(|holder| holder.claim != Holder::OWN) {
        format!("release a claim (`divvy claims` lists them), or {take}")
    } else {
        format!("{take}, or change the layout with `divvy mig apply`")
    }
}

/// `claim a (container b), claim c`; at most four of them.
pub(super) struct By<'a>(pub(super) &'a [Holder]);

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("a device record without a claim");
        }
        for (n, holder) in self.0.iter().take(4).enumerate() {
            f.write_str(if n == 0 { "" } else { ", " })?;
            match holder.claim.as_str() {
                Holder::OWN => f.write_str(Holder::OWN)?,
                claim => write!(f, "claim {claim}")?,
            }
            match &holder.container {
                Some(container) => write!(f, " (container {container}, {})", holder.holds)?,
                None => write!(f, " ({})", holder.holds)?,
            }
        }
        match self.0.len() {
            0..=4 => Ok(()),
            n => write!(f, " and {} more", n - 4),
        }
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Lost { says } => f.write_str(says),
            Reason::ModeNotAllowed { mode } => write!(f, "policy doesn't allow {mode} on it"),
            Reason::Held { by, .. } => write!(f, "held by {}", By(by)),
            Reason::Retiring { by } => write!(f, "being taken back from {}", By(by)),
            Reason::Gone { by } => write!(f, "a device of {} is gone", By(by)),
            Reason::SameClaim => f.write_str("this claim has a share of it already"),
            Reason::OtherInterval { has: Some(has), by } => {
                write!(f, "the interval is {has} for {}", By(by))
            }
            Reason::OtherInterval { has: None, by } => {
                write!(f, "{} runs without an interval, and it isn't changed under it", By(by))
            }
            Reason::OnlyShares => f.write_str("policy lets nothing but named shares onto it"),
            Reason::MostClaims { most, by } => {
                let plural = if *most == 1 { "" } else { "s" };
                write!(f, "policy lets at most {most} claim{plural} onto it, and has {}", By(by))
            }
            Reason::NoReplica { replicas, by } if by.is_empty() => {
                write!(f, "it has no more than {replicas} replicas")
            }
            Reason::NoReplica { replicas: 1, by } => {
                write!(f, "its only replica is taken by {}", By(by))
            }
            Reason::NoReplica { replicas, by } => {
                write!(f, "all {replicas} replicas are taken by {}", By(by))
            }
            Reason::Threads { left_percent: left, by } => {
                write!(f, "{left} % of the threads are left beside {}", By(by))
            }
            Reason::Memory { left_mib, by } if by.is_empty() => {
                write!(f, "it has {} of memory", mib(*left_mib))
            }
            Reason::Memory { left_mib, by } => {
                write!(f, "{} of memory are left beside {}", mib(*left_mib), By(by))
            }
            Reason::Clients { most, by } => {
                write!(f, "MPS serves at most {most} clients on it, and has {}", By(by))
            }
            Reason::OtherUid { uid, by } => {
                write!(f, "its MPS control daemon serves uid {uid}, for {}", By(by))
            }
            Reason::OneClaimPerDaemon { by } => write!(
                f,
                "with a driver older than 550 an MPS control daemon serves one claim: {}",
                By(by)
            ),
            Reason::DaemonOfSeveral { by } => {
                write!(f, "its MPS control daemon serves another number of devices, for {}", By(by))
            }
            _ => self.fmt_other(f),
        }
    }
}

impl Reason {
    /// The reasons that lie in the GPU and not in claims that share.
    fn fmt_other(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Enforcement { demanded, possible } => write!(
                f,
                "policy demands {demanded}, and it would be {} and {}",
                possible.memory, possible.compute
            ),
            Reason::ComputeModeSet { mode } => {
                write!(f, "its compute mode is {mode}, set by someone else")
            }
            Reason::Processes { pids } => {
                write!(f, "processes that nobody claims run on it: {}", list(pids))
            }
            Reason::MigOn { by } if by.is_empty() => f.write_str("its MIG mode is on"),
            Reason::MigOn { by } => write!(f, "its MIG mode is on, for {}", By(by)),
            Reason::NoMig => f.write_str("it can't do MIG"),
            Reason::MigOff => f.write_str("its MIG mode is off and divvy may not turn it on"),
            Reason::MigNeedsReset => {
                f.write_str("its MIG mode is off, and turning it on takes a GPU reset")
            }
            Reason::MigPending => f.write_str("its MIG mode changes with the next GPU reset"),
            Reason::NoProfile { has } => {
                write!(f, "it has no such profile, but {}", list(has))
            }
            Reason::NoComputeProfile { has } => write!(
                f,
                "that profile can't be cut so, but into {}",
                has.iter().map(|slices| format!("{slices}c")).collect::<Vec<_>>().join(", ")
            ),
            Reason::NoPlacement { free_slices: free, memory_slices: slices, by, unclaimed } => {
                write!(f, "no placement is free ({free} of {slices} slices are)")?;
                let nobodys = match unclaimed {
                    1 => "a MIG device that nobody claims".to_owned(),
                    n => format!("{n} MIG devices that nobody claims"),
                };
                match (unclaimed, by.is_empty()) {
                    (0, _) => write!(f, ": {}", By(by)),
                    (_, true) => write!(f, ": {nobodys}"),
                    (_, false) => write!(f, ": {} and {nobodys}", By(by)),
                }
            }
            Reason::MadeForClaim { by } => write!(f, "divvy made it for {}", By(by)),
            _ => Ok(()),
        }
    }
}

fn mib(mib: u64) -> String {
    Memory::from_mib(mib).map_or_else(|| "0Mi".to_owned(), |memory| memory.to_string())
}
