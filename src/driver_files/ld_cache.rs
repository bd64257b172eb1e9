//! `/etc/ld.so.cache`, as glibc's `cache.c` and `dl-cache.h` lay it out.

/// Both ABIs begin so; older files have a table of the libc5 format in front of it.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// More entries than any real cache has; a corrupt count stops here.
const MAX_ENTRIES: usize = 100_000;

/// `FLAG_ELF_LIBC6` with the 64-bit ABI of the machine that this runs on.
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0x0303;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0x0a03;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NATIVE: u32 = 0x0003;

/// The (name, path) pairs of the native 64-bit libraries. A file that isn't a cache gives none, a
/// damaged one gives what can still be read.
pub(super) fn libraries(bytes: &[u8]) -> Vec<(&str, &str)> {
    // Offsets of strings count from the magic.
    let Some(start) = bytes.windows(MAGIC.len()).position(|window| window == MAGIC) else {
        return Vec::new();
    };
    let bytes = bytes.get(start..).unwrap_or_default();
    let count = number(bytes, MAGIC.len()).unwrap_or(0) as usize;
    (0..count.min(MAX_ENTRIES))
        .map_while(|index| entry(bytes, HEADER + index * ENTRY))
        .flatten()
        .collect()
}

/// The outer `None` is the end of the file, the inner one an entry to pass over.
fn entry(bytes: &[u8], at: usize) -> Option<Option<(&str, &str)>> {
    let flags = number(bytes, at)?;
    let name = number(bytes, at + 4)?;
    let path = number(bytes, at + 8)?;
    if flags != NATIVE {
        return Some(None);
    }
    Some(string(bytes, name as usize).zip(string(bytes, path as usize)))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(field.try_into().ok()?))
}

fn string(bytes: &[u8], at: usize) -> Option<&str> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A cache with these native libraries.
    pub(in crate::driver_files) fn cache(libraries: &[(&str, &str)]) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut entries = Vec::new();
        let base = HEADER + libraries.len() * ENTRY;
        for (name, path) in libraries {
            let mut place = |text: &str| {
                let at = u32::try_from(base + strings.len()).unwrap();
                strings.extend_from_slice(text.as_bytes());
                strings.push(0);
                at
            };
            for field in [NATIVE, place(name), place(path), 0, 0, 0] {
                entries.extend_from_slice(&field.to_ne_bytes());
            }
        }
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&u32::try_from(libraries.len()).unwrap().to_ne_bytes());
        file.extend_from_slice(&u32::try_from(strings.len()).unwrap().to_ne_bytes());
        file.resize(HEADER, 0);
        file.extend(entries);
        file.extend(strings);
        file
    }

    #[test]
    fn names_and_paths_are_read() {
        let pairs = [("libcuda.so.1", "/lib/x/libcuda.so.1"), ("libc.so.6", "/lib/libc.so.6")];
        assert_eq!(libraries(&cache(&pairs)), pairs);
    }

    #[test]
    fn an_older_table_in_front_is_passed_over() {
        let mut file = b"ld.so-1.7.0\0\0\0\0\0".to_vec();
        file.extend(cache(&[("libcuda.so.1", "/lib/libcuda.so.1")]));
        assert_eq!(libraries(&file), [("libcuda.so.1", "/lib/libcuda.so.1")]);
    }

    #[test]
    fn libraries_of_other_abis_are_left_out() {
        let mut file = cache(&[("libcuda.so.1", "/lib32/libcuda.so.1")]);
        file[HEADER..HEADER + 4].copy_from_slice(&0x0003_u32.to_ne_bytes());
        assert_eq!(libraries(&file), []);
    }

    #[test]
    fn a_count_beyond_the_file_gives_what_is_there() {
        let mut file = cache(&[("libcuda.so.1", "/lib/libcuda.so.1")]);
        file[MAGIC.len()..MAGIC.len() + 4].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(libraries(&file).first(), Some(&("libcuda.so.1", "/lib/libcuda.so.1")));
    }

    proptest! {
        #[test]
        fn no_file_brings_it_down(noise: Vec<u8>, cut in 0_usize..200) {
            let mut file = cache(&[("libcuda.so.1", "/lib/libcuda.so.1"), ("b", "/b")]);
            file.truncate(cut);
            file.extend(&noise);
            libraries(&file);
            libraries(&noise);
        }
    }
}
