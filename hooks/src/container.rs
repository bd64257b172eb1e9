//! The container's file system, which whoever made the image has filled.
//!
//! Two roads lead into it, and no path of the container is ever resolved on the host's side:
//!
//! - `root` is the container's root. What is made there is made below a directory that `openat2` has
//!   found with RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS, by a single name.
//! - `view` is a copy of the container's mounts that only this process has: read-only, without
//!   device nodes, and no symbolic link is followed out of any mount but the root's own. So there is
//!   no way out through a procfs (`/proc/1/root` is the host's root at this stage), whoever mounted
//!   one wherever. What is read is read there, and ldconfig is locked into it.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, StatVfsMountFlags, Uid,
};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

use crate::error::Error;
use crate::state::{Root, read_limited};
use crate::sys::{self, MountAttributes};

/// How often a directory is looked for that seems to lead nowhere: it may be on the move.
const TRIES: u32 = 5;

/// How often something that another process changes meanwhile is tried again.
const ATTEMPTS: usize = 64;

#[derive(Debug)]
pub(crate) struct Container {
    /// The root as the container will see it.
    mounted: OwnedFd,
    /// The same to write to.
    root: OwnedFd,
    view: OwnedFd,
}

impl Container {
    /// Opens the container with this root.
    pub(crate) fn open(root: &Root) -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::at(rustix::fs::open(&root.path, flags, Mode::empty()), root)
    }

    /// Opens the container with this root, whose path begins at the directory `host`.
    pub(crate) fn open_below(host: &OwnedFd, root: &Root) -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::at(open_in(host, &root.path, flags), root)
    }

    fn at(mounted: Result<OwnedFd, Errno>, root: &Root) -> Result<Self, Error> {
        let path = root.path.as_str();
        let mounted = mounted.map_err(Error::system("open the container's root", path))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let host = rustix::fs::open("/", flags, Mode::empty());
        let host = host.map_err(Error::system("open", "/"))?;
        let identity =
            |fd: &OwnedFd| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).ok();
        if identity(&mounted) == identity(&host) {
            return Err(Error::HostRoot { path: path.to_owned() });
        }
        let fail = |source| Error::View { path: path.to_owned(), source };
        let root = writable(&mounted, root.readonly).map_err(fail)?;
        let view = private_view(&mounted).map_err(fail)?;
        Ok(Self { mounted, root, view })
    }

    /// The read-only copy of the container's mounts.
    pub(crate) fn view(&self) -> BorrowedFd<'_> {
        self.view.as_fd()
    }

    /// Reads a regular file of at most `limit` bytes; `None` where there is none.
    pub(crate) fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        self.open_file(path)?.map(|file| read_limited(path, file, limit)).transpose()
    }

    /// Opens a regular file for reading; `None` where there is none.
    pub(crate) fn open_file(&self, path: &str) -> Result<Option<File>, Error> {
        // Without O_NONBLOCK, opening a FIFO would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match open_in(&self.view, path, flags) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(Error::system("open the container's", path)(errno)),
        };
        if !is(&file, FileType::RegularFile).map_err(Error::system("look at", path))? {
            return Err(Error::NotRegular { path: path.to_owned() });
        }
        Ok(Some(File::from(file)))
    }

    /// Opens a directory for listing; `None` where there is none.
    pub(crate) fn open_folder(&self, path: &str) -> Result<Option<OwnedFd>, Error> {
        match open_in(&self.view, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(Error::system("open the container's", path)(errno)),
        }
    }

    /// Whether anything is at `path`.
    pub(crate) fn has(&self, path: &str) -> bool {
        open_in(&self.view, path, OFlags::PATH | OFlags::CLOEXEC).is_ok()
    }

    /// Whether a character device is at `path`.
    pub(crate) fn has_device(&self, path: &str) -> bool {
        open_in(&self.view, path, OFlags::PATH | OFlags::CLOEXEC)
            .and_then(|fd| is(&fd, FileType::CharacterDevice))
            .unwrap_or(false)
    }

    /// Opens what is at `path` as a place to mount on; no name on the way may be a symbolic link.
    pub(crate) fn mount_point(&self, path: &str) -> Result<Option<OwnedFd>, Error> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        match openat2(&self.mounted, path, OFlags::PATH | OFlags::CLOEXEC, resolve) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(Error::system("open the container's", path)(errno)),
        }
    }

    /// Opens the device node at `path`, without asking its driver. The last name may be no link.
    pub(crate) fn open_node(&self, path: &str) -> Result<OwnedFd, Error> {
        open_in(&self.mounted, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)
            .map_err(Error::system("open the container's", path))
    }

    /// Mounts the tree at `path`, and makes what is missing of that: a directory for a directory, else a file.
    pub(crate) fn mount(&self, path: &str, tree: &OwnedFd) -> Result<(), Error> {
        let failed = || Error::system("mount on the container's", path);
        let folder = is(tree, FileType::Directory).map_err(failed())?;
        let place = || open_in(&self.mounted, path, OFlags::PATH | OFlags::CLOEXEC);
        let target = match place() {
            Err(Errno::NOENT) => {
                self.make_place(path, folder).and_then(|()| place().map_err(failed()))?
            }
            target => target.map_err(failed())?,
        };
        if is(&target, FileType::Directory).map_err(failed())? != folder {
            return Err(Error::MountKind { path: path.to_owned(), folder });
        }
        let empty =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(tree, "", &target, "", empty).map_err(failed())
    }

    fn make_place(&self, path: &str, folder: bool) -> Result<(), Error> {
        let failed = || Error::system("make the mount point", path);
        let (parent, name) = path.rsplit_once('/').unwrap_or(("/", path));
        let parent = self.folder(if parent.is_empty() { "/" } else { parent })?.fd;
        let made = if folder {
            rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))
        } else {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        };
        match made {
            // A link that leads nowhere.
            Err(Errno::EXIST) => Err(Error::DanglingLink { path: path.to_owned() }),
            made => made.map_err(failed()),
        }
    }

    /// Opens the directory at `path` to make something in it, and makes what is missing of it.
    pub(crate) fn folder(&self, path: &str) -> Result<Folder, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = match open_in(&self.root, path, flags) {
            Err(Errno::NOENT) => self.make_folders_steadily(path)?,
            other => other.map_err(Error::system("open the container's directory", path))?,
        };
        Ok(Folder { fd, path: path.to_owned() })
    }

    /// The directory at `path` as a private mount of its own: writable, and `..` leads nowhere. For
    /// one that [`Folder::is_read_only`] has found writable.
    pub(crate) fn alone(&self, path: &str) -> Result<OwnedFd, Error> {
        // From where it is mounted: before Linux 6.15 a copy can't be copied.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open_in(&self.mounted, path, flags)
            .and_then(|fd| private_mounts(&fd, LOCKED))
            .inspect(make_writable)
            .map_err(Error::system("mount a copy of the container's", path))
    }

    /// Opens the directory at `path` to make something in it; `None` where there is none.
    pub(crate) fn existing_folder(&self, path: &str) -> Option<Folder> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = open_in(&self.root, path, flags).ok()?;
        Some(Folder { fd, path: path.to_owned() })
    }

    /// Makes a directory although others may be moving it. A link that leads nowhere each time is one.
    fn make_folders_steadily(&self, path: &str) -> Result<OwnedFd, Error> {
        for _ in 1..TRIES {
            match self.make_folders(path) {
                Err(Error::DanglingLink { .. }) => {}
                made => return made,
            }
        }
        self.make_folders(path)
    }

    fn make_folders(&self, path: &str) -> Result<OwnedFd, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fail = || Error::system("make the container's directory", path);
        let mut at = open_in(&self.root, "/", flags).map_err(fail())?;
        let mut prefix = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            prefix.push('/');
            prefix.push_str(name);
            at = match open_in(&self.root, &prefix, flags) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                        // Somebody else made it, or a symbolic link that leads nowhere is there.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(fail()(errno)),
                    }
                    open_in(&self.root, &prefix, flags).map_err(|errno| match errno {
                        Errno::NOENT => Error::DanglingLink { path: prefix.clone() },
                        errno => fail()(errno),
                    })?
                }
                other => other.map_err(fail())?,
            };
        }
        Ok(at)
    }
}

