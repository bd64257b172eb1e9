//! What the hook is for.

use super::*;

const NVIDIA_FOLDER: &str = "--folder=/usr/lib/x86_64-linux-gnu/nvidia";

fn driver(start: &Start) {
    start.library("/usr/lib/x86_64-linux-gnu/nvidia/libcuda.so.550.163.01", "libcuda.so.1");
}

const CUDA: &str = "--link=libcuda.so.550.163.01::/usr/lib/x86_64-linux-gnu/nvidia/libcuda.so.1";

#[test]
fn the_cache_lists_the_driver_first_and_the_image_still() {
    let start = Start::new();
    driver(&start);
    start.library(&format!("{LIBRARIES}/libcuda.so.1"), "libcuda.so.1");
    start.library("/opt/own/libown.so.1", "libown.so.1");
    start.run(&[CUDA, NVIDIA_FOLDER]).quiet();
    assert_eq!(
        start.cache(),
        [
            "libown.so.1 => /opt/own/libown.so.1",
            "libimage.so.1 => /lib/x86_64-linux-gnu/libimage.so.1",
            "libcuda.so.1 => /usr/lib/x86_64-linux-gnu/nvidia/libcuda.so.1",
            "libcuda.so.1 => /lib/x86_64-linux-gnu/libcuda.so.1",
        ]
    );
}

#[test]
fn the_cache_is_what_the_images_own_ldconfig_makes_later() {
    let start = Start::new();
    driver(&start);
    start.run(&[CUDA, NVIDIA_FOLDER]).quiet();
    let by_hook = start.cache();
    let again = Command::new("/sbin/ldconfig").arg("-r").arg(start.root("")).output().unwrap();
    assert!(again.status.success());
    assert_eq!(start.cache(), by_hook);
}

#[test]
fn four_starts_leave_what_one_leaves() {
    let start = Start::new();
    driver(&start);
    start.library("/usr/local/cuda/compat/libcuda.so.560.1.1", "libcuda.so.1");
    let before = snapshot(&start.root(""));
    let mut start = start;
    start.before = "mknod dev/nvidia0 c 195 0".into();
    let jobs = [
        CUDA,
        NVIDIA_FOLDER,
        "--cuda-compat=550.163.01",
        "--hide-device-node-params",
        "--application-profile",
    ];
    start.run(&jobs).quiet();
    let once = snapshot(&start.root(""));
    for _ in 0..3 {
        start.run(&jobs).quiet();
    }
    assert_eq!(snapshot(&start.root("")), once);
    let mut new: Vec<_> = once.keys().filter(|path| !before.contains_key(*path)).collect();
    new.sort();
    let expected = [
        "etc/ld.so.cache",
        "etc/ld.so.conf.d/00-divvy.conf",
        "etc/nvidia",
        "etc/nvidia/nvidia-application-profiles-rc.d",
        "etc/nvidia/nvidia-application-profiles-rc.d/10-container.conf",
        "usr/lib/x86_64-linux-gnu/nvidia/libcuda.so.1",
    ];
    assert_eq!(new, expected.map(|path| start.root(path)).iter().collect::<Vec<_>>());
}

#[test]
fn links_take_the_place_of_files_and_other_links() {
    let start = Start::new();
    start.write("/usr/lib/file", "an image's own");
    start.link("/usr/lib/other", "elsewhere");
    start.link("/usr/lib/same", "new");
    let same = fs::symlink_metadata(start.root("/usr/lib/same")).unwrap().ino();
    start
        .run(&[
            "--link=new::/usr/lib/file",
            "--link=new::/usr/lib/other",
            "--link=new::/usr/lib/same",
            "--link=/absolute/new::/made/for/it/link",
        ])
        .quiet();
    for name in ["file", "other", "same"] {
        assert_eq!(fs::read_link(start.root("/usr/lib").join(name)).unwrap(), Path::new("new"));
    }
    assert_eq!(fs::symlink_metadata(start.root("/usr/lib/same")).unwrap().ino(), same);
    assert_eq!(fs::read_link(start.root("/made/for/it/link")).unwrap(), Path::new("/absolute/new"));
    assert_eq!(fs::metadata(start.root("/made/for")).unwrap().permissions().mode() & 0o7777, 0o755);
}

#[test]
fn a_folder_in_a_links_place_is_an_error_that_names_it() {
    let start = Start::new();
    fs::create_dir(start.root("/usr/lib/libcuda.so")).unwrap();
    let ran = start.run(&["--link=libcuda.so.1::/usr/lib/libcuda.so"]);
    ran.failed(1, "can't make the link /usr/lib/libcuda.so: a directory is there");
    assert_eq!(fs::read_dir(start.root("/usr/lib")).unwrap().count(), 2, "something was left");
}

