//! What the driver installed besides libraries: programs, sockets, firmware and profile files.

use super::DriverFile;
use super::root::Root;
use crate::host::Host;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

const BINARIES: [&str; 7] = [
    "nvidia-smi",
    "nvidia-debugdump",
    "nvidia-persistenced",
    "nvidia-cuda-mps-control",
    "nvidia-cuda-mps-server",
    "nvidia-imex",
    "nvidia-imex-ctl",
];
/// The last is NixOS's.
const BINARY_FOLDERS: [&str; 7] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/run/current-system/sw/bin",
];
const SOCKETS: [&str; 2] = ["/run/nvidia-fabricmanager/socket", "/run/nvidia-persistenced/socket"];

/// Profile files of EGL, GBM, OptiX, OpenCL and X, below `/etc` or a data folder.
const PROFILES: [&str; 12] = [
    "glvnd/egl_vendor.d/10_nvidia.json",
    "egl/egl_external_platform.d/10_nvidia_wayland.json",
    "egl/egl_external_platform.d/15_nvidia_gbm.json",
    "egl/egl_external_platform.d/20_nvidia_xcb.json",
    "egl/egl_external_platform.d/20_nvidia_xlib.json",
    "nvidia/nvoptix.bin",
    "OpenCL/vendors/nvidia.icd",
    "X11/xorg.conf.d/10-nvidia.conf",
    "X11/xorg.conf.d/nvidia-drm-outputclass.conf",
    "vulkan/icd.d/nvidia_icd.json",
    "vulkan/icd.d/nvidia_layers.json",
    "vulkan/implicit_layer.d/nvidia_layers.json",
];
/// Where profile files are looked for. The last has Vulkan's on Container-Optimized OS.
const PROFILE_FOLDERS: [&str; 4] = ["/etc", "/usr/local/share", "/usr/share", "/"];

pub(super) fn binaries(root: &Root) -> Vec<DriverFile> {
    let folders: Vec<&Path> = BINARY_FOLDERS.iter().map(Path::new).collect();
    BINARIES.iter().filter_map(|name| first(root, &folders, name)).collect()
}

/// Profile files. Vulkan's loader in the container reads `/etc`, wherever the host has them.
pub(super) fn profiles(root: &Root, search: &[PathBuf]) -> Vec<DriverFile> {
    let given: Vec<PathBuf> = search.iter().map(|folder| root.inside(folder)).collect();
    let folders: Vec<&Path> = match given.as_slice() {
        [] => PROFILE_FOLDERS.iter().map(Path::new).collect(),
        given => given.iter().map(PathBuf::as_path).collect(),
    };
    // RPM packages name it by machine.
    let by_machine = format!("vulkan/icd.d/nvidia_icd.{}.json", std::env::consts::ARCH);
    let names = PROFILES.into_iter().chain([by_machine.as_str()]);
    let mut files: Vec<DriverFile> = Vec::new();
    for name in names {
        let Some(mut file) = first(root, &folders, name) else { continue };
        if name.starts_with("vulkan/") {
            file.container_path = format!("/etc/{name}");
        }
        files.push(file);
    }
    files
}

/// GSP firmware of the version, from the first folder that has some, in the kernel's order.
pub(super) fn firmware(root: &Root, host: &Host, version: &str) -> Vec<DriverFile> {
    let custom = fs::read_to_string(host.sys_root.join("module/firmware_class/parameters/path"));
    let custom = custom.ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let standard = [
        format!("/lib/firmware/updates/{release}"),
        "/lib/firmware/updates".to_owned(),
        format!("/lib/firmware/{release}"),
        "/lib/firmware".to_owned(),
    ];
    for folder in custom.into_iter().chain(standard) {
        let folder = Path::new(&folder).join("nvidia").join(version);
        let Some(resolved) = root.resolve(&folder) else { continue };
        let listed = root.list(&resolved);
        let names = listed.iter().map(|entry| entry.name.as_str());
        let images = names.filter(|name| name.starts_with("gsp") && name.ends_with(".bin"));
        let files: Vec<DriverFile> =
            images.filter_map(|name| DriverFile::find(root, &folder.join(name))).collect();
        if !files.is_empty() {
            return files;
        }
    }
    Vec::new()
}

/// Sockets of the driver's services that run now.
pub(super) fn sockets(root: &Root) -> Vec<DriverFile> {
    let files = SOCKETS.iter().filter_map(|path| DriverFile::find(root, Path::new(path)));
    files.filter(|file| is_socket(&file.host_path)).collect()
}

fn is_socket(path: &str) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn first(root: &Root, folders: &[&Path], name: &str) -> Option<DriverFile> {
    folders.iter().find_map(|folder| DriverFile::find(root, &folder.join(name)))
}