/// A directory of the container in which things are made, each by its single name.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: String,
}

impl Folder {
    /// The file system that it is on.
    pub(crate) fn file_system(&self) -> Option<u64> {
        rustix::fs::fstat(&self.fd).ok().map(|stat| stat.st_dev)
    }

    /// Whether the node `name` is this device.
    pub(crate) fn has_node(&self, name: &str, device: u64) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            let kind = FileType::from_raw_mode(stat.st_mode);
            matches!(kind, FileType::CharacterDevice | FileType::BlockDevice)
                && stat.st_rdev == device
        })
    }

    /// Makes the device node `name` like the host's `node`, in the place of another file or link.
    pub(crate) fn put_node(&self, name: &str, node: &Stat, owner: (u32, u32)) -> Result<(), Error> {
        let make = |temporary: &str| {
            let (kind, mode) =
                (FileType::from_raw_mode(node.st_mode), Mode::from_raw_mode(node.st_mode & 0o777));
            // Changing the mode afterwards would follow a link that somebody put there.
            let umask = rustix::process::umask(Mode::empty());
            let made = rustix::fs::mknodat(&self.fd, temporary, kind, mode, node.st_rdev);
            rustix::process::umask(umask);
            made?;
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(&self.fd, temporary, Some(uid), Some(gid), flags)
        };
        self.put("make the device node", name, || self.has_node(name, node.st_rdev), make)
    }

    /// Whether nothing can be made here.
    pub(crate) fn is_read_only(&self) -> bool {
        rustix::fs::fstatvfs(&self.fd)
            .is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY))
    }

    /// Makes the symbolic link `name` with the text `target`, in the place of another file or link.
    ///
    /// A right link is left as it is, so that a second run changes nothing.
    pub(crate) fn put_link(&self, name: &str, target: &str) -> Result<(), Error> {
        let is_right = || {
            rustix::fs::readlinkat(&self.fd, name, Vec::new())
                .is_ok_and(|text| text.as_bytes() == target.as_bytes())
        };
        let make = |temporary: &str| rustix::fs::symlinkat(target, &self.fd, temporary);
        self.put("make the link", name, is_right, make)
    }

    /// Writes the file `name`, in the place of another one, whole or not at all.
    pub(crate) fn put_file(&self, name: &str, content: &[u8], mode: u32) -> Result<(), Error> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let is_right = || {
            rustix::fs::openat(&self.fd, name, flags, Mode::empty()).is_ok_and(|fd| {
                is(&fd, FileType::RegularFile) == Ok(true)
                    && read_limited(name, File::from(fd), content.len())
                        .is_ok_and(|found| found == content)
            })
        };
        let make = |temporary: &str| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(mode);
            let fd = rustix::fs::openat(&self.fd, temporary, flags, mode)?;
            let mut rest = content;
            while !rest.is_empty() {
                let written = rustix::io::write(&fd, rest)?;
                rest = rest.get(written..).unwrap_or_default();
            }
            rustix::fs::fchmod(&fd, mode)
        };
        self.put("write", name, is_right, make)
    }

    /// Removes the file `name`, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::system("remove", &self.path_of(name))(errno)),
        }
    }

    /// Makes something under a name of its own and renames it to `name`, unless it is right already.
    ///
    /// The temporary name is fixed: what a killed run left is overwritten by the next one. Hooks of
    /// containers that share a root directory may meet here, hence the attempts.
    fn put(
        &self,
        action: &'static str,
        name: &str,
        is_right: impl Fn() -> bool,
        make: impl Fn(&str) -> Result<(), Errno>,
    ) -> Result<(), Error> {
        let temporary = format!(".divvy-hook.{name}");
        for _ in 0..ATTEMPTS {
            if is_right() {
                return Ok(());
            }
            let renamed = make(&temporary)
                .and_then(|()| rustix::fs::renameat(&self.fd, &temporary, &self.fd, name));
            match renamed {
                Ok(()) => return Ok(()),
                Err(Errno::NOENT) => {}
                Err(Errno::EXIST) => {
                    let _ = rustix::fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
                }
                Err(errno) => {
                    let _ = rustix::fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
                    return Err(self.failed_to(action, name, errno));
                }
            }
        }
        Err(Error::Contested { action, path: self.path_of(name) })
    }

    fn failed_to(&self, action: &'static str, name: &str, errno: Errno) -> Error {
        match errno {
            Errno::ISDIR => Error::IsFolder { action, path: self.path_of(name) },
            _ => Error::system(action, &self.path_of(name))(errno),
        }
    }

    fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

