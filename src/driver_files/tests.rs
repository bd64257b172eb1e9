//! Driver trees as distributions lay them out.

use super::ld_cache::tests::cache;
use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

const VERSION: &str = "550.163.01";

/// A driver root below a temporary folder. Beside it lies what a link that escapes would reach.
struct Tree {
    dir: TempDir,
}

impl Tree {
    fn new() -> Tree {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        Tree { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn file(self, path: &str) -> Tree {
        self.bytes(path, b"")
    }

    fn bytes(self, path: &str, bytes: &[u8]) -> Tree {
        let path = self.root().join(&path[1..]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn link(self, path: &str, target: &str) -> Tree {
        let path = self.root().join(&path[1..]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    fn host(&self) -> Host {
        Host { driver_root: self.root(), sys_root: self.root().join("sys"), ..Host::default() }
    }

    fn find(&self) -> DriverFiles {
        DriverFiles::find(&self.host(), VERSION, &Search::default()).unwrap()
    }
}

fn containers(files: &[DriverFile]) -> Vec<&str> {
    files.iter().map(|file| file.container_path.as_str()).collect()
}

fn links(files: &DriverFiles) -> Vec<(&str, &str)> {
    files.links.iter().map(|link| (link.path.as_str(), link.target.as_str())).collect()
}

#[test]
fn ubuntu_keeps_everything_in_the_multiarch_folder() {
    let lib = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let tree = Tree::new()
        .link("/lib", "usr/lib")
        .file(&format!("{lib}/libcuda.so.{VERSION}"))
        .link(&format!("{lib}/libcuda.so.1"), &format!("libcuda.so.{VERSION}"))
        .file(&format!("{lib}/libc.so.6"))
        .file(&format!("{lib}/libnvidia-egl-gbm.so.1.1.0"))
        .link(&format!("{lib}/libnvidia-egl-gbm.so.1"), "libnvidia-egl-gbm.so.1.1.0")
        .file(&format!("{lib}/libnvidia-allocator.so.{VERSION}"))
        .file(&format!("{lib}/vdpau/libvdpau_nvidia.so.{VERSION}"))
        .file("/usr/bin/nvidia-smi");
    let found = tree.find();
    let expected = [
        format!("{lib}/libcuda.so.{VERSION}"),
        format!("{lib}/libnvidia-allocator.so.{VERSION}"),
        format!("{lib}/libnvidia-egl-gbm.so.1.1.0"),
        format!("{lib}/vdpau/libvdpau_nvidia.so.{VERSION}"),
    ];
    assert_eq!(containers(&found.libraries), expected);
    assert_eq!(found.library_folders, [lib.clone(), format!("{lib}/vdpau")]);
    assert_eq!(containers(&found.binaries), ["/usr/bin/nvidia-smi"]);
    assert_eq!(
        links(&found),
        [
            (format!("{lib}/gbm/nvidia-drm_gbm.so").as_str(), "../libnvidia-allocator.so.1"),
            (format!("{lib}/libcuda.so").as_str(), "libcuda.so.1"),
            (format!("{lib}/libcuda.so.1").as_str(), "libcuda.so.550.163.01"),
            (format!("{lib}/libnvidia-egl-gbm.so.1").as_str(), "libnvidia-egl-gbm.so.1.1.0"),
        ]
    );
}

#[test]
fn debian_leads_over_alternatives_to_nvidia_current() {
    let lib = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let current = format!("{lib}/nvidia/current");
    let tree = Tree::new()
        .link(&format!("{lib}/libcuda.so.1"), "/etc/alternatives/nvidia--libcuda.so.1")
        .link("/etc/alternatives/nvidia--libcuda.so.1", &format!("{current}/libcuda.so.1"))
        .link(&format!("{current}/libcuda.so.1"), &format!("libcuda.so.{VERSION}"))
        .file(&format!("{current}/libcuda.so.{VERSION}"))
        .file(&format!("{current}/libnvidia-allocator.so.{VERSION}"))
        .file(&format!("{lib}/libnvidia-glcore.so.{VERSION}"))
        .link("/usr/bin/nvidia-smi", "/etc/alternatives/nvidia--nvidia-smi")
        .link("/etc/alternatives/nvidia--nvidia-smi", "/usr/lib/nvidia/current/nvidia-smi")
        .file("/usr/lib/nvidia/current/nvidia-smi");
    let found = tree.find();
    assert_eq!(found.library_folders, [lib.clone(), current.clone()]);
    let smi = DriverFile {
        container_path: "/usr/bin/nvidia-smi".into(),
        host_path: tree.root().join("usr/lib/nvidia/current/nvidia-smi").to_str().unwrap().into(),
    };
    assert_eq!(found.binaries, [smi]);
    assert_eq!(
        links(&found),
        [
            (
                format!("{lib}/gbm/nvidia-drm_gbm.so").as_str(),
                "../nvidia/current/libnvidia-allocator.so.1"
            ),
            (format!("{current}/libcuda.so").as_str(), "libcuda.so.1"),
            (format!("{current}/libcuda.so.1").as_str(), "libcuda.so.550.163.01"),
        ]
    );
}

#[test]
fn red_hat_has_lib64_and_32_bit_libraries_in_lib() {
    let tree = Tree::new()
        .file(&format!("/usr/lib64/libcuda.so.{VERSION}"))
        .bytes(&format!("/usr/lib/libcuda.so.{VERSION}"), b"\x7fELF\x01\x01")
        .bytes(&format!("/usr/lib/libnvidia-only32.so.{VERSION}"), b"\x7fELF\x01\x01")
        .file("/usr/share/vulkan/icd.d/nvidia_icd.json");
    let found = tree.find();
    assert_eq!(containers(&found.libraries), ["/usr/lib64/libcuda.so.550.163.01"]);
    assert_eq!(containers(&found.profiles), ["/etc/vulkan/icd.d/nvidia_icd.json"]);
    assert!(found.profiles[0].host_path.ends_with("/usr/share/vulkan/icd.d/nvidia_icd.json"));
}

#[test]
fn nixos_links_its_libraries_from_the_store() {
    let store = "/nix/store/abc-nvidia-x11/lib";
    let tree = Tree::new()
        .file(&format!("{store}/libcuda.so.{VERSION}"))
        .link(&format!("{store}/libcuda.so.1"), &format!("libcuda.so.{VERSION}"))
        .link("/run/opengl-driver", "/nix/store/def-graphics-drivers")
        .link(
            &format!("/nix/store/def-graphics-drivers/lib/libcuda.so.{VERSION}"),
            &format!("{store}/libcuda.so.{VERSION}"),
        );
    let found = tree.find();
    assert_eq!(containers(&found.libraries), [format!("{store}/libcuda.so.{VERSION}")]);
    assert_eq!(found.library_folders, [store]);
}

#[test]
fn the_library_cache_leads_to_folders_of_any_name() {
    let file = format!("/opt/driver/lib/libcuda.so.{VERSION}");
    let entries =
        [("libcuda.so.1", "/opt/driver/lib/libcuda.so.1"), ("libc.so.6", "/lib/libc.so.6")];
    let tree = Tree::new().file(&file).bytes("/etc/ld.so.cache", &cache(&entries));
    assert_eq!(containers(&tree.find().libraries), [file]);
}

#[test]
fn given_folders_take_the_place_of_the_usual_ones() {
    let tree = Tree::new()
        .file(&format!("/usr/lib64/libcuda.so.{VERSION}"))
        .file(&format!("/mine/libcuda.so.{VERSION}"))
        .file("/conf/OpenCL/vendors/nvidia.icd")
        .file("/etc/OpenCL/vendors/nvidia.icd");
    // One as the root sees it, one as a path of the host.
    let search =
        Search { libraries: vec!["/mine".into()], profiles: vec![tree.root().join("conf")] };
    let found = DriverFiles::find(&tree.host(), VERSION, &search).unwrap();
    assert_eq!(containers(&found.libraries), [format!("/mine/libcuda.so.{VERSION}")]);
    assert_eq!(containers(&found.profiles), ["/conf/OpenCL/vendors/nvidia.icd"]);
}

#[test]
fn no_link_leads_out_of_the_root() {
    let tree = Tree::new().file(&format!("/usr/lib64/libcuda.so.{VERSION}"));
    let outside = tree.dir.path().join("secret");
    fs::write(&outside, "").unwrap();
    let tree = tree
        .link("/usr/bin/nvidia-smi", outside.to_str().unwrap())
        .link("/usr/bin/nvidia-debugdump", "../../../secret")
        .link(&format!("/usr/lib64/libnvidia-ml.so.{VERSION}"), "../../../../secret")
        .link("/etc/OpenCL", tree_parent(&outside));
    let found = tree.find();
    assert_eq!(containers(&found.binaries), [""; 0]);
    assert_eq!(containers(&found.profiles), [""; 0]);
    assert_eq!(containers(&found.libraries), ["/usr/lib64/libcuda.so.550.163.01"]);
}

fn tree_parent(path: &Path) -> &str {
    path.parent().unwrap().to_str().unwrap()
}

#[test]
fn libraries_of_another_version_are_not_taken() {
    let tree =
        Tree::new().file("/usr/lib64/libcuda.so.535.261.03").bytes("/etc/ld.so.cache", b"junk");
    let error = DriverFiles::find(&tree.host(), VERSION, &Search::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("driver 550.163.01"), "{text}");
    assert!(text.contains("/usr/lib64"), "{text}");
    assert!(text.contains("--driver-root"), "{text}");
}

#[test]
fn a_root_that_no_spec_can_name_is_an_error() {
    use std::os::unix::ffi::OsStrExt;
    for name in [&b"/driver\xff"[..], b"/driver\n"] {
        let driver_root = Path::new(std::ffi::OsStr::from_bytes(name)).to_owned();
        let host = Host { driver_root, ..Host::default() };
        let error = DriverFiles::find(&host, VERSION, &Search::default()).unwrap_err();
        assert!(matches!(error, Error::NotText { .. }), "{error}");
    }
}

#[test]
fn firmware_comes_from_the_first_folder_that_has_it() {
    let tree = Tree::new()
        .file(&format!("/usr/lib64/libcuda.so.{VERSION}"))
        .file(&format!("/lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin"))
        .file(&format!("/srv/firmware/nvidia/{VERSION}/gsp_tu10x.bin"))
        .bytes("/sys/module/firmware_class/parameters/path", b"/srv/firmware\n");
    let found = tree.find();
    assert_eq!(
        containers(&found.firmware),
        [format!("/srv/firmware/nvidia/{VERSION}/gsp_tu10x.bin")]
    );
}

#[test]
fn a_file_in_a_socket_s_place_is_no_socket() {
    let tree = Tree::new()
        .file(&format!("/usr/lib64/libcuda.so.{VERSION}"))
        .file("/run/nvidia-persistenced/socket");
    assert_eq!(tree.find().sockets, []);
    let socket = tree.root().join("run/nvidia-persistenced/socket");
    fs::remove_file(&socket).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    assert_eq!(containers(&tree.find().sockets), ["/run/nvidia-persistenced/socket"]);
}

/// A dev root whose nodes are plain files: what they are is the engine's to see.
fn with_nodes(names: &[&str]) -> (Tree, Host) {
    let tree = names.iter().fold(Tree::new(), |tree, name| tree.file(&format!("/dev/{name}")));
    let host = Host { dev_root: tree.root(), ..tree.host() };
    (tree, host)
}

#[test]
fn control_nodes_are_needed_and_modeset_is_not() {
    let (_tree, host) = with_nodes(&["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"]);
    let nodes = Nodes::find(&host, []).unwrap();
    assert_eq!(nodes.control, ["nvidia-uvm", "nvidia-uvm-tools", "nvidiactl"]);
    let (_tree, host) = with_nodes(&["nvidiactl", "nvidia-uvm-tools"]);
    let error = Nodes::find(&host, []).unwrap_err().to_string();
    assert!(error.contains("/dev/nvidia-uvm is missing"), "{error}");
    assert!(error.contains("nvidia-modprobe"), "{error}");
}

#[test]
fn drm_nodes_that_are_missing_are_left_out() {
    let (tree, host) =
        with_nodes(&["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "dri/renderD128"]);
    let tree = tree
        .file("/sys/bus/pci/devices/0000:1a:00.0/drm/card1/x")
        .file("/sys/bus/pci/devices/0000:1a:00.0/drm/card1-DP-1/x")
        .file("/sys/bus/pci/devices/0000:1a:00.0/drm/renderD128/x");
    let nodes = Nodes::find(&host, ["0000:1a:00.0".to_owned(), "0000:1b:00.0".to_owned()]).unwrap();
    let names: Vec<&str> =
        nodes.drm_of("0000:1a:00.0").iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["dri/renderD128"]);
    assert_eq!(nodes.drm_of("0000:1b:00.0"), []);
    drop(tree);
}
