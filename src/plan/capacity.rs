//! What still fits on a GPU that is cut already.

use super::placement::{self, Slices, slices};
use crate::inventory::{Engines, Mig, Placement, Profile};

/// An instance that stands, or is about to: where, and its profile's id.
pub type Taken = (Placement, u32);

/// Whether the GPU has what one more instance of the profile needs besides a place: the driver's limit isn't reached,
/// and its media engines suffice.
pub(super) fn one_more(mig: &Mig, taken: &[Taken], profile: &Profile) -> bool {
    let alike = taken.iter().filter(|(_, id)| *id == profile.id).count();
    alike < profile.max_instances as usize && engines_left(mig, taken, profile)
}

/// How many instances of the profile fit beside what is taken, with no other profile's beside them.
pub fn room(mig: &Mig, taken: &[Taken], profile: &Profile) -> u32 {
    let mut occupied: Slices =
        taken.iter().filter_map(|(place, _)| slices(*place)).fold(0, |all, place| all | place);
    let mut places: Vec<Slices> = profile.placements.iter().copied().filter_map(slices).collect();
    // Taken by their ends, the most intervals fit on a line.
    placement::by_end(&mut places);
    let mut taken = taken.to_vec();
    let mut count = 0;
    for place in places {
        if occupied & place == 0 && one_more(mig, &taken, profile) {
            occupied |= place;
            taken.push((
                Placement { start: place.trailing_zeros(), size: place.count_ones() },
                profile.id,
            ));
            count += 1;
        }
    }
    count
}

/// Whether the media engines suffice: 1g.6gb+me and 2g.12gb+me share an A30's only JPEG decoder.
fn engines_left(mig: &Mig, taken: &[Taken], profile: &Profile) -> bool {
    let engines = |id: u32| mig.profiles.iter().find(|p| p.id == id).map(|p| p.engines);
    let wanted = taken.iter().filter_map(|(_, id)| engines(*id)).chain([profile.engines]);
    let wanted: Vec<Engines> = wanted.collect();
    let suffices = |kind: fn(&Engines) -> u32| {
        let there = mig.profiles.iter().map(|p| kind(&p.engines)).max().unwrap_or(0);
        // Engines that a profile lacks are none of its concern.
        kind(&profile.engines) == 0 || wanted.iter().map(kind).sum::<u32>() <= there
    };
    suffices(|e| e.decoder)
        && suffices(|e| e.encoder)
        && suffices(|e| e.jpeg)
        && suffices(|e| e.ofa)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::boards;

    /// How many of each profile fit, as `name count`, beside instances of these profiles.
    fn rooms(mig: &Mig, taken: &[(&str, u32)]) -> String {
        let named = |name: &str| mig.profiles.iter().find(|p| p.name.to_string() == name).unwrap();
        let stand = |(name, start): &(&str, u32)| {
            let profile = named(name);
            let place = profile.placements.iter().find(|place| place.start == *start).unwrap();
            (*place, profile.id)
        };
        let taken: Vec<Taken> = taken.iter().map(stand).collect();
        let room = |profile: &Profile| format!("{} {}", profile.name, room(mig, &taken, profile));
        mig.profiles.iter().map(room).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn as_many_fit_as_the_driver_lists_and_no_more() {
        let [a100, a30, _] = boards::geometries();
        for mig in [&a100, &a30] {
            for profile in &mig.profiles {
                assert_eq!(room(mig, &[], profile), profile.max_instances, "{}", profile.name);
            }
        }
        // The one instance with media extensions stands already; 3g at 4 leaves slices 1 to 3.
        assert_eq!(
            rooms(&a100, &[("1g.5gb+me", 0), ("3g.20gb", 4)]),
            "1g.5gb 3, 1g.5gb+me 0, 1g.10gb 1, 2g.10gb 1, 3g.20gb 0, 4g.20gb 0, 7g.40gb 0"
        );
        // 1g.6gb+me and 2g.12gb+me want the same JPEG decoder.
        assert_eq!(
            rooms(&a30, &[("1g.6gb+me", 0)]),
            "1g.6gb 3, 1g.6gb+me 0, 2g.12gb 1, 2g.12gb+me 0, 4g.24gb 0"
        );
    }
}
