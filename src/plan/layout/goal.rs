//! The GPU instances that a GPU should be cut into, by its own profiles.

use super::LayoutError;
use crate::compat::mig_parted::{Entry, MigProfile, Want, Wish};
use crate::inventory::{Gpu, Mig, Profile};

/// A GPU instance that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece<'a> {
    pub(super) profile: &'a Profile,
    /// The compute slices of its compute instances, the largest first.
    pub(super) compute: Vec<u32>,
}

/// What is wanted of a GPU, GPU instance by GPU instance: those with the most memory slices first.
///
/// Parts (`1c.3g.20gb`) fill as few GPU instances of their profile as they can, the largest first.
pub(super) fn pieces<'a>(
    gpu: &Gpu,
    mig: &'a Mig,
    entry: &Entry,
) -> Result<Vec<Piece<'a>>, LayoutError> {
    let Want::On(wishes) = &entry.want else { return Ok(Vec::new()) };
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    let mut parted: Vec<(&Profile, u32)> = Vec::new();
    for wish in wishes.iter().filter(|wish| wish.count > 0) {
        let profile = profile(gpu, mig, wish)?;
        let count = wish.count as usize;
        match wish.profile.compute {
            None => {
                let compute = vec![profile.name.slices];
                pieces.extend(std::iter::repeat_n(Piece { profile, compute }, count));
            }
            Some(slices) => parted.extend(std::iter::repeat_n((profile, slices), count)),
        }
    }
    parted.sort_by_key(|(profile, slices)| (profile.id, std::cmp::Reverse(*slices)));
    let whole = pieces.len();
    for (profile, slices) in parted {
        match pieces[whole..].iter_mut().find(|piece| piece.has_room(profile, slices)) {
            Some(piece) => piece.compute.push(slices),
            None => pieces.push(Piece { profile, compute: vec![slices] }),
        }
    }
    pieces.sort_by_key(|piece| {
        (std::cmp::Reverse(piece.size()), piece.profile.id, piece.compute.clone())
    });
    Ok(pieces)
}

/// The profile of a wish on this GPU, which may be another on the next.
fn profile<'a>(gpu: &Gpu, mig: &'a Mig, wish: &Wish) -> Result<&'a Profile, LayoutError> {
    let MigProfile { name, compute } = &wish.profile;
    let profile = mig.profiles.iter().find(|profile| profile.name == *name);
    let profile = profile.ok_or_else(|| LayoutError::NoProfile {
        gpu: gpu.index,
        name: gpu.name.clone(),
        profile: wish.profile.clone(),
        has: mig.profiles.iter().map(|profile| profile.name.clone()).collect(),
        at: wish.at,
    })?;
    let has: Vec<u32> = profile.compute_profiles.iter().map(|compute| compute.slices).collect();
    if !has.contains(&compute.unwrap_or(name.slices)) {
        return Err(LayoutError::NoComputeProfile {
            gpu: gpu.index,
            name: gpu.name.clone(),
            profile: wish.profile.clone(),
            has,
            at: wish.at,
        });
    }
    Ok(profile)
}

impl Piece<'_> {
    /// Memory slices.
    pub(super) fn size(&self) -> u32 {
        self.profile.placements.first().map_or(0, |place| place.size)
    }

    /// Whether one more part fits.
    fn has_room(&self, profile: &Profile, slices: u32) -> bool {
        let taken: u32 = self.compute.iter().sum();
        let alike = self.compute.iter().filter(|part| **part == slices).count();
        let most = profile.compute_profiles.iter().find(|compute| compute.slices == slices);
        self.profile.id == profile.id
            && taken + slices <= profile.name.slices
            && most.is_some_and(|compute| alike < compute.max_instances as usize)
    }
}
