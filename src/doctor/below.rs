//! Paths of a host whose files lie below some root.

use crate::engines;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::path::Path;

/// Whether a path of the host is there. Links are followed as they are on the host: one with an absolute text leads
/// below the root, not to this machine's own files.
pub(super) fn exists(root: &Path, path: &Path) -> bool {
    let plain = || engines::below(root, path).exists();
    if root == Path::new("/") {
        return there(path);
    }
    let Ok(folder) = File::open(root) else { return plain() };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match openat2(&folder, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
        // Whoever may not look doesn't know that it is missing.
        Ok(_) | Err(Errno::ACCESS) => true,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => false,
        // A kernel before 5.6, or a seccomp filter, hasn't the call.
        Err(_) => plain(),
    }
}

fn there(path: &Path) -> bool {
    match path.try_exists() {
        Ok(there) => there,
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("usr/lib")).unwrap();
        fs::write(at("usr/lib/here"), "").unwrap();
        symlink("/usr/lib", at("lib")).unwrap();
        symlink("/usr/lib/here", at("link")).unwrap();
        symlink("../../../../../../proc/self/status", at("outside")).unwrap();
        let there = |path: &str| exists(root.path(), Path::new(path));
        assert!(there("/lib/here") && there("/link") && there("/usr/../usr/lib/here"));
        assert!(!there("/outside") && !there("/proc/self/status") && !there("/usr/lib/here/more"));
        assert!(exists(Path::new("/"), Path::new("/proc/self/status")));
    }
}
