//! The shapes that NVML's functions come in, each called in one place.
//!
//! All of the room's `unsafe` is here. NVML has hundreds of functions and a dozen signatures; a function
//! is looked up by field, so that one which a library lacks is an answer
//! ([`Code::FunctionNotFound`]) and never a crash, as the generated methods would make it.
#![allow(unsafe_code, reason = "NVML is a C library that is loaded at run time")]

use super::error::{Code, NvmlError};
use nvml_wrapper_sys::bindings as c;
use std::ffi::{CStr, CString, OsStr, c_char, c_int};
use std::sync::atomic::{AtomicU64, Ordering};

/// Room for the longest text that NVML writes, with its end (`NVML_DEVICE_NAME_V2_BUFFER_SIZE`).
const TEXT: u32 = 96;

/// A function of the library, with its name for errors. Made by [`symbol`] alone, from the field of
/// the same name: that makes its type the true one.
pub(super) struct Symbol<F> {
    pub(super) name: &'static str,
    pub(super) function: Option<F>,
}

/// `symbol!(api, nvmlX)`: the function, if this library has it.
macro_rules! symbol {
    ($api:expr, $name:ident) => {
        $crate::nvml::call::Symbol {
            name: stringify!($name),
            function: $api.library.$name.as_ref().ok().copied(),
        }
    };
}
pub(super) use symbol;

/// A C value of NVML's for which all bits zero is a value.
///
/// # Safety
/// Every bit pattern that NVML writes, and all zeros, must be valid for the type.
pub(super) unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($kind:ty),* $(,)?) => {
        $(
            // SAFETY: integers, raw pointers, and C structs of these alone.
            unsafe impl Plain for $kind {}
        )*
    };
}
plain!(
    u32,
    i32,
    c::nvmlDevice_t,
    c::nvmlGpuInstance_t,
    c::nvmlComputeInstance_t,
    c::nvmlMemory_t,
    c::nvmlMemory_v2_t,
    c::nvmlPciInfo_t,
    c::nvmlFieldValue_t,
    c::nvmlProcessInfo_v1_t,
    c::nvmlProcessInfo_v2_t,
    c::nvmlProcessUtilizationSample_t,
    c::nvmlDeviceAttributes_t,
    c::nvmlGpuFabricInfo_t,
    c::nvmlGpuInstancePlacement_t,
    c::nvmlGpuInstanceProfileInfo_t,
    c::nvmlGpuInstanceProfileInfo_v2_t,
    c::nvmlGpuInstanceProfileInfo_v3_t,
    c::nvmlGpuInstanceInfo_t,
    c::nvmlComputeInstanceProfileInfo_t,
    c::nvmlComputeInstanceProfileInfo_v2_t,
    c::nvmlComputeInstanceProfileInfo_v3_t,
    c::nvmlComputeInstanceInfo_t,
);

/// All zeros.
pub(super) fn zero<T: Plain>() -> T {
    // SAFETY: `Plain` says that zeros are a value.
    unsafe { std::mem::zeroed() }
}

/// NVML's `NVML_STRUCT_VERSION`: the size in the low bytes, the version in the highest.
pub(super) const fn struct_version<T>(version: u32) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "NVML's structures are far below 16 MiB")]
    let size = size_of::<T>() as u32;
    size | version << 24
}

/// The loaded library.
pub(super) struct Api {
    pub(super) library: c::NvmlLib,
    calls: AtomicU64,
}

type Get<H, T> = unsafe extern "C" fn(H, *mut T) -> c::nvmlReturn_t;
type GetAt<H, A, T> = unsafe extern "C" fn(H, A, *mut T) -> c::nvmlReturn_t;
type GetAt2<H, A, B, T> = unsafe extern "C" fn(H, A, B, *mut T) -> c::nvmlReturn_t;
type GetPair<H, T> = unsafe extern "C" fn(H, *mut T, *mut T) -> c::nvmlReturn_t;
type ListAt<H, T> = unsafe extern "C" fn(H, u32, *mut T, *mut u32) -> c::nvmlReturn_t;
type Processes<T> = unsafe extern "C" fn(c::nvmlDevice_t, *mut u32, *mut T) -> c::nvmlReturn_t;
type Samples<T> = unsafe extern "C" fn(c::nvmlDevice_t, *mut T, *mut u32, u64) -> c::nvmlReturn_t;
type Text<H> = unsafe extern "C" fn(H, *mut c_char, u32) -> c::nvmlReturn_t;

