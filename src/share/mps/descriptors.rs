//! The launcher's open files: none of them may live on in the daemon.
#![allow(
    unsafe_code,
    reason = "a file that another program left open is known by its number alone"
)]

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

/// Has every file but standard input, output and error closed when this process starts another program.
///
/// # Errors
/// `/proc/self/fd` can't be listed.
pub(super) fn close_on_exec() -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<RawFd>().ok());
        let Some(number) = number.filter(|number| *number > 2) else { continue };
        // SAFETY: it is used for this one call, which leaves the file as it is, and the number isn't -1.
        // Should it be closed by now, the kernel says so.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        match fcntl_setfd(file, FdFlags::CLOEXEC) {
            Err(error) if error != Errno::BADF => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
