//! Images that attack the hook. Each attack is first shown to work on a hook without the defence
//! (`naive`, run in the same namespaces), so that a test here can't pass because its attack is dull.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

const FOLDER: &str = "--folder=/usr/lib/x86_64-linux-gnu";

impl Start {
    /// Runs `naive` in the container's namespaces, asserts that it changes the host's tree, undoes
    /// that, runs the hook, and asserts that it does not.
    #[track_caller]
    fn resists(&mut self, naive: &str, jobs: &[&str]) -> Ran {
        let host = snapshot(&self.outside(""));
        let call = std::mem::replace(&mut self.call, naive.to_owned());
        let ran = self.run(&[]);
        assert_ne!(snapshot(&self.outside("")), host, "the attack is none: {ran:?}");
        self.restore();
        self.call = call;
        let ran = self.run(jobs);
        assert_eq!(snapshot(&self.outside("")), host, "the hook changed the host: {ran:?}");
        ran
    }

    /// Makes the path that names the host's tree name a folder inside the container, too.
    fn twin(&self) {
        fs::create_dir_all(self.root(self.outside(""))).unwrap();
    }

    fn restore(&self) {
        fs::remove_dir_all(self.outside("")).unwrap();
        fs::create_dir(self.outside("")).unwrap();
        fs::write(self.outside("file"), "of the host\n").unwrap();
    }
}

/// The path that names the host's tree from inside: the first process's root is still the host's.
fn through_proc(start: &Start) -> PathBuf {
    Path::new("/proc/1/root").join(start.outside("").strip_prefix("/").unwrap())
}

// CVE-2024-0132: paths of the container resolved on the host's side.

#[test]
fn cve_2024_0132_a_links_folder_is_a_link_to_the_host() {
    let mut start = Start::new();
    start.twin();
    start.link("/usr/lib", start.outside(""));
    let ran = start.resists("ln -s evil \"$ROOT/usr/lib/link\"", &["--link=evil::/usr/lib/link"]);
    ran.quiet();
    // It was made where the link leads inside the container.
    let inside = start.root(start.outside("link"));
    assert_eq!(fs::read_link(inside).unwrap(), Path::new("evil"));
}

#[test]
fn cve_2024_0132_a_links_folder_climbs_out() {
    let mut start = Start::new();
    start.twin();
    let climb = "../".repeat(30) + start.outside("").to_str().unwrap().trim_start_matches('/');
    start.link("/usr/lib", climb);
    let ran = start.resists("ln -s evil \"$ROOT/usr/lib/link\"", &["--link=evil::/usr/lib/link"]);
    ran.quiet();
}

#[test]
fn cve_2024_0132_a_links_folder_leads_through_proc() {
    let mut start = Start::new();
    start.link("/usr/lib", through_proc(&start));
    let ran = start.resists(
        // chroot(2), then a link by path: what a hook does that trusts in being locked up.
        "perl -e 'chroot $ENV{ROOT} or die; symlink \"evil\", \"/usr/lib/link\" or die'",
        &["--link=evil::/usr/lib/link"],
    );
    ran.failed(1, "can't open the container's directory /usr/lib");
}

#[test]
fn cve_2024_0132_a_mount_target_is_a_link_to_the_host() {
    let mut start = Start::new();
    start.write("/mnt/.keep", "");
    fs::create_dir(start.outside("nvidia")).unwrap();
    fs::write(start.outside("nvidia/params"), "the host's\n").unwrap();
    // On the host ModifyDeviceFiles is on; the container's /proc/driver leads to the host's tree.
    start.before = "mount -t tmpfs tmpfs /proc/driver; mkdir -p /proc/driver/nvidia
        echo 'ModifyDeviceFiles: 1' >/proc/driver/nvidia/params
        umount proc; mount -t tmpfs tmpfs proc; ln -s \"$OUTSIDE\" proc/driver"
        .into();
    start.after = "cat \"$OUTSIDE/nvidia/params\"".into();
    let hook = std::mem::replace(
        &mut start.call,
        "echo covered >\"$STATE\"; mount --bind \"$STATE\" \"$ROOT/proc/driver/nvidia/params\""
            .into(),
    );
    assert_eq!(start.run(&[]).quiet(), "covered\n", "the attack is none");
    start.call = hook;
    let ran = start.run(&["--hide-device-node-params"]);
    assert_eq!(ran.stdout, "the host's\n", "the host's file was covered");
    ran.failed(1, "can't open the container's /proc/driver/nvidia/params");
}