/// What no mount needs that the hook looks at or writes to.
const LOCKED: u64 = libc::MOUNT_ATTR_NOSUID
    | libc::MOUNT_ATTR_NODEV
    | libc::MOUNT_ATTR_NOEXEC
    | libc::MOUNT_ATTR_NOSYMFOLLOW;

/// The root to write to. Where the container asked for a read-only one, crun has made it so before
/// this stage and runc does so after it. The hook's work is the same under both: it goes through a
/// private copy of the mounts in which the root, and nothing below it, is writable.
///
/// In a user namespace the mount may be locked, and on a file system that is read-only itself
/// nothing is gained: then what writes says so.
fn writable(mounted: &OwnedFd, readonly: bool) -> Result<OwnedFd, Errno> {
    if !readonly {
        return mounted.try_clone().map_err(|_| Errno::MFILE);
    }
    private_mounts(mounted, 0).inspect(make_writable)
}

/// Does what can be done; whoever writes hears of the rest.
fn make_writable(mount: &OwnedFd) {
    let own = MountAttributes { set: 0, clear: libc::MOUNT_ATTR_RDONLY, propagation: 0 };
    let _ = sys::mount_setattr(mount.as_fd(), false, &own);
}

/// Copies the container's mounts, and closes every way out.
fn private_view(root: &OwnedFd) -> Result<OwnedFd, Errno> {
    let view = private_mounts(root, LOCKED | libc::MOUNT_ATTR_RDONLY)?;
    // An image is full of links (`/lib`, `/etc/alternatives`): its own file system has no magic ones.
    let own = MountAttributes { set: 0, clear: libc::MOUNT_ATTR_NOSYMFOLLOW, propagation: 0 };
    sys::mount_setattr(view.as_fd(), false, &own)?;
    Ok(view)
}

