//! Shared objects without code, as the stand-ins of a driver's libraries: `dlopen` loads them
//! and `ldconfig` reads their SONAME. Written by hand, since no compiler may be there.
//!
//! Format: the System V ABI, ELF-64, little-endian.

/// What `e_machine` says of the machine that this was built for.
const MACHINE: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
/// Segments are this far apart, so that they never share a page: the largest page of aarch64.
const PAGE: u64 = 0x1_0000;
const HEADER: u64 = 64;
const SEGMENT: u64 = 56;
const SEGMENTS: u64 = 4;
const SECTION_NAMES: &str = "\0.hash\0.dynsym\0.dynstr\0.dynamic\0.shstrtab\0";

/// Where the parts lie in the file. The dynamic section alone is mapped writable: loaders write
/// addresses into it.
struct Layout {
    hash: u64,
    symbols: u64,
    strings: u64,
    strings_len: u64,
    dynamic: u64,
    names: u64,
    sections: u64,
}

const DYNAMIC_LEN: u64 = 7 * 16;

impl Layout {
    fn of(soname: &str) -> Layout {
        let hash = HEADER + SEGMENTS * SEGMENT;
        let symbols = hash + 16;
        let strings = symbols + 24;
        let strings_len = soname.len() as u64 + 2;
        let dynamic = (strings + strings_len).next_multiple_of(16);
        let names = dynamic + DYNAMIC_LEN;
        let sections = (names + SECTION_NAMES.len() as u64).next_multiple_of(8);
        Layout { hash, symbols, strings, strings_len, dynamic, names, sections }
    }
}

/// A shared object with that SONAME.
pub fn library(soname: &str) -> Vec<u8> {
    let at = Layout::of(soname);
    let mut file = Writer::default();
    header(&mut file, &at);
    segments(&mut file, &at);
    // One bucket, one symbol: the null symbol.
    [1u32, 1, 0, 0].into_iter().for_each(|word| file.half(word));
    file.zeros(24);
    file.bytes(b"\0");
    file.bytes(soname.as_bytes());
    file.bytes(b"\0");
    file.pad_to(at.dynamic);
    dynamic(&mut file, &at);
    file.bytes(SECTION_NAMES.as_bytes());
    file.pad_to(at.sections);
    sections(&mut file, &at);
    file.0
}

fn header(file: &mut Writer, at: &Layout) {
    file.bytes(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.quarter(3); // ET_DYN
    file.quarter(MACHINE);
    file.half(1);
    file.word(0); // no entry point
    file.word(HEADER);
    file.word(at.sections);
    file.half(0);
    for size in [64u16, 56, 4, 64, 6, 5] {
        file.quarter(size);
    }
}

fn segments(file: &mut Writer, at: &Layout) {
    let (load, dynamic, stack) = (1, 2, 0x6474_e551);
    let (read, write) = (4, 2);
    segment(file, (load, read), (0, 0), at.dynamic, PAGE);
    segment(file, (load, read | write), (at.dynamic, PAGE), DYNAMIC_LEN, PAGE);
    segment(file, (dynamic, read | write), (at.dynamic, PAGE), DYNAMIC_LEN, 8);
    segment(file, (stack, read | write), (0, 0), 0, 16);
}

/// `place` is the offset in the file and what is added to it to make the address.
fn segment(file: &mut Writer, (kind, flags): (u32, u32), place: (u64, u64), len: u64, align: u64) {
    file.half(kind);
    file.half(flags);
    let address = place.0 + place.1;
    for word in [place.0, address, address, len, len, align] {
        file.word(word);
    }
}

fn dynamic(file: &mut Writer, at: &Layout) {
    let (soname, hash, strings, symbols, strings_len, symbol_len) = (14, 4, 5, 6, 10, 11);
    let entries = [
        (soname, 1),
        (hash, at.hash),
        (strings, at.strings),
        (symbols, at.symbols),
        (strings_len, at.strings_len),
        (symbol_len, 24),
        (0, 0),
    ];
    for (tag, value) in entries {
        file.word(tag);
        file.word(value);
    }
}

fn sections(file: &mut Writer, at: &Layout) {
    let (alloc, write) = (2, 1);
    let names = SECTION_NAMES.len() as u64;
    file.zeros(64);
    // name, type, flags, (offset, address), size, link, info, alignment, entry size
    section(file, [1, 5, alloc, at.hash, at.hash, 16, 2, 0, 8, 4]);
    section(file, [7, 11, alloc, at.symbols, at.symbols, 24, 3, 1, 8, 24]);
    section(file, [15, 3, alloc, at.strings, at.strings, at.strings_len, 0, 0, 1, 0]);
    let dynamic = at.dynamic + PAGE;
    section(file, [23, 6, alloc | write, at.dynamic, dynamic, DYNAMIC_LEN, 3, 0, 8, 16]);
    section(file, [32, 3, 0, at.names, 0, names, 0, 0, 1, 0]);
}

fn section(file: &mut Writer, fields: [u64; 10]) {
    let [name, kind, flags, offset, address, size, link, info, align, entry] = fields;
    let short = |field: u64| u32::try_from(field).unwrap_or(u32::MAX);
    file.half(short(name));
    file.half(short(kind));
    [flags, address, offset, size].into_iter().for_each(|word| file.word(word));
    file.half(short(link));
    file.half(short(info));
    file.word(align);
    file.word(entry);
}

/// Little-endian numbers in a row.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn quarter(&mut self, number: u16) {
        self.bytes(&number.to_le_bytes());
    }

    fn half(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    fn word(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn zeros(&mut self, count: usize) {
        self.0.resize(self.0.len() + count, 0);
    }

    fn pad_to(&mut self, offset: u64) {
        self.0.resize(usize::try_from(offset).unwrap_or(self.0.len()), 0);
    }
}