/// Flips a name between a folder and a symbolic link to the host while `during` runs.
fn while_flipping<T>(start: &Start, name: &str, during: impl FnOnce() -> T) -> (T, usize) {
    let (stop, flips) = (AtomicBool::new(false), AtomicUsize::new(0));
    start.link("/flip", start.outside(""));
    let folder =
        rustix::fs::open(start.root(""), rustix::fs::OFlags::PATH, rustix::fs::Mode::empty())
            .unwrap();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&folder, name, &folder, "flip", exchange).unwrap();
                flips.fetch_add(1, Ordering::Relaxed);
            }
        });
        let result = during();
        stop.store(true, Ordering::Relaxed);
        result
    });
    (result, flips.into_inner())
}

#[test]
fn cve_2024_0132_a_links_folder_is_swapped_meanwhile() {
    let mut start = Start::new();
    fs::create_dir_all(start.root("a/b/c")).unwrap();
    start.twin();
    let host = snapshot(&start.outside(""));
    // Both ends of the flip take a link: the folder, and what the link names inside the container.
    start.call = "for i in $(seq 300); do \"$HOOK\" create-container --link=evil::/a/b/c/link$i <\"$STATE\" || exit; done".into();
    let (ran, flips) = while_flipping(&start, "a", || start.run(&[]));
    assert_eq!(snapshot(&start.outside("")), host, "{ran:?}");
    ran.quiet();
    assert!(flips > 1000, "only {flips} swaps");
    let count = |folder: PathBuf| fs::read_dir(folder).map_or(0, Iterator::count);
    let real = if start.root("a").is_symlink() { "flip/b/c" } else { "a/b/c" };
    let inside = count(start.root(start.outside("b/c")));
    let there = count(start.root(real));
    assert!(there > 0 && inside > 0, "{there} and {inside} links: the swap was never seen");
}

#[test]
fn cve_2024_0132_etc_is_swapped_while_the_cache_is_written() {
    let mut start = Start::new();
    start.twin();
    let host = snapshot(&start.outside(""));
    start.call =
        "for i in $(seq 60); do \"$HOOK\" create-container \"$@\" <\"$STATE\" || exit; done".into();
    let (ran, flips) =
        while_flipping(&start, "etc", || start.run(&[FOLDER, "--folder=/usr/lib/more"]));
    assert_eq!(snapshot(&start.outside("")), host, "{ran:?}");
    ran.quiet();
    assert!(flips > 1000, "only {flips} swaps");
}

// CVE-2025-23266: the environment that a privileged hook inherits.

#[test]
fn cve_2025_23266_a_library_of_the_image_is_preloaded() {
    let mut start = Start::new();
    let source = start.dir.path().join("evil.c");
    fs::write(
        &source,
        "#include <stdio.h>\n#include <stdlib.h>\n__attribute__((constructor)) static void evil(void) {\n\
         char path[4096]; snprintf(path, sizeof path, \"%s/owned\", getenv(\"OUTSIDE\"));\n\
         FILE *file = fopen(path, \"w\"); if (file) fclose(file); }\n",
    )
    .unwrap();
    compile(&source, &start.root("evil.so"), &["-shared", "-fPIC"]);
    // The working directory of a hook under runc is the container's root, so the path is relative.
    let environment = "LD_PRELOAD=./evil.so LD_LIBRARY_PATH=. GLIBC_TUNABLES=glibc.malloc.check=1";
    start.call = format!("{environment} {}", start.call);
    let ran = start.resists(&format!("{environment} /bin/true"), &["--link=new::/link", FOLDER]);
    ran.quiet();
    assert_eq!(start.cache().len(), 1, "ldconfig was not run");
}

#[test]
fn cve_2025_23266_the_hook_is_static() {
    let headers =
        Command::new("readelf").args(["--program-headers", "--wide"]).arg(hook()).output().unwrap();
    let text = String::from_utf8(headers.stdout).unwrap();
    assert!(text.contains("LOAD") && !text.contains("INTERP"), "{text}");
}

// CVE-2025-23267: ldconfig led out of the container.

