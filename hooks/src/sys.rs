//! The system calls that `rustix` does not have. Nothing else in this crate is unsafe.
#![allow(unsafe_code)] // Raw system calls; each states why it is sound.

use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::io::Errno;

/// Mount attributes and propagation, as `mount_setattr(2)` takes them.
pub(crate) struct MountAttributes {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
}

/// Removes every variable of the environment.
pub(crate) fn clear_environment() -> Result<(), Errno> {
    // SAFETY: the hook has one thread, so nobody reads the environment meanwhile.
    match unsafe { libc::clearenv() } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Closes every file descriptor from `first` on. To be called before any of them has an owner here.
pub(crate) fn close_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: takes three integers; nothing in this process owns one of the descriptors yet.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, RawFd::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// Changes the mount that `fd` is the root of, with `recursive` also those below.
pub(crate) fn mount_setattr(
    fd: BorrowedFd<'_>,
    recursive: bool,
    attributes: &MountAttributes,
) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // The kernel's struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
    let attr = [attributes.set, attributes.clear, attributes.propagation, 0];
    // SAFETY: the path is an empty C string, `attr` has the layout and the size that are given, and
    // both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            attr.as_ptr(),
            size_of_val(&attr),
        )
    };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// Becomes the program behind `fd`, with an empty environment. Returns only when it can't.
pub(crate) fn exec(fd: BorrowedFd<'_>, args: &[&CStr]) -> Errno {
    let mut argv: Vec<*const c_char> = args.iter().map(|arg| arg.as_ptr()).collect();
    argv.push(std::ptr::null());
    let envp: [*const c_char; 1] = [std::ptr::null()];
    // SAFETY: path, arguments and environment are C strings and arrays that end in null, and they
    // outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    last_error()
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}