impl Api {
    /// Loads a library by name or path. `Err` holds the dynamic linker's words.
    pub(super) fn load(library: &OsStr) -> Result<Api, String> {
        // SAFETY: loading runs the library's initialisers. Whoever names a library to a program of
        // root's is trusted to name the driver's; the name comes from root's command line or
        // configuration, never from a container.
        let library = unsafe { c::NvmlLib::new(library) }.map_err(|error| error.to_string())?;
        Ok(Api { library, calls: AtomicU64::new(0) })
    }

    /// How many NVML functions were called.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn call<F>(
        &self,
        on: &str,
        symbol: Symbol<F>,
        invoke: impl FnOnce(F) -> c::nvmlReturn_t,
    ) -> Result<(), NvmlError> {
        let code = match symbol.function {
            None => Code::FunctionNotFound,
            Some(function) => {
                self.calls.fetch_add(1, Ordering::Relaxed);
                match invoke(function) {
                    c::nvmlReturn_enum_NVML_SUCCESS => return Ok(()),
                    raw => Code::from_raw(raw),
                }
            }
        };
        Err(NvmlError::Call { call: symbol.name, subject: on.to_owned(), code })
    }

    /// `f()`: init and shutdown.
    pub(super) fn plain(
        &self,
        on: &str,
        symbol: Symbol<unsafe extern "C" fn() -> c::nvmlReturn_t>,
    ) -> Result<(), NvmlError> {
        // SAFETY: the function takes nothing, and NVML counts initialisations itself.
        self.call(on, symbol, |f| unsafe { f() })
    }

    /// `f(argument)`: init with flags, and destruction of an instance by its handle.
    pub(super) fn give<A>(
        &self,
        on: &str,
        symbol: Symbol<unsafe extern "C" fn(A) -> c::nvmlReturn_t>,
        argument: A,
    ) -> Result<(), NvmlError> {
        // SAFETY: the argument is a number, or a handle that NVML gave in this session.
        self.call(on, symbol, |f| unsafe { f(argument) })
    }

    /// `f(handle, value)`.
    pub(super) fn set<H, A>(
        &self,
        on: &str,
        symbol: Symbol<unsafe extern "C" fn(H, A) -> c::nvmlReturn_t>,
        handle: H,
        value: A,
    ) -> Result<(), NvmlError> {
        // SAFETY: the handle is one that NVML gave in this session, the value a number.
        self.call(on, symbol, |f| unsafe { f(handle, value) })
    }

    /// `f(&mut out)`.
    pub(super) fn system<T: Plain>(
        &self,
        on: &str,
        symbol: Symbol<unsafe extern "C" fn(*mut T) -> c::nvmlReturn_t>,
    ) -> Result<T, NvmlError> {
        let mut out = zero();
        // SAFETY: NVML writes one T, and `out` is one that lives through the call.
        self.call(on, symbol, |f| unsafe { f(&raw mut out) })?;
        Ok(out)
    }

    /// `f(handle, &mut out)`. `out` starts as given: some structures carry their version in.
    pub(super) fn get_from<H, T: Plain>(
        &self,
        on: &str,
        symbol: Symbol<Get<H, T>>,
        handle: H,
        mut out: T,
    ) -> Result<T, NvmlError> {
        // SAFETY: NVML writes one T, and `out` is one that lives through the call; the handle is an
        // index or one that NVML gave in this session.
        self.call(on, symbol, |f| unsafe { f(handle, &raw mut out) })?;
        Ok(out)
    }

    /// `f(handle, &mut out)`.
    pub(super) fn get<H, T: Plain>(
        &self,
        on: &str,
        symbol: Symbol<Get<H, T>>,
        handle: H,
    ) -> Result<T, NvmlError> {
        self.get_from(on, symbol, handle, zero())
    }

    /// `f(handle, &mut first, &mut second)`.
    pub(super) fn pair<H, T: Plain>(
        &self,
        on: &str,
        symbol: Symbol<GetPair<H, T>>,
        handle: H,
    ) -> Result<(T, T), NvmlError> {
        let (mut first, mut second) = (zero(), zero());
        // SAFETY: NVML writes one T through each pointer, and both live through the call.
        self.call(on, symbol, |f| unsafe { f(handle, &raw mut first, &raw mut second) })?;
        Ok((first, second))
    }

    /// `f(handle, argument, &mut out)`.
    pub(super) fn get_at<H, A, T: Plain>(
        &self,
        on: &str,
        symbol: Symbol<GetAt<H, A, T>>,
        at: (H, A),
    ) -> Result<T, NvmlError> {
        self.get_at_from(on, symbol, at, zero())
    }

    /// As [`Api::get_at`], where `out` carries something in: a version, or the field that is wanted.
    ///
    /// `V` is the structure that is read, `T` the one that the signature names: NVML declares such a
    /// function once and reads from the version word which structure it was given.
    pub(super) fn get_at_from<H, A, T, V: Plain>(
        &self,
        on: &str,
        symbol: Symbol<GetAt<H, A, T>>,
        at: (H, A),
        mut out: V,
    ) -> Result<V, NvmlError> {
        // SAFETY: `out` is a whole structure of the version that it names, or the structure of the
        // signature itself; NVML writes no more than that, and `out` lives through the call.
        self.call(on, symbol, |f| unsafe { f(at.0, at.1, (&raw mut out).cast()) })?;
        Ok(out)
    }

    /// `f(handle, argument, argument, &mut out)`, as [`Api::get_at_from`].
    pub(super) fn get_at2_from<H, A, B, T, V: Plain>(
        &self,
        on: &str,
        symbol: Symbol<GetAt2<H, A, B, T>>,
        at: (H, A, B),
        mut out: V,
    ) -> Result<V, NvmlError> {
        // SAFETY: as in `get_at_from`.
        self.call(on, symbol, |f| unsafe { f(at.0, at.1, at.2, (&raw mut out).cast()) })?;
        Ok(out)
    }

    /// `f(handle, argument, &value, &mut out)`: creation at a placement.
    pub(super) fn create_at<H, P, T: Plain>(
        &self,
        on: &str,
        symbol: Symbol<unsafe extern "C" fn(H, u32, *const P, *mut T) -> c::nvmlReturn_t>,
        at: (H, u32),
        value: &P,
    ) -> Result<T, NvmlError> {
        let mut out = zero();
        // SAFETY: NVML reads one P and writes one T; both live through the call.
        self.call(on, symbol, |f| unsafe { f(at.0, at.1, value, &raw mut out) })?;
        Ok(out)
    }

    /// `f(handle, id, out[], &mut count)`: instances and placements. NVML doesn't read the room in
    /// `count`; it wants room for all that the profile allows, which `room` says.
    pub(super) fn list_at<H, T: Plain>(
        &self,
        on: &str,
        symbol: Symbol<ListAt<H, T>>,
        at: (H, u32),
        room: u32,
    ) -> Result<Vec<T>, NvmlError> {
        // The most that any board has is 12; more than asked for costs nothing.
        let mut count = room.clamp(64, 4096);
        let mut out = vec![zero(); count as usize];
        // SAFETY: `out` has room for every instance or placement that a profile can have.
        self.call(on, symbol, |f| unsafe { f(at.0, at.1, out.as_mut_ptr(), &raw mut count) })?;
        out.truncate(count as usize);
        Ok(out)
    }

    /// `f(device, &mut count, out[])`: processes. Asks again with more room while they multiply.
    pub(super) fn processes<T: Plain>(
        &self,
        on: &str,
        symbol: impl Fn() -> Symbol<Processes<T>>,
        device: c::nvmlDevice_t,
    ) -> Result<Vec<T>, NvmlError> {
        let mut room = 128;
        loop {
            let mut count = room;
            let mut out = vec![zero(); room as usize];
            // SAFETY: NVML reads the room in `count` and writes no more than that many.
            let answer =
                self.call(on, symbol(), |f| unsafe { f(device, &raw mut count, out.as_mut_ptr()) });
            match answer {
                Err(error) if error.is(Code::InsufficientSize) && room < 1 << 20 => room *= 4,
                Err(error) => return Err(error),
                Ok(()) => {
                    out.truncate(count as usize);
                    return Ok(out);
                }
            }
        }
    }

    /// `f(device, out[], &mut count, since)`: samples since a time in microseconds.
    pub(super) fn samples<T: Plain>(
        &self,
        on: &str,
        symbol: Symbol<Samples<T>>,
        device: c::nvmlDevice_t,
        since: u64,
    ) -> Result<Vec<T>, NvmlError> {
        // The driver keeps about a hundred samples; more than this it cuts off.
        let mut count = 1024;
        let mut out = vec![zero(); count as usize];
        // SAFETY: NVML reads the room in `count` and writes no more than that many.
        self.call(on, symbol, |f| unsafe { f(device, out.as_mut_ptr(), &raw mut count, since) })?;
        out.truncate(count as usize);
        Ok(out)
    }

    /// `f(handle, buffer, length)`.
    pub(super) fn text<H>(
        &self,
        on: &str,
        symbol: Symbol<Text<H>>,
        handle: H,
    ) -> Result<String, NvmlError> {
        let mut buffer = [0; TEXT as usize];
        // SAFETY: NVML writes at most as many bytes as it is told, the end included.
        self.call(on, symbol, |f| unsafe { f(handle, buffer.as_mut_ptr(), TEXT) })?;
        Ok(text_of(&buffer))
    }

    /// `f(buffer, length)`.
    pub(super) fn system_text(
        &self,
        on: &str,
        symbol: Symbol<unsafe extern "C" fn(*mut c_char, u32) -> c::nvmlReturn_t>,
    ) -> Result<String, NvmlError> {
        let mut buffer = [0; TEXT as usize];
        // SAFETY: NVML writes at most as many bytes as it is told, the end included.
        self.call(on, symbol, |f| unsafe { f(buffer.as_mut_ptr(), TEXT) })?;
        Ok(text_of(&buffer))
    }

    /// `f(text, &mut out)`: a device by its UUID.
    pub(super) fn find<T: Plain>(
        &self,
        on: &str,
        symbol: Symbol<unsafe extern "C" fn(*const c_char, *mut T) -> c::nvmlReturn_t>,
        text: &CString,
    ) -> Result<T, NvmlError> {
        let mut out = zero();
        // SAFETY: the text ends with NUL; it and `out` live through the call.
        self.call(on, symbol, |f| unsafe { f(text.as_ptr(), &raw mut out) })?;
        Ok(out)
    }
}

/// A field value that NVML wrote as an unsigned number of 32 bits, if it is one.
pub(super) fn field_u32(value: &c::nvmlFieldValue_t) -> Option<u32> {
    if value.valueType != c::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT
        || value.nvmlReturn != c::nvmlReturn_enum_NVML_SUCCESS
    {
        return None;
    }
    // SAFETY: the type word says that NVML wrote this member.
    Some(unsafe { value.value.uiVal })
}

/// The text before the first NUL; bytes that are no UTF-8 become replacement characters.
pub(super) fn text_of(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().map(|unit| unit.to_ne_bytes()[0]).collect();
    let text = CStr::from_bytes_until_nul(&bytes).map(CStr::to_bytes).unwrap_or(&bytes);
    String::from_utf8_lossy(text).into_owned()
}

/// A C int that counts.
pub(super) fn unsigned(value: c_int) -> u32 {
    u32::try_from(value).unwrap_or(0)
}
