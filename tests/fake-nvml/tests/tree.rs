//! The folder that `create` writes.

use crate::common::Node;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/nodes").join(name)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found
}

#[test]
fn every_library_of_the_driver_root_loads() {
    let node = Node::new("", &["T4"]);
    let libraries: Vec<_> = files(&node.file("driver/usr/lib"))
        .into_iter()
        .filter(|path| path.to_string_lossy().contains(".so"))
        .collect();
    assert!(libraries.len() > 50, "{}", libraries.len());
    for path in libraries {
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: the name has its final zero, and the libraries have no code to run.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null(), "{}", path.display());
    }
}

/// ldconfig reads the SONAMEs: a cache names each library by its own.
#[test]
fn a_library_cache_names_the_libraries_by_their_soname() {
    let node = Node::new("", &["T4"]);
    let cache = node.file("driver/etc/ld.so.cache");
    if !cache.exists() {
        println!("skipped: no ldconfig on this machine");
        return;
    }
    let bytes = fs::read(cache).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for name in [
        "libcuda.so.1\0",
        "libnvidia-ml.so.1\0",
        "libnvidia-nvvm.so.4\0",
        "libnvidia-eglcore.so.550.163.01\0",
    ] {
        assert!(text.contains(name), "{name}");
    }
}

/// Compares with a listing outside the repository where `DIVVY_SHARED_DATA` names its folder.
#[test]
fn the_recorded_host_is_rebuilt() {
    let Ok(folder) = std::env::var("DIVVY_SHARED_DATA") else {
        println!("skipped: DIVVY_SHARED_DATA is not set, so there is no host to compare with");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("n");
    let fake_node = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_fake-node")).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let from = fixture("nvidia-ctk-mig.yaml");
    let (created, why) =
        fake_node(&["create", at.to_str().unwrap(), "--from", from.to_str().unwrap()]);
    if !created && why.contains("--no-nodes") {
        println!("skipped: this user may not make device nodes");
        return;
    }
    assert!(created, "{why}");
    let listing = fs::read_to_string(format!("{folder}/nvidia-ctk/host.txt")).unwrap();
    let rows = listing.lines().skip(1).take_while(|line| !line.starts_with('#'));
    let compared = rows.filter(|row| is_there(&at, row)).count();
    assert!(compared > 150, "{compared}");
    let minors = fs::read_to_string(at.join("proc/driver/nvidia-caps/mig-minors")).unwrap();
    let recorded = listing.lines().skip_while(|line| *line != "config 1");
    recorded.zip(minors.lines()).for_each(|(recorded, ours)| assert_eq!(recorded, ours));
    for name in ["params", "version"] {
        let ours = fs::read_to_string(at.join("proc/driver/nvidia").join(name)).unwrap();
        assert!(listing.contains(&ours), "{name}: {ours}");
    }
}

/// Checks one row of the listing: TYPE MODE OWNER:GROUP PATH [-> LINK | MAJOR:MINOR | SONAME].
fn is_there(node: &Path, row: &str) -> bool {
    let words: Vec<&str> = row.split(' ').collect();
    let [kind, mode, owner, path, rest @ ..] = &words[..] else { panic!("{row}") };
    let root = if path.starts_with("/dev") { node.to_owned() } else { node.join("driver") };
    let ours = root.join(&path[1..]);
    let found = fs::symlink_metadata(&ours).unwrap_or_else(|error| panic!("{row}: {error}"));
    match *kind {
        "link" => assert_eq!(fs::read_link(&ours).unwrap().to_str(), rest.get(1).copied(), "{row}"),
        "dir" => assert!(found.is_dir(), "{row}"),
        "sock" => assert!(found.file_type().is_socket(), "{row}"),
        "file" => assert!(found.is_file(), "{row}"),
        "char" => {
            let (major, minor) = (libc::major(found.rdev()), libc::minor(found.rdev()));
            assert_eq!(Some(format!("{major}:{minor}").as_str()), rest.first().copied(), "{row}");
            assert_eq!(format!("{}:{}", found.uid(), found.gid()), *owner, "{row}");
        }
        other => panic!("{other}: {row}"),
    }
    if matches!(*kind, "file" | "char" | "sock") {
        assert_eq!(format!("{:o}", found.mode() & 0o777), *mode, "{row}");
    }
    true
}

#[test]
fn the_devices_of_the_recorded_host_have_its_uuids() {
    let text = fs::read_to_string(fixture("nvidia-ctk-mig.yaml")).unwrap();
    let node = Node::described(&text);
    let shown = node.does("show", &[]);
    assert_eq!(shown.matches("GPU-01000100-0000-0000-0000-").count(), 8);
    assert_eq!(shown.matches("MIG-abcd").count(), 10);
    assert!(
        shown.contains("    device 6 ci 0 MIG-abcd0001-000d-0000-0000-000000000009\n"),
        "{shown}"
    );
}
