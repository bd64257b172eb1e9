//! The driver root: what a driver package installs, with files that load but do nothing.

use super::elf;
use super::files::{at, copy, file, folder, link, mode, program};
use crate::node::Node;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian and Ubuntu keep libraries.
const LIBRARY_FOLDER: &str = if cfg!(target_arch = "aarch64") {
    "usr/lib/aarch64-linux-gnu"
} else {
    "usr/lib/x86_64-linux-gnu"
};

/// The driver's libraries: name, the number in the SONAME (none: the SONAME is the whole file
/// name), and whether a development link stands beside it.
const LIBRARIES: &[(&str, Option<u32>, bool)] = &[
    ("libEGL_nvidia", Some(0), false),
    ("libGLESv1_CM_nvidia", Some(1), false),
    ("libGLESv2_nvidia", Some(2), false),
    ("libGLX_nvidia", Some(0), false),
    ("libcuda", Some(1), true),
    ("libcudadebugger", Some(1), false),
    ("libnvcuvid", Some(1), true),
    ("libnvidia-allocator", Some(1), true),
    ("libnvidia-cfg", Some(1), false),
    ("libnvidia-eglcore", None, false),
    ("libnvidia-encode", Some(1), true),
    ("libnvidia-fbc", Some(1), false),
    ("libnvidia-glcore", None, false),
    ("libnvidia-glsi", None, false),
    ("libnvidia-glvkspirv", None, false),
    ("libnvidia-gpucomp", None, false),
    ("libnvidia-ml", Some(1), true),
    ("libnvidia-ngx", Some(1), false),
    ("libnvidia-nvvm", Some(4), true),
    ("libnvidia-opencl", Some(1), false),
    ("libnvidia-opticalflow", Some(1), true),
    ("libnvidia-pkcs11-openssl3", None, false),
    ("libnvidia-pkcs11", None, false),
    ("libnvidia-ptxjitcompiler", Some(1), true),
    ("libnvidia-rtcore", None, false),
    ("libnvidia-tls", None, false),
    ("libnvoptix", Some(1), false),
    ("vdpau/libvdpau_nvidia", Some(1), false),
];

/// Programs that the node has in name only.
const PROGRAMS: &[&str] = &[
    "nvidia-cuda-mps-server",
    "nvidia-debugdump",
    "nvidia-imex",
    "nvidia-imex-ctl",
    "nvidia-persistenced",
];

/// Files that are there for their path; the version stands for `{}`.
const FILES: &[(&str, &str)] = &[
    ("etc/OpenCL/vendors/nvidia.icd", "libnvidia-opencl.so.1\n"),
    (
        "etc/vulkan/icd.d/nvidia_icd.json",
        r#"{"file_format_version": "1.0.1", "ICD": {"library_path": "libGLX_nvidia.so.0", "api_version": "1.3.277"}}"#,
    ),
    (
        "etc/vulkan/implicit_layer.d/nvidia_layers.json",
        r#"{"file_format_version": "1.0.0", "layers": []}"#,
    ),
    (
        "usr/share/glvnd/egl_vendor.d/10_nvidia.json",
        r#"{"file_format_version": "1.0.0", "ICD": {"library_path": "libEGL_nvidia.so.0"}}"#,
    ),
    ("usr/share/nvidia/nvoptix.bin", "simulated\n"),
    ("lib/firmware/nvidia/{}/gsp_ga10x.bin", "simulated\n"),
    ("lib/firmware/nvidia/{}/gsp_tu10x.bin", "simulated\n"),
];

const FOLDERS: &[&str] = &["tmp", "usr/sbin", "usr/share/egl/egl_external_platform.d"];
const SOCKETS: &[&str] = &["run/nvidia-fabricmanager/socket", "run/nvidia-persistenced/socket"];

/// What a node's folder is made from.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The simulated NVML, a `libfake_nvml.so`.
    pub library: PathBuf,
    /// The program that stands in for `nvidia-smi` and `nvidia-modprobe`.
    pub program: PathBuf,
}

/// Writes the driver root.
pub(super) fn write(node: &Node, binaries: &Binaries) -> Result<(), String> {
    let root = node.path("driver");
    let version = &node.file.driver_version;
    libraries(&root, version, binaries)?;
    programs(&root, binaries)?;
    for (path, content) in FILES {
        file(&root.join(path.replace("{}", version)), content)?;
    }
    for path in FOLDERS {
        folder(&root.join(path))?;
    }
    SOCKETS.iter().try_for_each(|path| socket(&root.join(path)))?;
    library_cache(&root)
}

fn libraries(root: &Path, version: &str, binaries: &Binaries) -> Result<(), String> {
    for (name, number, development) in LIBRARIES {
        let path = root.join(LIBRARY_FOLDER).join(format!("{name}.so.{version}"));
        let name = name.rsplit('/').next().unwrap_or(name);
        let whole = format!("{name}.so.{version}");
        let soname = number.map_or_else(|| whole.clone(), |number| format!("{name}.so.{number}"));
        match name {
            "libnvidia-ml" => copy(&binaries.library, &path)?,
            _ => program(&path, elf::library(&soname))?,
        }
        if soname != whole {
            link(&path.with_file_name(&soname), &whole)?;
        }
        if *development {
            link(&path.with_file_name(format!("{name}.so")), &soname)?;
        }
    }
    let gbm = root.join(LIBRARY_FOLDER).join("gbm/nvidia-drm_gbm.so");
    link(&gbm, "../libnvidia-allocator.so.1")
}

fn programs(root: &Path, binaries: &Binaries) -> Result<(), String> {
    let folder = root.join("usr/bin");
    copy(&binaries.program, &folder.join("nvidia-smi"))?;
    let modprobe = folder.join("nvidia-modprobe");
    at(&modprobe, fs::hard_link(folder.join("nvidia-smi"), &modprobe))?;
    for name in PROGRAMS {
        let text =
            format!("#!/bin/sh\necho '{name}: this node is simulated and has none' >&2\nexit 1\n");
        program(&folder.join(name), text)?;
    }
    program(&folder.join("nvidia-cuda-mps-control"), NO_MPS)
}

/// As a client it answers as NVIDIA's does where no daemon runs; as the daemon it says why, and ends.
const NO_MPS: &str = "\
#!/bin/sh
if [ \"$1\" = -f ]; then
  echo \"nvidia-cuda-mps-control: MPS isn't simulated on this node; with NVIDIA's own program in this one's place it works\" >&2
else
  echo 'Cannot find MPS control daemon process'
fi
exit 1
";

/// A socket's file without a listener: a path too long for bind() does no harm.
fn socket(path: &Path) -> Result<(), String> {
    folder(path.parent().unwrap_or(path))?;
    at(path, mknodat(CWD, path, FileType::Socket, Mode::from_raw_mode(0o755), 0))?;
    mode(path, 0o755)
}

/// A real library cache, where this machine has the program that writes one.
fn library_cache(root: &Path) -> Result<(), String> {
    let programs = ["/sbin/ldconfig.real", "/sbin/ldconfig", "/usr/bin/ldconfig"];
    let Some(ldconfig) = programs.iter().find(|path| Path::new(path).is_file()) else {
        return Ok(());
    };
    file(&root.join("etc/ld.so.conf"), format!("/{LIBRARY_FOLDER}\n"))?;
    // -X: the links are those of the driver, none of ldconfig's own.
    let run = Command::new(ldconfig).arg("-X").arg("-r").arg(root).output();
    let output = at(Path::new(ldconfig), run)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{ldconfig}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
