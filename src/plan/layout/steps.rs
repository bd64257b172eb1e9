//! The steps of a way.

use super::goal::Piece;
use super::search::Way;
use super::standing::Standing;
use crate::inventory::{Placement, ProfileName};
use serde::Serialize;
use std::fmt;

/// One step on a GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Step {
    /// Turns MIG mode on or off, or asks for that.
    SetMigMode {
        /// What it is to be.
        on: bool,
    },
    /// Destroys a compute instance.
    DestroyComputeInstance {
        /// Where it is.
        instance: Instance,
        /// The driver's id in there.
        id: u32,
        /// The driver's profile id.
        profile_id: u32,
        /// Its compute slices.
        compute_slices: u32,
        /// `MIG-…`.
        uuid: String,
    },
    /// Destroys a GPU instance that is empty by then.
    DestroyGpuInstance {
        /// Which.
        instance: Instance,
    },
    /// Makes a GPU instance.
    CreateGpuInstance {
        /// The driver's profile id.
        profile_id: u32,
        /// The same for people.
        profile: ProfileName,
        /// Where.
        placement: Placement,
    },
    /// Makes a compute instance in the GPU instance that stands at a place.
    CreateComputeInstance {
        /// The GPU instance's place.
        placement: Placement,
        /// The GPU instance's profile.
        profile: ProfileName,
        /// The driver's profile id.
        profile_id: u32,
        /// Its compute slices.
        compute_slices: u32,
    },
}

/// A GPU instance that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Instance {
    /// The driver's id.
    pub id: u32,
    /// The driver's profile id.
    pub profile_id: u32,
    /// The same for people.
    pub profile: ProfileName,
    /// Where it stands.
    pub placement: Placement,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::SetMigMode { on } => {
                write!(f, "turn {} MIG mode", if *on { "on" } else { "off" })
            }
            Step::DestroyComputeInstance { instance, id, compute_slices, .. } => write!(
                f,
                "destroy the compute instance {id} ({compute_slices}c) of {} at {}",
                instance.profile, instance.placement.start
            ),
            Step::DestroyGpuInstance { instance } => {
                write!(f, "destroy {} at {}", instance.profile, instance.placement.start)
            }
            Step::CreateGpuInstance { profile, placement, .. } => {
                write!(f, "create {profile} at {}", placement.start)
            }
            Step::CreateComputeInstance { placement, profile, compute_slices, .. } => write!(
                f,
                "create a compute instance ({compute_slices}c) in {profile} at {}",
                placement.start
            ),
        }
    }
}

/// What takes an instance away. `keep` are compute instances that stay, by their position, and with them
/// the GPU instance.
pub(super) fn destroy(standing: &Standing<'_>, keep: &[usize]) -> Vec<Step> {
    let Some(instance) = standing.named() else { return Vec::new() };
    // The last made first, so that an undo makes them in their old order, and with their old places.
    let parts = standing.compute.iter().enumerate().rev().filter(|(n, _)| !keep.contains(n));
    let mut steps: Vec<Step> = parts
        .filter_map(|(_, part)| {
            let compute = part.instance?;
            Some(Step::DestroyComputeInstance {
                instance: instance.clone(),
                id: compute.id,
                profile_id: compute.profile_id,
                compute_slices: part.slices,
                uuid: compute.uuid.clone(),
            })
        })
        .collect();
    if keep.is_empty() {
        steps.push(Step::DestroyGpuInstance { instance });
    }
    steps
}

/// The steps of a way: everything that goes, then everything that comes.
pub(super) fn steps(standing: &[Standing<'_>], pieces: &[Piece<'_>], way: &Way) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut create = Vec::new();
    for (instance, keep) in standing.iter().zip(&way.keep) {
        match keep.and_then(|piece| pieces.get(piece)) {
            None => steps.extend(destroy(instance, &[])),
            Some(piece) => {
                let (stay, come) = super::search::parts(instance, piece);
                let mut gone = destroy(instance, &stay);
                gone.retain(|step| matches!(step, Step::DestroyComputeInstance { .. }));
                steps.extend(gone);
                let come = come
                    .iter()
                    .filter_map(|slices| create_compute(piece, instance.placement, *slices));
                create.extend(come);
            }
        }
    }
    for (piece, placement) in &way.make {
        let Some(piece) = pieces.get(*piece) else { continue };
        create.push(Step::CreateGpuInstance {
            profile_id: piece.profile.id,
            profile: piece.profile.name.clone(),
            placement: *placement,
        });
        let parts = piece.compute.iter();
        create.extend(parts.filter_map(|slices| create_compute(piece, *placement, *slices)));
    }
    steps.extend(create);
    steps
}

fn create_compute(piece: &Piece<'_>, placement: Placement, slices: u32) -> Option<Step> {
    let profile = piece.profile.compute_profiles.iter().find(|known| known.slices == slices)?;
    Some(Step::CreateComputeInstance {
        placement,
        profile: piece.profile.name.clone(),
        profile_id: profile.id,
        compute_slices: slices,
    })
}
