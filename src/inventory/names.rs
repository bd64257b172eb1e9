//! Names of GPU-instance profiles, from what the driver says of them.

use super::ProfileName;

/// What the driver says of a profile, as far as its name goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Described<'a> {
    /// The profile's number in nvml.h, `NVML_GPU_INSTANCE_PROFILE_…`.
    pub(super) number: u32,
    /// The driver's name of it, where it gives one.
    pub(super) name: Option<&'a str>,
    /// Compute slices.
    pub(super) slices: u32,
    /// Memory of an instance, in MiB.
    pub(super) memory_mib: u64,
    /// Memory of the GPU, in bytes.
    pub(super) gpu_bytes: u64,
}

/// The driver's own name, or the one that the driver would give. `None` for a profile that is newer than
/// this program and has no name that it can read.
pub(super) fn profile_name(profile: Described<'_>) -> Option<ProfileName> {
    let given = profile.name.map(|name| name.strip_prefix("MIG ").unwrap_or(name));
    if let Some(name) = given.and_then(ProfileName::parse) {
        return Some(name);
    }
    Some(ProfileName {
        slices: profile.slices,
        gigabytes: nominal_gigabytes(profile.memory_mib, profile.gpu_bytes)?,
        attribute: attribute(profile.number)?.to_owned(),
    })
}

/// The number before `gb`: the instance's part of the GPU, rounded up to eighths, of the GPU's whole
/// gigabytes. So `nvidia-smi` and go-nvlib count, too. 0 on a GPU without memory of its own.
fn nominal_gigabytes(memory_mib: u64, gpu_bytes: u64) -> Option<u32> {
    const MIB: u128 = 1 << 20;
    const GIB: u64 = 1 << 30;
    if gpu_bytes == 0 {
        return Some(0);
    }
    let eighths = (u128::from(memory_mib) * MIB * 8).div_ceil(u128::from(gpu_bytes));
    let whole = u128::from(gpu_bytes.div_ceil(GIB));
    u32::try_from((eighths * whole + 4) / 8).ok()
}

/// What stands behind the name, by the profile's number in nvml.h.
fn attribute(number: u32) -> Option<&'static str> {
    match number {
        // N_SLICE, and 1_SLICE_REV2, which is 1g with twice the memory.
        0..=6 | 9 => Some(""),
        // 1_SLICE_REV1, 2_SLICE_REV1: media extensions.
        7 | 8 => Some("+me"),
        // 1_, 2_, 4_ and 3_SLICE_GFX; the last is newer than the bindings.
        10..=12 | 17 => Some("+gfx"),
        // N_SLICE_NO_ME.
        13 | 14 => Some("-me"),
        // N_SLICE_ALL_ME.
        15 | 16 => Some("+me.all"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn derived(number: u32, slices: u32, memory_mib: u64, gpu_mib: u64) -> Option<String> {
        let profile =
            Described { number, name: None, slices, memory_mib, gpu_bytes: gpu_mib << 20 };
        profile_name(profile).map(|name| name.to_string())
    }

    #[test]
    fn names_are_those_that_nvidia_smi_shows() {
        // Memory as boards report it: MiB of the instance and of the GPU.
        let cases = [
            (0, 1, 4864, 40960, "1g.5gb"),
            (7, 1, 4864, 40960, "1g.5gb+me"),
            (9, 1, 9984, 40960, "1g.10gb"),
            (2, 3, 20096, 40960, "3g.20gb"),
            (4, 7, 40320, 40960, "7g.40gb"),
            (0, 1, 9984, 81559, "1g.10gb"),
            (4, 7, 81152, 81559, "7g.80gb"),
            (0, 1, 5952, 24576, "1g.6gb"),
            (3, 4, 24000, 24576, "4g.24gb"),
            (2, 3, 47488, 95830, "3g.47gb"),
            (0, 1, 16384, 143771, "1g.18gb"),
            (10, 1, 24192, 97887, "1g.24gb+gfx"),
            (13, 1, 24192, 97887, "1g.24gb-me"),
            (15, 1, 24192, 97887, "1g.24gb+me.all"),
            (16, 2, 48512, 97887, "2g.48gb+me.all"),
            (17, 3, 0, 0, "3g.0gb+gfx"),
        ];
        for (number, slices, memory, gpu, expected) in cases {
            assert_eq!(derived(number, slices, memory, gpu).as_deref(), Some(expected));
        }
    }

    #[test]
    fn the_drivers_own_name_wins() {
        let profile = Described {
            number: 23,
            name: Some("MIG 1g.23gb"),
            slices: 1,
            memory_mib: 1,
            gpu_bytes: 186 * GIB,
        };
        assert_eq!(profile_name(profile).map(|name| name.to_string()).as_deref(), Some("1g.23gb"));
    }

    #[test]
    fn a_profile_of_the_future_has_no_name() {
        let profile = Described {
            number: 23,
            name: Some("1g.23gb+new"),
            slices: 1,
            memory_mib: 100,
            gpu_bytes: GIB,
        };
        assert_eq!(profile_name(profile), None);
        assert_eq!(derived(0, 1, u64::MAX, 1), None);
    }
}