#[test]
fn cve_2025_23267_the_cache_is_a_link_to_a_file_of_the_host() {
    let mut start = Start::new();
    start.link("/etc/ld.so.cache", start.outside("file"));
    let ran = start.resists("echo cache >\"$ROOT/etc/ld.so.cache\"", &[FOLDER]);
    ran.quiet();
    assert!(
        start.root("/etc/ld.so.cache").is_file() && !start.root("/etc/ld.so.cache").is_symlink()
    );
}

#[test]
fn cve_2025_23267_the_temporary_cache_is_a_link_through_proc() {
    let mut start = Start::new();
    start.link("/etc/ld.so.cache~", through_proc(&start).join("file"));
    let naive = "perl -e 'chroot $ENV{ROOT} or die; open F, \">\", \"/etc/ld.so.cache~\" or die'";
    start.resists(naive, &[FOLDER]).quiet();
    assert_eq!(start.cache().len(), 1);
}

#[test]
fn a_folder_in_the_temporary_caches_place_fails_with_a_sentence() {
    let start = Start::new();
    start.write("/etc/ld.so.cache~/file", "");
    start.run(&[FOLDER]).failed(1, "can't remove /etc/ld.so.cache~");
}

#[test]
fn cve_2025_23267_etc_leads_through_proc() {
    let mut start = Start::new();
    start.link("/etc", through_proc(&start));
    let ran = start.resists("/sbin/ldconfig -r \"$ROOT\"", &[FOLDER, "--application-profile"]);
    ran.failed(1, "can't open the container's directory /etc");
}

#[test]
fn cve_2025_23267_etc_is_a_link_to_the_host() {
    let mut start = Start::new();
    start.twin();
    start.link("/etc", start.outside(""));
    let ran = start.resists(": >\"$ROOT/etc/ld.so.cache\"", &[FOLDER]);
    ran.quiet();
    assert!(start.root(start.outside("ld.so.cache")).is_file());
}

#[test]
fn cve_2025_23267_drop_ins_lead_to_the_host() {
    let mut start = Start::new();
    start.twin();
    start.link("/etc/ld.so.conf.d", start.outside(""));
    let naive = "echo /a >\"$ROOT/etc/ld.so.conf.d/00.conf\"";
    start.resists(naive, &["--folder=/usr/lib/more"]).quiet();
    start.link("/etc/ld.so.conf.d", through_proc(&start));
    let naive =
        "perl -e 'chroot $ENV{ROOT} or die; open F, \">\", \"/etc/ld.so.conf.d/00.conf\" or die'";
    start.resists(naive, &["--folder=/usr/lib/more"]).quiet();
}

#[test]
fn cve_2025_23267_libraries_of_the_host_do_not_get_into_the_cache() {
    let mut start = Start::new();
    fs::copy(shared_library("libhost.so.1"), start.outside("libhost.so.1")).unwrap();
    let outside = through_proc(&start);
    start.write(
        "/etc/ld.so.conf",
        &format!("{}\n/evil\ninclude {}/*.conf\n", outside.display(), outside.display()),
    );
    fs::write(start.outside("host.conf"), "/of/the/host\n").unwrap();
    start.link("/evil", &outside);
    let call = std::mem::replace(&mut start.call, "/sbin/ldconfig -r \"$ROOT\"".into());
    start.run(&[]);
    assert!(start.cache().iter().any(|line| line.starts_with("libhost")), "the attack is none");
    start.call = call;
    start.run(&[FOLDER]).warned("");
    assert_eq!(start.cache(), ["libimage.so.1 => /lib/x86_64-linux-gnu/libimage.so.1"]);
}

#[test]
fn a_second_proc_is_no_way_out_either() {
    let mut start = Start::new();
    fs::create_dir(start.root("hostproc")).unwrap();
    start.before = "mount --bind /proc hostproc".into();
    // This test's own process is one whose root is the host's.
    let process = format!("/hostproc/{}/root", std::process::id());
    let outside = Path::new(&process).join(start.outside("").strip_prefix("/").unwrap());
    start.link("/etc", outside);
    start.resists("/sbin/ldconfig -r \"$ROOT\"", &[FOLDER]).failed(1, "/etc");
}

// Files that are not what they should be.

