//! The little of an ELF file that is wanted: its class, and the SONAME of a shared library.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_NULL: u64 = 0;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;
/// Dynamic sections of driver libraries are below 1 KiB.
const MAX_DYNAMIC: usize = 64 * 1024;
const MAX_NAME: usize = 256;

/// Whether the file says of itself that it is a 32-bit object.
pub(super) fn is_32_bit(path: &Path) -> bool {
    let mut ident = [0; 5];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut ident, 0));
    read.is_ok() && ident == *b"\x7fELF\x01"
}

/// The SONAME of a 64-bit little-endian library. `None` where it has none, or isn't such a file.
pub(super) fn soname(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    let header = read(&file, 0, HEADER)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let count = usize::from(u16_at(&header, 56)?);
    let programs = read(&file, u64_at(&header, 32)?, count * PROGRAM_HEADER)?;
    let segments: Vec<Segment> =
        programs.chunks_exact(PROGRAM_HEADER).filter_map(Segment::read).collect();
    let dynamic = segments.iter().find(|segment| segment.kind == PT_DYNAMIC)?;
    let size = usize::try_from(dynamic.size).ok()?.min(MAX_DYNAMIC);
    let section = read(&file, dynamic.offset, size)?;
    let tag = |wanted| {
        let entries = section.chunks_exact(16).map(|entry| (u64_at(entry, 0), u64_at(entry, 8)));
        let mut entries = entries.take_while(|(tag, _)| *tag != Some(DT_NULL));
        entries.find(|(tag, _)| *tag == Some(wanted))?.1
    };
    let names = segments.iter().find_map(|segment| segment.offset_of(tag(DT_STRTAB)?))?;
    let name = read_up_to(&file, names.checked_add(tag(DT_SONAME)?)?, MAX_NAME)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    String::from_utf8(name.get(..end)?.to_vec()).ok()
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

impl Segment {
    fn read(bytes: &[u8]) -> Option<Segment> {
        Some(Segment {
            kind: u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?),
            offset: u64_at(bytes, 8)?,
            address: u64_at(bytes, 16)?,
            size: u64_at(bytes, 32)?,
        })
    }

    /// Where in the file a loaded address is.
    fn offset_of(&self, address: u64) -> Option<u64> {
        let within = address.checked_sub(self.address)?;
        (self.kind == PT_LOAD && within < self.size)
            .then(|| self.offset.checked_add(within))
            .flatten()
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn read(file: &File, at: u64, size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

fn read_up_to(file: &File, at: u64, size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    let count = file.read_at(&mut bytes, at).ok()?;
    bytes.truncate(count);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_real_library_has_its_soname() {
        // The C library that this test runs on.
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let libc = maps.split_whitespace().find(|word| word.ends_with("/libc.so.6")).unwrap();
        assert_eq!(soname(Path::new(libc)).as_deref(), Some("libc.so.6"));
        assert!(!is_32_bit(Path::new(libc)));
    }

    #[test]
    fn what_is_no_library_has_none() {
        assert_eq!(soname(Path::new("/proc/self/exe")), None);
        assert_eq!(soname(Path::new("/etc/hostname")), None);
        assert_eq!(soname(Path::new("/nowhere")), None);
    }

    #[test]
    fn a_cut_library_has_none() {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let libc = maps.split_whitespace().find(|word| word.ends_with("/libc.so.6")).unwrap();
        let whole = fs::read(libc).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        for length in [0, 5, 63, 64, 100, 500, 5_000] {
            fs::write(file.path(), &whole[..length]).unwrap();
            soname(file.path());
        }
    }
}