#[test]
fn by_path_links_are_made_for_the_nodes_that_are_there() {
    let mut start = Start::new();
    start.before = "mkdir dev/dri; mknod dev/dri/card1 c 226 1; : >dev/dri/card2".into();
    start.after = "cd dev/dri; ls -l by-path | sed -n 's/.* \\(pci.*\\)/\\1/p'".into();
    let link = |card: &str| format!("--device-link=../{card}::/dev/dri/by-path/pci-{card}");
    let seen = start.run(&[&link("card0"), &link("card1"), &link("card2")]).quiet();
    assert_eq!(seen, "pci-card1 -> ../card1\n");
}

#[test]
fn the_profile_has_a_bit_for_each_gpu() {
    let mut start = Start::new();
    start.before =
        "mknod dev/nvidia5 c 195 5; mknod dev/nvidia0 c 195 0; mknod dev/nvidiactl c 195 255
        : >dev/nvidia3; mknod dev/nvidia64 c 195 64"
            .into();
    start.run(&["--application-profile"]).warned("nvidia64 has no place");
    let file = start.root("/etc/nvidia/nvidia-application-profiles-rc.d/10-container.conf");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(r#"["EGLVisibleDGPUDevices",0x21]"#), "{text}");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o7777, 0o444);
}

#[test]
fn a_container_without_gpus_gets_no_profile() {
    let start = Start::new();
    let before = snapshot(&start.root(""));
    start.run(&["--application-profile"]).quiet();
    assert_eq!(snapshot(&start.root("")), before);
}

/// A driver's parameters on the host, and the container's own view of them. No real procfs has them
/// without a driver, so a tmpfs stands in for both.
const PARAMS: &str = "mount -t tmpfs tmpfs /proc/driver; mkdir -p /proc/driver/nvidia
    printf 'DeviceFileUID: 0\nModifyDeviceFiles: 1\n' >/proc/driver/nvidia/params
    umount proc; mount -t tmpfs tmpfs proc; mkdir -p proc/driver; cp -r /proc/driver/nvidia proc/driver";

#[test]
fn the_container_sees_that_it_makes_no_device_nodes() {
    let mut start = Start::new();
    start.before = PARAMS.into();
    start.call = format!("{0}; {0}", start.call);
    start.after = "cat proc/driver/nvidia/params /proc/driver/nvidia/params
        echo x 2>/dev/null >proc/driver/nvidia/params || echo read-only
        grep -c \" $ROOT/proc/driver/nvidia\" /proc/self/mounts; ls proc/driver/nvidia"
        .into();
    let seen = start.run(&["--hide-device-node-params"]).quiet();
    assert_eq!(
        seen,
        "DeviceFileUID: 0\nModifyDeviceFiles: 0\nDeviceFileUID: 0\nModifyDeviceFiles: 1\nread-only\n1\nparams\n"
    );
}

#[test]
fn parameters_that_are_not_there_are_not_hidden() {
    let start = Start::new();
    start.run(&["--hide-device-node-params"]).quiet();
    let mut start = Start::new();
    start.before = format!("{PARAMS}; rm -r proc/driver/nvidia");
    start.run(&["--hide-device-node-params"]).quiet();
}

fn compat_comes_first(start: &Start) -> bool {
    driver(start);
    start.run(&[CUDA, NVIDIA_FOLDER, &format!("--cuda-compat={DRIVER}")]).quiet();
    let first = start.cache().into_iter().find(|line| line.starts_with("libcuda.so.1 ")).unwrap();
    first.contains("/usr/local/cuda/compat/")
}

#[test]
fn compatibility_libraries_of_a_newer_branch_come_first() {
    let start = Start::new();
    start.library("/usr/local/cuda-12.9/compat/libcuda.so.575.57.08", "libcuda.so.1");
    start.link("/usr/local/cuda", "cuda-12.9");
    start.link("/usr/local/cuda-12.9/compat/libcuda.so.1", "libcuda.so.575.57.08");
    assert!(compat_comes_first(&start));
    // An engine that brings its driver up to date finds no trace of it.
    fs::remove_dir_all(start.root("/usr/local/cuda-12.9")).unwrap();
    assert!(!compat_comes_first(&start));
    let drop_in = fs::read_to_string(start.root("/etc/ld.so.conf.d/00-divvy.conf")).unwrap();
    assert_eq!(drop_in, "/usr/lib/x86_64-linux-gnu/nvidia\n");
}

#[test]
fn compatibility_libraries_that_are_not_newer_are_left() {
    for version in ["550.163.02", "535.1.1", "550.163.01"] {
        let start = Start::new();
        start.library(&format!("/usr/local/cuda/compat/libcuda.so.{version}"), "libcuda.so.1");
        assert!(!compat_comes_first(&start), "{version}");
    }
}

/// A libcuda that says which driver branches it runs on, as newer ones do.
fn library_with_note(path: &Path, note: &str) {
    let work = tempfile::tempdir().unwrap();
    let source = work.path().join("note.s");
    let text = note.replace('"', "\\\"");
    let code = format!(
        ".section .note.cuda.fwd_compatibility,\"a\",@note\n.balign 4\n.long 2f-1f, 4f-3f, 1\n\
         1: .asciz \"NVIDIA Corporation\"\n2: .balign 4\n3: .asciz \"{text}\"\n4: .balign 4\n"
    );
    fs::write(&source, code).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    compile(&source, path, &["-shared", "-nostdlib", "-Wl,-soname,libcuda.so.1"]);
}

#[test]
fn the_note_decides_where_there_is_one() {
    for (version, drivers, first) in [
        ("550.200.1", "[535, 550]", true),
        ("575.57.08", "[535]", false),
        ("535.1.1", "[535, 550]", false),
        // A note that can't be read is as none: then the branch counts.
        ("575.57.08", "oops", true),
    ] {
        let start = Start::new();
        let path = start.root(format!("/usr/local/cuda/compat/libcuda.so.{version}"));
        library_with_note(&path, &format!(r#"{{"CUDA Version": "12.9", "Driver": {drivers}}}"#));
        assert_eq!(compat_comes_first(&start), first, "{version} {drivers}");
    }
}

#[test]
fn several_compatibility_libraries_are_none() {
    let start = Start::new();
    driver(&start);
    for version in ["575.1.1", "580.1.1"] {
        start.library(&format!("/usr/local/cuda/compat/libcuda.so.{version}"), "libcuda.so.1");
    }
    start.run(&[CUDA, NVIDIA_FOLDER, "--cuda-compat=550.163.01"]).warned("several CUDA");
    assert!(!start.cache().iter().any(|line| line.contains("compat")));
}

#[test]
fn an_image_without_anything_gets_its_cache() {
    let start = Start::new();
    for folder in ["etc", "usr/local"] {
        fs::remove_dir_all(start.root(folder)).unwrap();
    }
    driver(&start);
    start.run(&[CUDA, NVIDIA_FOLDER, "--cuda-compat=550.163.01"]).quiet();
    assert_eq!(start.cache().len(), 2);
    assert_eq!(fs::read_dir(start.root("etc")).unwrap().count(), 1, "more than the cache");
}

#[test]
fn an_alpine_image_gets_its_list_of_folders() {
    let start = Start::new();
    fs::remove_dir_all(start.root("etc")).unwrap();
    start.library("/usr/lib/ld-musl-x86_64.so.1", "libc.musl-x86_64.so.1");
    driver(&start);
    for _ in 0..2 {
        start.run(&[CUDA, NVIDIA_FOLDER]).quiet();
    }
    let list = fs::read_to_string(start.root("/etc/ld-musl-x86_64.path")).unwrap();
    assert_eq!(list, "/lib\n/usr/local/lib\n/usr/lib\n/usr/lib/x86_64-linux-gnu/nvidia\n");
}

#[test]
fn a_read_only_image_starts_with_a_warning() {
    let mut start = Start::new();
    driver(&start);
    start.before = "mknod dev/nvidia0 c 195 0; mount -o remount,bind,ro $ROOT".into();
    let before = snapshot(&start.root(""));
    let ran =
        start.run(&[CUDA, NVIDIA_FOLDER, "--application-profile", "--hide-device-node-params"]);
    assert!(ran.stderr.contains("can't make the link"), "{ran:?}");
    ran.warned("the container's library cache stays as it is");
    assert_eq!(snapshot(&start.root("")), before);
}

#[test]
fn a_job_of_a_newer_spec_is_told_and_the_rest_is_done() {
    let start = Start::new();
    let stderr = start.run(&["--new-job=a::b", "--link=new::/link", "more"]).stderr;
    assert_eq!(
        stderr,
        "divvy-hook: warning: the job \"--new-job=a::b\" is not known to this version and is left out\n\
         divvy-hook: warning: the job \"more\" is not known to this version and is left out\n"
    );
    assert_eq!(fs::read_link(start.root("/link")).unwrap(), Path::new("new"));
}

#[test]
fn a_stage_that_is_not_known_fails_the_container() {
    let mut start = Start::new();
    start.call = "$HOOK enforce-something --request=exclusive <$STATE".into();
    start.run(&[]).failed(2, "there is no stage \"enforce-something\"");
}

#[test]
fn what_is_wrong_is_found_before_anything_is_done() {
    let start = Start::new();
    let before = snapshot(&start.root(""));
    let link = "--link=a::/b";
    start.run(&[link, "--folder=relative"]).failed(2, "write the CDI spec anew");
    start
        .run(&[link, "--folder=/a", "--ldconfig=/nowhere"])
        .failed(1, "can't run the host's /nowhere");
    start.run(&[link, "--folder=/a", "--ldconfig=/usr/bin/ldd"]).failed(1, "is no ELF program");
    assert_eq!(snapshot(&start.root("")), before);
}

#[test]
fn ldconfig_behind_ubuntus_script_is_found() {
    let start = Start::new();
    driver(&start);
    fs::write(start.outside("ldconfig"), "#!/bin/sh\nexit 1\n").unwrap();
    fs::copy("/sbin/ldconfig", start.outside("ldconfig.real")).unwrap();
    let ldconfig = format!("--ldconfig={}", start.outside("ldconfig").display());
    start.run(&[CUDA, NVIDIA_FOLDER, &ldconfig]).quiet();
    assert_eq!(start.cache().len(), 2);
}

#[test]
fn crun_names_the_root_in_the_state() {
    let mut start = Start::new();
    start.call =
        r#"printf '{"bundle":"/nowhere","root":"%s"}' "$ROOT" | "$HOOK" create-container "$@""#
            .into();
    start.run(&["--link=new::/link"]).quiet();
    assert!(start.root("/link").is_symlink());
}

#[test]
fn the_hosts_own_root_is_refused() {
    let mut start = Start::new();
    start.call =
        r#"echo '{"bundle":"/nowhere","root":"/"}' | "$HOOK" create-container "$@""#.into();
    start.run(&["--link=new::/link"]).failed(1, "the container's root is /, the host's own");
}

#[test]
fn a_container_that_asks_for_a_read_only_root_gets_its_driver() {
    let mut start = Start::new();
    driver(&start);
    let config = start.dir.path().join("bundle/config.json");
    let text = format!(r#"{{"root":{{"path":{:?},"readonly":true}}}}"#, start.root(""));
    fs::write(config, text).unwrap();
    // As crun has it at this stage; a volume below is read-only for a reason of its own.
    fs::create_dir_all(start.root("/usr/lib/volume")).unwrap();
    start.before = "mknod dev/nvidia0 c 195 0; mount -o remount,bind,ro \"$ROOT\"
        mount --bind usr/lib/volume usr/lib/volume; mount -o remount,bind,ro usr/lib/volume"
        .into();
    start.after = "touch etc/x".into();
    let ran = start.run(&[
        CUDA,
        NVIDIA_FOLDER,
        "--link=new::/usr/lib/volume/link",
        "--application-profile",
    ]);
    assert!(ran.stderr.contains("can't make the link /usr/lib/volume/link: Read-only"), "{ran:?}");
    assert!(ran.stderr.contains("etc/x': Read-only file system"), "{ran:?}");
    ran.warned("volume");
    assert_eq!(start.cache().len(), 2);
    assert!(start.root("/etc/nvidia").is_dir());
}

#[test]
fn a_user_namespace_is_enough() {
    let mut start = Start::new();
    driver(&start);
    start.call = format!("unshare --user --map-root-user --mount sh -c '{}' sh \"$@\"", start.call);
    start.before = "mknod dev/nvidia0 c 195 0".into();
    start.run(&[CUDA, NVIDIA_FOLDER, "--cuda-compat=550.163.01", "--application-profile"]).quiet();
    assert_eq!(start.cache().len(), 2);
}

#[test]
fn what_somebody_mounted_in_a_links_place_stays() {
    let mut start = Start::new();
    start.write("/usr/lib/libcuda.so.1", "below");
    fs::write(start.outside("own"), "the user's own\n").unwrap();
    start.before = "mount --bind \"$OUTSIDE/own\" usr/lib/libcuda.so.1".into();
    start.after = "cat usr/lib/libcuda.so.1; ls -A usr/lib".into();
    let seen = start
        .run(&["--link=new::/usr/lib/libcuda.so.1"])
        .warned("can't make the link /usr/lib/libcuda.so.1");
    assert_eq!(seen, "the user's own\nlibcuda.so.1\nx86_64-linux-gnu\n");
}