/// Copies the mounts from `fd` down into a tree that is attached nowhere: nobody else sees it, and
/// what is mounted elsewhere later does not appear in it.
///
/// The descriptor is not close-on-exec: the tree lives as long as it is open, and ldconfig is to
/// live in it.
fn private_mounts(fd: &OwnedFd, set: u64) -> Result<OwnedFd, Errno> {
    let clone =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE | OpenTreeFlags::AT_EMPTY_PATH;
    private_tree(fd, "", clone, set)
}

/// Copies the mounts at a path into a tree that is attached nowhere, with these attributes.
pub(crate) fn private_tree(
    folder: impl AsFd,
    path: impl rustix::path::Arg,
    flags: OpenTreeFlags,
    set: u64,
) -> Result<OwnedFd, Errno> {
    let mounts = rustix::mount::open_tree(folder, path, flags)?;
    let attributes = MountAttributes { set, clear: 0, propagation: libc::MS_PRIVATE };
    sys::mount_setattr(mounts.as_fd(), true, &attributes)?;
    Ok(mounts)
}

fn open_in(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    openat2(root, path, flags, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

/// Answers EAGAIN only where somebody renames directories without pause.
fn openat2(
    root: &OwnedFd,
    path: &str,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let mut result = Err(Errno::AGAIN);
    for _ in 0..ATTEMPTS {
        result = rustix::fs::openat2(root, path, flags, Mode::empty(), resolve);
        if !matches!(result, Err(Errno::AGAIN)) {
            break;
        }
    }
    result
}

fn is(fd: &OwnedFd, kind: FileType) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) == kind)
}
