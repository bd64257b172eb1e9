//! The driver's `/proc/driver/nvidia/params`, which tells its libraries whether to make missing
//! device nodes. In a container they must not: nvidia-smi would make nodes of GPUs that are not the
//! container's.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use crate::container::Container;
use crate::error::Error;
use crate::state::read_limited;
use crate::sys::{self, MountAttributes};

const PARAMS: &str = "/proc/driver/nvidia/params";
const FOLDER: &str = "/proc/driver/nvidia";
const LIMIT: usize = 64 << 10;

/// What the container is to see; `None` where there is no driver or it makes no nodes anyway.
pub(super) fn to_hide() -> Result<Option<String>, Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(PARAMS, flags, Mode::empty()) {
        Ok(fd) => std::fs::File::from(fd),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(Error::system("open the host's", PARAMS)(errno)),
    };
    let text = read_limited(PARAMS, file, LIMIT)?;
    Ok(without_nodes(&String::from_utf8_lossy(&text)))
}

fn without_nodes(params: &str) -> Option<String> {
    let on = "ModifyDeviceFiles: 1";
    let mut lines: Vec<&str> = params.lines().collect();
    let line = lines.iter_mut().find(|line| **line == on)?;
    *line = "ModifyDeviceFiles: 0";
    Some(lines.join("\n") + "\n")
}

/// Mounts a file with `content` over the container's parameters, where it has them.
///
/// The file lies in a file system of its own that is nowhere to be seen but in this one mount. A
/// symbolic link on the way to it is refused, so the mount lands below the container's root, at this
/// very path; the runtime has already made sure of what is mounted on /proc.
pub(super) fn hide(container: &Container, content: &str) -> Result<(), Error> {
    let (Some(target), Some(folder)) =
        (container.mount_point(PARAMS)?, container.mount_point(FOLDER)?)
    else {
        return Ok(());
    };
    // An engine may run the same hook twice: the second finds the first one's file.
    if container.read(PARAMS, LIMIT)?.as_deref() == Some(content.as_bytes()) {
        return Ok(());
    }
    mount(content, &folder, &target).map_err(Error::system("mount over the container's", PARAMS))
}

fn mount(content: &str, folder: &OwnedFd, target: &OwnedFd) -> Result<(), Errno> {
    let fs = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&fs, "size", "128k")?;
    rustix::mount::fsconfig_set_string(&fs, "mode", "0755")?;
    rustix::mount::fsconfig_create(&fs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tmpfs = rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&tmpfs, "params", flags, Mode::from_raw_mode(0o444))?;
    rustix::io::write(&file, content.as_bytes())?;

    // Before Linux 6.15 only what is attached can be cloned. So the file system is attached for a
    // moment, to where nobody looks: the container's first process is still to come.
    let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(&tmpfs, "", folder, "", empty)?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let cloned = rustix::mount::open_tree(&tmpfs, "params", clone);
    rustix::process::fchdir(&tmpfs)?;
    let detached = rustix::mount::unmount(".", UnmountFlags::DETACH);
    rustix::process::chdir("/")?;
    detached?;

    let file = cloned?;
    let read_only = MountAttributes {
        set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSYMFOLLOW,
        clear: 0,
        propagation: libc::MS_PRIVATE,
    };
    sys::mount_setattr(file.as_fd(), false, &read_only)?;
    rustix::mount::move_mount(&file, "", target, "", empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_line_changes() {
        let params = "DeviceFileUID: 0\nModifyDeviceFiles: 1\nDeviceFileMode: 438\n";
        assert_eq!(
            without_nodes(params).as_deref(),
            Some("DeviceFileUID: 0\nModifyDeviceFiles: 0\nDeviceFileMode: 438\n")
        );
    }

    #[test]
    fn a_driver_that_makes_no_nodes_is_left_alone() {
        assert_eq!(without_nodes("ModifyDeviceFiles: 0\n"), None);
        assert_eq!(without_nodes("XModifyDeviceFiles: 1\n"), None);
        assert_eq!(without_nodes(""), None);
    }
}
