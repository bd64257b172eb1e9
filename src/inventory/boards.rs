//! The profiles of each kind of board, asked once for all GPUs of the kind.

use super::driver::placement;
use super::names::{Described, profile_name};
use super::{ComputeProfile, Engines, Placement, Profile};
use crate::nvml::{Device, GpuInstanceProfile, NvmlError};

/// Profile numbers that are asked for. nvml.h of CUDA 13 knows 18; a newer driver may know more.
const NUMBERS: u32 = 24;

/// What makes two GPUs offer the same profiles under one driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Board {
    pub(super) name: String,
    pub(super) device_id: u32,
    pub(super) bytes: u64,
}

/// What a kind of board offers.
#[derive(Clone, Debug, Default)]
pub(super) struct Offer {
    /// Memory slices.
    pub(super) slices: u32,
    /// Profiles that can be named, by id.
    pub(super) profiles: Vec<Profile>,
    /// All profiles, those that can't be named, too: id, and how many fit.
    pub(super) ids: Vec<(u32, u32)>,
}

/// The boards that were met so far in one reading.
#[derive(Debug, Default)]
pub(super) struct Boards {
    met: Vec<(Board, Offer)>,
}

impl Boards {
    /// What the board offers, with placements.
    pub(super) fn full(&mut self, device: &Device<'_>, board: Board) -> Result<&Offer, NvmlError> {
        self.met(board, |bytes| {
            let mut offer = offer(device, bytes)?;
            for profile in &mut offer.profiles {
                profile.placements = placements(device, profile.id)?;
            }
            // A profile that stands nowhere can't be made: nothing would ever come of offering it.
            offer.profiles.retain(|profile| !profile.placements.is_empty());
            let ends = offer.profiles.iter().flat_map(|profile| &profile.placements);
            offer.slices = ends.map(|place| place.start + place.size).max().unwrap_or(0);
            Ok(offer)
        })
    }

    /// What the board offers, without placements.
    pub(super) fn named(&mut self, device: &Device<'_>, board: Board) -> Result<&Offer, NvmlError> {
        self.met(board, |bytes| offer(device, bytes))
    }

    fn met(
        &mut self,
        board: Board,
        ask: impl FnOnce(u64) -> Result<Offer, NvmlError>,
    ) -> Result<&Offer, NvmlError> {
        let index = match self.met.iter().position(|(known, _)| *known == board) {
            Some(index) => index,
            None => {
                let offer = ask(board.bytes)?;
                self.met.push((board, offer));
                self.met.len() - 1
            }
        };
        Ok(&self.met[index].1)
    }
}

fn offer(device: &Device<'_>, bytes: u64) -> Result<Offer, NvmlError> {
    let mut offer = Offer::default();
    for (number, info) in device.gpu_instance_profiles(NUMBERS)? {
        offer.ids.push((info.id, info.instances));
        let described = Described {
            number,
            name: info.name.as_deref(),
            slices: info.slices,
            memory_mib: info.memory_mib,
            gpu_bytes: bytes,
        };
        if let Some(name) = profile_name(described) {
            offer.profiles.push(Profile {
                id: info.id,
                name,
                memory_mib: info.memory_mib,
                multiprocessors: info.multiprocessors,
                engines: engines(&info),
                max_instances: info.instances,
                placements: Vec::new(),
                compute_profiles: compute_profiles(info.slices, info.multiprocessors),
            });
        }
    }
    offer.profiles.sort_by_key(|profile| profile.id);
    Ok(offer)
}

fn engines(info: &GpuInstanceProfile) -> Engines {
    Engines {
        copy: info.copy,
        decoder: info.decoder,
        encoder: info.encoder,
        jpeg: info.jpeg,
        ofa: info.ofa,
    }
}

/// Where a profile can stand, by start. A profile that the driver lists and then knows no place for is
/// one that can't be made.
fn placements(device: &Device<'_>, profile_id: u32) -> Result<Vec<Placement>, NvmlError> {
    let mut places = match device.possible_placements(profile_id) {
        Err(error) if error.is_absence() => Vec::new(),
        answer => answer?.into_iter().filter_map(placement).collect(),
    };
    places.sort_unstable();
    Ok(places)
}

/// What a GPU instance can be cut into. The driver tells only of instances that exist; what all boards
/// have in common is told here for those that don't exist yet: the ids, and which sizes there are
/// (`nvidia-smi mig -lcip`). Creation asks the instance itself.
fn compute_profiles(slices: u32, multiprocessors: u32) -> Vec<ComputeProfile> {
    // Compute slices and profile id: NVML_COMPUTE_INSTANCE_PROFILE_N_SLICE.
    const PROFILES: [(u32, u32); 7] = [(1, 0), (2, 1), (3, 2), (4, 3), (6, 6), (7, 4), (8, 5)];
    let exists = |size: u32| match size {
        1 | 2 => size <= slices,
        3 => slices == 3 || slices == 7,
        4 => slices == 4 || slices == 7,
        _ => size == slices,
    };
    let profile = |(size, id): (u32, u32)| ComputeProfile {
        id,
        slices: size,
        multiprocessors: multiprocessors * size / slices.max(1),
        max_instances: slices / size,
    };
    let mut profiles: Vec<_> =
        PROFILES.into_iter().filter(|(size, _)| exists(*size)).map(profile).collect();
    profiles.sort_by_key(|profile| profile.id);
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(slices: u32) -> Vec<(u32, u32)> {
        compute_profiles(slices, 14 * slices).iter().map(|p| (p.slices, p.max_instances)).collect()
    }

    #[test]
    fn compute_profiles_are_those_that_nvidia_smi_lists() {
        assert_eq!(sizes(1), [(1, 1)]);
        assert_eq!(sizes(2), [(1, 2), (2, 1)]);
        assert_eq!(sizes(3), [(1, 3), (2, 1), (3, 1)]);
        assert_eq!(sizes(4), [(1, 4), (2, 2), (4, 1)]);
        assert_eq!(sizes(7), [(1, 7), (2, 3), (3, 2), (4, 1), (7, 1)]);
        assert_eq!(compute_profiles(7, 98)[2].multiprocessors, 42);
        assert!(compute_profiles(0, 0).is_empty());
    }
}
