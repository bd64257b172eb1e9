//! The library and the system.

use super::export;
use super::pointer::{Out, Text};
use super::session;
use crate::code;
use std::os::raw::{c_char, c_int, c_uint};

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> c_uint {
    session::logged("nvmlInit_v2", false, session::begin)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInit() -> c_uint {
    session::logged("nvmlInit", false, session::begin)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> c_uint {
    session::logged("nvmlInitWithFlags", false, session::begin)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> c_uint {
    session::logged("nvmlShutdown", false, session::end)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlErrorString(code: c_uint) -> *const c_char {
    code::c_sentence(code).as_ptr()
}

/// The one question that NVML answers before it is initialised: with it, a library and a driver
/// of different versions can be named.
#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetNVMLVersion(version: Out<c_char>, length: c_uint) -> c_uint {
    session::logged("nvmlSystemGetNVMLVersion", false, || {
        let file = session::node()?.file;
        let library = file.nvml.library_version.as_ref().unwrap_or(&file.driver_version);
        Ok(version.text(length, &format!("{}.{library}", file.cuda_version.0))?)
    })
}

export! {
    query nvmlSystemGetDriverVersion(version: Out<c_char>, length: c_uint) |store| {
        Ok(version.text(length, &store.node().file.driver_version)?)
    }

    query nvmlSystemGetCudaDriverVersion(version: Out<c_int>) |store| {
        cuda_version(version, store)
    }

    query nvmlSystemGetCudaDriverVersion_v2(version: Out<c_int>) |store| {
        cuda_version(version, store)
    }

    query nvmlSystemGetProcessName(pid: c_uint, name: Out<c_char>, length: c_uint) |_| {
        let path = std::fs::read_link(format!("/proc/{pid}/exe"));
        let path = path.map_err(|_| code::Code::NOT_FOUND)?;
        Ok(name.text(length, &path.to_string_lossy())?)
    }

    query nvmlDeviceGetHandleByUUID(uuid: Text, device: Out<super::handle::Handle>) |store| {
        super::device::by_uuid(store, &uuid.get()?, device)
    }
}

fn cuda_version(
    version: Out<c_int>,
    store: &crate::state::Store,
) -> Result<(), crate::state::Failure> {
    let (major, minor) = store.node().file.cuda_version;
    Ok(version.set(c_int::try_from(major * 1000 + minor * 10).unwrap_or(0))?)
}
