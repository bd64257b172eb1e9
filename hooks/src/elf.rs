//! The little of ELF that is needed: a note by its section's name, in a 64-bit little-endian file
//! that somebody hostile may have made. Every offset is checked by reading; every size has a limit.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Section headers that are looked through; libcuda has about 40.
const SECTIONS: u64 = 4096;
/// Bytes of a section header in a 64-bit file.
const HEADER: u64 = 64;
const TYPE_NOTE: u32 = 7;
/// Bytes of a note.
const NOTE_LIMIT: u64 = 64 << 10;

/// The first bytes of every ELF file.
pub(crate) const MAGIC: &[u8] = b"\x7fELF";

/// The content of the note `owner` in the section `name`, without trailing zero bytes.
pub(crate) fn note(file: &File, name: &[u8], owner: &[u8]) -> Option<Vec<u8>> {
    let header = read(file, 0, 64)?;
    let is_elf64_le = header.starts_with(MAGIC) && header.get(4..6)? == [2, 1];
    let (table, size) = (u64_at(&header, 0x28)?, u16_at(&header, 0x3a)?);
    let (count, names) = (u16_at(&header, 0x3c)?, u16_at(&header, 0x3e)?);
    if !is_elf64_le || u64::from(size) != HEADER || u64::from(count) > SECTIONS {
        return None;
    }
    let at = |index: u16| read(file, table.checked_add(u64::from(index) * HEADER)?, HEADER);
    let names = u64_at(&at(names)?, 0x18)?;
    let section = (0..count).find_map(|index| {
        let section = at(index)?;
        let name_at = names.checked_add(u64::from(u32_at(&section, 0)?))?;
        let is_note = u32_at(&section, 4)? == TYPE_NOTE;
        let found = is_note
            && read(file, name_at, name.len() as u64 + 1)?.strip_suffix(b"\0") == Some(name);
        found.then_some(section)
    })?;
    let (start, size) = (u64_at(&section, 0x18)?, u64_at(&section, 0x20)?);
    content(&read(file, start, size.min(NOTE_LIMIT))?, u64_at(&section, 0x30)?, owner)
}

/// Takes a note apart: sizes of name and content, type, then both, each padded.
fn content(note: &[u8], align: u64, owner: &[u8]) -> Option<Vec<u8>> {
    let name_size = usize::try_from(u32_at(note, 0)?).ok()?;
    let size = usize::try_from(u32_at(note, 4)?).ok()?;
    let align = usize::try_from(align).ok()?.clamp(1, 16);
    let name = note.get(12..12_usize.checked_add(name_size)?)?;
    let start = 12_usize.checked_add(name_size.checked_next_multiple_of(align)?)?;
    let text = note.get(start..start.checked_add(size)?)?;
    (trimmed(name) == owner).then(|| trimmed(text).to_vec())
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}

fn read(file: &File, offset: u64, size: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
