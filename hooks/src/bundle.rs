//! A bundle's `config.json`: read whole, replaced whole.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use divvy::oci::MAX_BYTES;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use crate::error::Error;
use crate::state::read_limited;

/// A bundle's configuration.
#[derive(Debug)]
pub(crate) struct Bundle {
    folder: OwnedFd,
    /// The file's name in the folder.
    name: String,
    /// The file's path, for people.
    path: String,
    stat: Stat,
    /// What was read.
    pub(crate) config: Vec<u8>,
}

impl Bundle {
    /// Opens the bundle `folder` and reads the file `name` in it. `None`, where there is no such file: the
    /// runtime says that better.
    pub(crate) fn open(folder: &str, name: &str) -> Result<Option<Bundle>, Error> {
        let path = format!("{folder}/{name}");
        let flags = OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::RDONLY;
        let opened = match rustix::fs::open(folder, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            opened => opened.map_err(Error::system("open", folder))?,
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&opened, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            // What a link points to is not the bundle's to be edited.
            Err(Errno::LOOP) => return Err(Error::NotRegular { path }),
            file => file.map_err(Error::system("open", &path))?,
        };
        let stat = rustix::fs::fstat(&file).map_err(Error::system("look at", &path))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::NotRegular { path });
        }
        let config = read_limited(&path, File::from(file), MAX_BYTES)?;
        Ok(Some(Bundle { folder: opened, name: name.to_owned(), path, stat, config }))
    }

    /// The folder's path with no link and no `..` in it.
    pub(crate) fn real_path(&self) -> Result<String, Error> {
        use std::os::fd::AsRawFd;
        let link = format!("/proc/self/fd/{}", self.folder.as_raw_fd());
        let path = rustix::fs::readlink(&link, Vec::new()).map_err(Error::system("read", &link))?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Puts `config` in the file's place, with its mode and owner. A reader has the old content or the new.
    pub(crate) fn replace(&self, config: &[u8]) -> Result<(), Error> {
        let temporary = format!(".{}.divvy-{}", self.name, std::process::id());
        let written = self.write(&temporary, config).and_then(|()| {
            rustix::fs::renameat(&self.folder, &temporary, &self.folder, &self.name)
        });
        written.map_err(|source| {
            let _ = rustix::fs::unlinkat(&self.folder, &temporary, AtFlags::empty());
            Error::System { action: "replace", path: self.path.clone(), source }
        })
    }

    fn write(&self, name: &str, config: &[u8]) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, name, flags, Mode::RUSR | Mode::WUSR)?;
        let (uid, gid) = (Uid::from_raw(self.stat.st_uid), Gid::from_raw(self.stat.st_gid));
        rustix::fs::fchown(file.as_fd(), Some(uid), Some(gid))?;
        rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(self.stat.st_mode & 0o7777))?;
        File::from(file)
            .write_all(config)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}
