use super::*;
use std::process::Command;

fn rule(major: u32, minor: u32) -> DeviceRule {
    DeviceRule { block: false, major, minor }
}

/// A cgroup of version 2 in a mount of its own, which ends with the test.
struct Cgroup2 {
    mount: tempfile::TempDir,
    cgroup: PathBuf,
}

impl Cgroup2 {
    fn new() -> Cgroup2 {
        assert!(rustix::process::geteuid().is_root(), "this test mounts cgroups: run it as root");
        let mount = tempfile::tempdir().unwrap();
        let none = None::<&std::ffi::CStr>;
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("none", mount.path(), "cgroup2", flags, none).unwrap();
        let name = mount.path().file_name().unwrap().to_string_lossy().replace('.', "divvy-");
        let cgroup = mount.path().join(name);
        fs::create_dir(&cgroup).unwrap();
        Cgroup2 { mount, cgroup }
    }

    /// Attaches a program that allows just these, as a runtime does.
    fn restrict(&self, flags: u32, allowed: &[DeviceRule]) {
        let cgroup = fs::File::open(&self.cgroup).unwrap();
        let program = filter::tests::allowing(allowed);
        let program = crate::sys::load_device_program(&program).unwrap();
        crate::sys::attach_device_program(cgroup.as_fd(), program.as_fd(), flags, None).unwrap();
    }

    fn allow(&self, rules: &[DeviceRule]) {
        let place = Place { container: self.cgroup.clone(), own: self.mount.path().to_owned() };
        DeviceCgroups { v1: None, v2: Some(place) }.allow(rules).unwrap();
    }

    fn programs(&self) -> usize {
        let cgroup = fs::File::open(&self.cgroup).unwrap();
        crate::sys::device_programs(cgroup.as_fd()).unwrap().ids.len()
    }

    /// Which of these files of /dev a process in the cgroup can open.
    fn opens(&self, names: &[&str]) -> Vec<bool> {
        let open = |name: &&str| {
            let script =
                format!("echo 0 >{:?} && exec 3</dev/{name}", self.cgroup.join("cgroup.procs"));
            let ran = Command::new("sh").args(["-c", &script]).output().unwrap();
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            assert!(ran.status.success() || said.contains("not permitted"), "{said}");
            ran.status.success()
        };
        names.iter().map(open).collect()
    }
}

impl Drop for Cgroup2 {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.cgroup);
        let _ = rustix::mount::unmount(self.mount.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

const NULL: (u32, u32) = (1, 3);
const ZERO: (u32, u32) = (1, 5);

#[test]
fn the_program_allows_these_devices_more_and_no_others() {
    // Attached so that several may be, that a child's may replace it, and that none may.
    for flags in [2, 1, 0] {
        let cgroup = Cgroup2::new();
        cgroup.restrict(flags, &[rule(NULL.0, NULL.1)]);
        assert_eq!(cgroup.opens(&["null", "zero", "full"]), [true, false, false]);
        cgroup.allow(&[rule(195, 0), rule(ZERO.0, ZERO.1)]);
        assert_eq!(cgroup.opens(&["null", "zero", "full"]), [true, true, false], "flags {flags}");
        assert_eq!(cgroup.programs(), 1);
        // Once more, for another one.
        cgroup.allow(&[rule(1, 7)]);
        assert_eq!(cgroup.opens(&["null", "zero", "full", "random"]), [true, true, true, false]);
    }
}

#[test]
fn where_several_programs_decide_all_are_replaced() {
    let cgroup = Cgroup2::new();
    cgroup.restrict(2, &[rule(NULL.0, NULL.1)]);
    cgroup.restrict(2, &[rule(NULL.0, NULL.1), rule(1, 7)]);
    cgroup.allow(&[rule(ZERO.0, ZERO.1)]);
    assert_eq!(cgroup.opens(&["null", "zero", "full"]), [true, true, false]);
    assert_eq!(cgroup.programs(), 2);
}

#[test]
fn a_block_device_is_not_a_character_device_of_the_same_number() {
    let cgroup = Cgroup2::new();
    cgroup.restrict(2, &[rule(NULL.0, NULL.1)]);
    cgroup.allow(&[DeviceRule { block: true, ..rule(ZERO.0, ZERO.1) }]);
    assert_eq!(cgroup.opens(&["null", "zero"]), [true, false]);
}

#[test]
fn a_cgroup_without_a_program_stays_so() {
    let cgroup = Cgroup2::new();
    cgroup.allow(&[rule(ZERO.0, ZERO.1)]);
    assert_eq!(cgroup.opens(&["null", "zero", "full"]), [true; 3]);
    assert_eq!(cgroup.programs(), 0);
}

#[test]
fn the_cgroups_are_found_in_every_layout() {
    let layout = |mounted: &[&str]| {
        let mounts = tempfile::tempdir().unwrap();
        for path in mounted {
            let folder = mounts.path().join(path);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("cgroup.procs"), "").unwrap();
        }
        mounts
    };
    let own = "5:devices:/engine\n0::/engine\n";
    let both = "9:name=systemd:/x\n5:devices:/docker/c1\n0::/docker/c2\n";
    // A hierarchy that isn't mounted here has its processes all the same.
    let (only_v1, only_v2) =
        ("5:devices:/docker/c1\n0::/engine\n", "5:devices:/engine\n0::/docker/c2\n");
    for (mounted, container, v1, v2) in [
        (&["devices"][..], only_v1, Some("devices/docker/c1"), None),
        (&[""], only_v2, None, Some("docker/c2")),
        (&["devices", "unified"], both, Some("devices/docker/c1"), Some("unified/docker/c2")),
    ] {
        let mounts = layout(mounted);
        let find = |container| DeviceCgroups::find(mounts.path(), container, own).unwrap();
        let found = find(container);
        let folder = |place: Option<Place>| place.map(|place| place.container);
        let wanted = |path: Option<&str>| path.map(|path| mounts.path().join(path));
        assert_eq!((folder(found.v1), folder(found.v2)), (wanted(v1), wanted(v2)), "{mounted:?}");
        assert_eq!(find(own), DeviceCgroups::default(), "{mounted:?}");
    }
    for mounted in [&[][..], &["devices"], &[""]] {
        let error = DeviceCgroups::find(layout(mounted).path(), both, own).unwrap_err().to_string();
        assert!(error.contains("in no hierarchy that is mounted"), "{error}");
    }
}

#[test]
fn a_cgroup_that_cannot_be_edited_is_refused() {
    let cgroup = Cgroup2::new();
    let find = |container: &str| {
        DeviceCgroups::find(cgroup.mount.path(), container, "0::/\n").unwrap_err().to_string()
    };
    for scope in
        ["0::/system.slice/docker-c1.scope\n", "0::/machine.slice/libpod-c1.scope/container\n"]
    {
        let error = find(scope);
        assert!(error.contains("systemd") && error.contains("divvy runtime configure"), "{error}");
    }
    assert!(find("0::/../c1\n").contains("cgroup namespace"));
    for unknown in ["", "nonsense"] {
        assert!(find(unknown).contains("doesn't say"), "{unknown}");
    }
}
