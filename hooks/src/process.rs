//! What the hook inherits and lets go of.

use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::error::Error;
use crate::sys;

/// The first act: environment, open files, umask and working directory of the runtime are not the
/// hook's. Answers that directory: at create-container it is the container's own root under runc.
pub(crate) fn let_go() -> Option<PathBuf> {
    // What fails here leaves the hook as a runtime starts any other: nothing below relies on it.
    let _ = sys::clear_environment();
    let _ = sys::close_from(3);
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let folder = std::env::current_dir().ok().filter(|folder| folder.is_absolute());
    let _ = rustix::process::chdir("/");
    folder
}

/// Gives up every capability but those that the static work needs: CAP_SYS_PTRACE, say, would let a
/// path in the container lead through `/proc/1/root`.
pub(crate) fn keep_needed_capabilities() -> Result<(), Error> {
    limit_capabilities(
        CapabilitySet::SYS_ADMIN
            | CapabilitySet::SYS_CHROOT
            | CapabilitySet::DAC_OVERRIDE
            | CapabilitySet::FOWNER,
    )
}

/// Gives up every capability but those that live injection needs in the container's mount namespace.
pub(crate) fn keep_capabilities_of_injection() -> Result<(), Error> {
    limit_capabilities(
        CapabilitySet::SYS_ADMIN
            | CapabilitySet::SYS_CHROOT
            | CapabilitySet::DAC_OVERRIDE
            | CapabilitySet::FOWNER
            | CapabilitySet::CHOWN
            | CapabilitySet::MKNOD
            | CapabilitySet::SETGID
            | CapabilitySet::SETUID,
    )
}

/// Leaves to ldconfig only what lets root read and write files that are not root's, and sees to it
/// that it gets no more by being root.
pub(crate) fn keep_capabilities_of_ldconfig() -> Result<(), Error> {
    rustix::thread::set_no_new_privs(true)
        .map_err(Error::system("give up privileges of", "the hook"))?;
    limit_capabilities(CapabilitySet::DAC_OVERRIDE)
}

fn limit_capabilities(keep: CapabilitySet) -> Result<(), Error> {
    let limit = || -> Result<(), Errno> {
        let has = rustix::thread::capabilities(None)?;
        rustix::thread::set_capabilities(
            None,
            CapabilitySets {
                effective: has.effective & keep,
                permitted: has.permitted & keep,
                inheritable: CapabilitySet::empty(),
            },
        )
    };
    limit().map_err(Error::system("give up capabilities of", "the hook"))
}