/// `ldconfig -r` itself waits at this; the hook must not.
#[test]
fn a_fifo_in_the_configuration_holds_nothing_up() {
    let mut start = Start::new();
    start.before = "mkfifo etc/ld.so.conf.d/00.conf; rm etc/ld.so.conf; mkfifo etc/ld.so.conf
        mkfifo usr/lib/x86_64-linux-gnu/libfifo.so.1; mkdir -p usr/local/cuda/compat etc/nvidia
        mkfifo usr/local/cuda/compat/libcuda.so.999.1 etc/nvidia/nvidia-application-profiles-rc.d"
        .into();
    let call = std::mem::replace(&mut start.call, "timeout 1 /sbin/ldconfig -r \"$ROOT\"".into());
    assert_eq!(start.run(&[]).code, 124, "the attack is none");
    start.call = call;
    start.before = String::new();
    start
        .run(&[FOLDER, "--folder=/usr/lib/more", "--cuda-compat=550.163.01"])
        .warned("/etc/ld.so.conf is not a regular file");
    assert_eq!(start.cache().len(), 1);
}

#[test]
fn device_nodes_and_endless_files_are_not_read() {
    let mut start = Start::new();
    start.before = "cd etc/ld.so.conf.d; mknod 01.conf c 1 5; ln -s /dev/zero 02.conf; mknod ../../dev/zero c 1 5
        truncate -s 1T 03.conf; ln -s 04.conf 04.conf; mkdir 05.conf; echo include '*.conf' >06.conf
        for i in $(seq 2000); do echo \"include /etc/ld.so.conf.d/0*.conf\"; done >07.conf
        head -c 200000 /dev/urandom >08.conf; cd ../..
        mknod usr/lib/x86_64-linux-gnu/libnode.so.1 c 1 5; truncate -s 1T usr/lib/x86_64-linux-gnu/libhuge.so.1
        mkdir usr/lib/x86_64-linux-gnu/libfolder.so.1
        mkdir -p usr/local/cuda/compat; truncate -s 1T usr/local/cuda/compat/libcuda.so.999.1"
        .into();
    let ran = start.run(&[FOLDER, "--cuda-compat=550.163.01"]);
    assert!(ran.stderr.contains("/etc/ld.so.conf.d/03.conf is larger than"), "{ran:?}");
    assert!(!ran.stderr.contains("/etc/ld.so.conf.d/06.conf"), "{ran:?}");
    ran.warned("left out of the library cache");
    assert_eq!(start.cache().len(), 1);
}

#[test]
fn a_hundred_thousand_files_are_no_harm() {
    let mut start = Start::new();
    start.before = "mount -t tmpfs tmpfs usr; mkdir -p usr/lib/x86_64-linux-gnu
        (cd usr/lib/x86_64-linux-gnu; seq -f 'lib%.0f.so' 100000 | xargs touch)
        (mkdir -p etc/ld.so.conf.d; cd etc/ld.so.conf.d; seq -f '%.0f.conf' 3000 | xargs touch)"
        .into();
    start.run(&["--link=new::/usr/lib/x86_64-linux-gnu/link", FOLDER]).warned("");
    assert!(start.root("/etc/ld.so.cache").is_file());
}

#[test]
fn a_cache_that_is_a_folder_fails_with_a_sentence() {
    let start = Start::new();
    fs::create_dir_all(start.root("/etc/ld.so.cache/x")).unwrap();
    let ran = start.run(&[FOLDER]);
    assert!(ran.code != 0 && ran.stderr.contains("ld.so.cache"), "{ran:?}");
}

#[test]
fn options_in_the_configuration_are_not_options_of_ldconfig() {
    let start = Start::new();
    start.write("/etc/ld.so.conf", "-r /\n--help\n-C/etc/passwd\n/opt/x\n/a=libc6\n");
    start.run(&[FOLDER]).quiet();
    assert_eq!(start.cache().len(), 1);
}

#[test]
fn an_auxiliary_cache_of_the_image_is_neither_read_nor_written() {
    let start = Start::new();
    start.write("/var/cache/ldconfig/aux-cache", "glibc-ld.so.auxcache-1.0 and then nonsense");
    let before = snapshot(&start.root("var"));
    start.run(&[FOLDER]).quiet();
    assert_eq!(snapshot(&start.root("var")), before);
}

#[test]
fn a_state_that_never_ends_is_refused() {
    let mut start = Start::new();
    start.call = "\"$HOOK\" create-container --link=a::/b </dev/zero".into();
    start.run(&[]).failed(1, "the container's state on stdin is larger than 4194304 bytes");
    start.call = "\"$HOOK\" create-container --link=a::/b <&-".into();
    start.run(&[]).failed(1, "is not the JSON that an OCI runtime writes");
}
