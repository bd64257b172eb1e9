//! Pointers of the C interface. Each type here has a pointer's layout and stands in a function's
//! signature; the unsafe blocks of this crate are in this file.

use crate::code::Code;
use std::ffi::CStr;
use std::os::raw::{c_char, c_uint};

/// Room for a value, or for the first of many.
#[repr(transparent)]
pub(super) struct Out<T>(*mut T);

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<T> {}

impl<T: Copy> Out<T> {
    /// Whether the caller gave no room.
    pub(super) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Writes a value.
    pub(super) fn set(self, value: T) -> Result<(), Code> {
        if self.0.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: an `Out` is only ever made by a C caller, whom NVML's contract obliges to pass
        // null or room for one `T`; structs of the bindings may be written unaligned-safe.
        unsafe { self.0.write_unaligned(value) };
        Ok(())
    }

    /// Reads what the caller put there.
    pub(super) fn get(self) -> Result<T, Code> {
        if self.0.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: as in `set`; NVML's contract has the caller fill this parameter.
        Ok(unsafe { self.0.read_unaligned() })
    }

    /// The same room for a value of another type: versioned structs start with their version.
    pub(super) fn cast<U>(self) -> Out<U> {
        Out(self.0.cast())
    }

    /// The room behind this one.
    pub(super) fn at(self, place: usize) -> Out<T> {
        Out(self.0.wrapping_add(place))
    }

    /// Writes many values, as NVML's lists do: `count` holds the room on entry, and on return the
    /// number written or, with INSUFFICIENT_SIZE, needed.
    pub(super) fn list(self, count: Out<c_uint>, values: &[T]) -> Result<(), Code> {
        let room = count.get()?;
        let needed = c_uint::try_from(values.len()).unwrap_or(c_uint::MAX);
        count.set(needed)?;
        if needed > room {
            return Err(Code::INSUFFICIENT_SIZE);
        }
        self.all(values)
    }

    /// Writes many values where the caller has room for all there can be.
    pub(super) fn all(self, values: &[T]) -> Result<(), Code> {
        values.iter().enumerate().try_for_each(|(place, value)| self.at(place).set(*value))
    }
}

impl Out<c_char> {
    /// Writes a text and its final zero.
    pub(super) fn text(self, length: c_uint, text: &str) -> Result<(), Code> {
        let room = usize::try_from(length).unwrap_or(usize::MAX);
        if text.len() >= room {
            return Err(Code::INSUFFICIENT_SIZE);
        }
        let bytes: Vec<c_char> =
            text.bytes().chain([0]).map(u8::cast_signed).map(to_char).collect();
        self.all(&bytes)
    }
}

/// `c_char` is signed on x86-64 and unsigned on aarch64.
#[cfg(not(target_arch = "aarch64"))]
fn to_char(byte: i8) -> c_char {
    byte
}

#[cfg(target_arch = "aarch64")]
fn to_char(byte: i8) -> c_char {
    byte.cast_unsigned()
}

/// A text as a field of fixed size, cut where it is too long.
pub(super) fn field<const N: usize>(text: &str) -> [c_char; N] {
    let mut field = [0; N];
    for (to, from) in field.iter_mut().take(N - 1).zip(text.bytes()) {
        *to = to_char(from.cast_signed());
    }
    field
}

/// A text that the caller gives.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct Text(*const c_char);

impl Text {
    /// The text.
    pub(super) fn get(self) -> Result<String, Code> {
        if self.0.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: NVML's contract obliges the caller to pass null or a text with a final zero.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str().map(str::to_owned).map_err(|_| Code::INVALID_ARGUMENT)
    }
}

/// The file that this code was loaded from.
pub(super) fn own_file() -> Option<std::path::PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    let here: fn() -> Option<std::path::PathBuf> = own_file;
    // SAFETY: `here` is an address inside this object and `info` is room for the answer.
    let found = unsafe { libc::dladdr(here as *const libc::c_void, &raw mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: dladdr succeeded, so the name is a text that lives as long as this object does.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    std::fs::canonicalize(std::ffi::OsStr::from_bytes(name.to_bytes())).ok()
}
