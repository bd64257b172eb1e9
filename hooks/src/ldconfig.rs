//! The host's ldconfig, run on the container's libraries.
//!
//! The hook becomes ldconfig instead of starting it: no second process, its exit code is the hook's,
//! and what it says on stderr reaches whoever starts the container. It is locked in as follows:
//!
//! - its root is the container's read-only view, with no way out (see `container`);
//! - the one place it can write to is the container's real /etc, which it has as its working
//!   directory, as a mount of its own: the cache is named relative to it, so no path leads there,
//!   and none leads on;
//! - the program was opened on the host beforehand, and glibc links ldconfig statically: nothing of
//!   the container is executed;
//! - its environment is empty, and of root's capabilities it keeps CAP_DAC_OVERRIDE.
//!
//! It is given the folders on its command line, and reads neither the image's configuration nor its
//! auxiliary cache, which glibc trusts. It makes no links: those that the driver needs are made by
//! the hook, and an image's own are its own business.

use std::ffi::CString;
use std::os::fd::AsFd;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::container::Container;
use crate::elf;
use crate::error::Error;
use crate::{process, sys, tell};

/// `-f /` reads as an empty configuration in every glibc: opening a directory succeeds, reading it
/// does not, and ldconfig says nothing. A file that is not there would draw a warning at each start.
const OPTIONS: [&str; 7] = ["-X", "-i", "-f", "/", "-C", "ld.so.cache", "--"];

/// An ldconfig of the host, open and ready to be run.
#[derive(Debug)]
pub(crate) struct Ldconfig {
    program: OwnedFd,
    path: String,
}

/// Opens the host's ldconfig. On Ubuntu `/sbin/ldconfig` is a script, and the program is
/// `/sbin/ldconfig.real`.
pub(crate) fn open(path: &str) -> Result<Ldconfig, Error> {
    let real = format!("{path}.real");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let open = |path: &str| rustix::fs::open(path, flags, Mode::empty());
    let (program, path) = match open(&real) {
        Ok(program) => (program, real),
        Err(_) => match open(path) {
            Ok(program) => (program, path.to_owned()),
            Err(source) => return Err(Error::Ldconfig { path: path.to_owned(), source }),
        },
    };
    let mut magic = [0; 4];
    match rustix::io::read(&program, &mut magic) {
        Ok(_) if magic == elf::MAGIC => Ok(Ldconfig { program, path }),
        Ok(_) => Err(Error::LdconfigScript { path }),
        Err(source) => Err(Error::Ldconfig { path, source }),
    }
}

impl Ldconfig {
    /// Writes the library cache of the container from the libraries in `folders`. Returns only when
    /// ldconfig was not run.
    pub(crate) fn become_it(self, container: &Container, folders: &[String]) -> Result<(), Error> {
        let etc = container.folder("/etc")?;
        if etc.is_read_only() {
            tell("warning: /etc is read-only: the container's library cache stays as it is");
            return Ok(());
        }
        // ldconfig opens it as it is: a link there stops it, another name of a file empties that.
        etc.remove("ld.so.cache~")?;
        let args: Vec<CString> = ["ldconfig"]
            .iter()
            .chain(&OPTIONS)
            .copied()
            .chain(folders.iter().map(String::as_str))
            .filter_map(|arg| CString::new(arg).ok())
            .collect();
        let args: Vec<_> = args.iter().map(CString::as_c_str).collect();

        let etc = container.alone("/etc")?;
        let fail = |source: Errno| Error::Ldconfig { path: self.path.clone(), source };
        rustix::process::fchdir(container.view()).map_err(fail)?;
        rustix::process::chroot(".").map_err(fail)?;
        rustix::process::fchdir(&etc).map_err(fail)?;
        process::keep_capabilities_of_ldconfig()?;
        Err(fail(sys::exec(self.program.as_fd(), &args)))
    }
}
