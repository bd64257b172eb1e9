//! The driver's shared libraries, and the links beside them.

use super::root::{Listed, ListedKind, Root, text};
use super::{DriverFile, Link, elf, ld_cache};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// Libraries that come with the driver under versions of their own, by the start of their names.
const OTHER_VERSIONS: [&str; 5] = [
    "libnvidia-egl-gbm.so.",
    "libnvidia-egl-wayland.so.",
    "libnvidia-egl-xcb.so.",
    "libnvidia-egl-xlib.so.",
    "libnvidia-nvvm70.so.",
];
/// Links that programs expect although no package makes them: (link, library, whether the link leads to
/// the library's SONAME link rather than to the file).
const WANTED_LINKS: [(&str, &str, Option<&str>); 5] = [
    // Programs open libcuda.so.
    ("libcuda.so", "libcuda.so", Some("libcuda.so.1")),
    // Needed for indirect GLX by GLVND.
    ("libGLX_indirect.so.0", "libGLX_nvidia.so", None),
    ("libnvidia-opticalflow.so", "libnvidia-opticalflow.so", Some("libnvidia-opticalflow.so.1")),
    ("libnvidia-vulkan-producer.so", "libnvidia-vulkan-producer.so", None),
    ("libglxserver_nvidia.so", "libglxserver_nvidia.so", None),
];
/// Where X server modules lie: below a library folder, and on their own.
const XORG_SUBFOLDERS: [&str; 4] =
    ["nvidia/xorg", "xorg", "xorg/modules/drivers", "xorg/modules/extensions"];
const XORG_FOLDERS: [&str; 4] = [
    "/usr/lib/xorg/modules/drivers",
    "/usr/lib/xorg/modules/extensions",
    "/usr/lib64/xorg/modules/drivers",
    "/usr/lib64/xorg/modules/extensions",
];

/// Where distributions put a driver's 64-bit libraries, besides what `ld.so.cache` says. Debian keeps
/// some in `nvidia/current`, NixOS links them from `/run/opengl-driver`, Talos has a glibc of its own.
fn usual_folders() -> Vec<PathBuf> {
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let current = format!("{multiarch}/nvidia/current");
    let fixed = [
        "/usr/lib64",
        "/usr/lib64/nvidia",
        "/lib64",
        "/usr/lib",
        "/usr/lib/nvidia",
        "/run/opengl-driver/lib",
        "/usr/local/glibc/usr/lib",
        "/glibc/lib",
    ];
    [multiarch, current].into_iter().chain(fixed.map(str::to_owned)).map(PathBuf::from).collect()
}

/// What was found in the library folders.
#[derive(Debug, Default)]
pub(super) struct Libraries {
    pub(super) files: Vec<DriverFile>,
    pub(super) links: Vec<Link>,
    /// As containers see them, for their library cache.
    pub(super) folders: Vec<String>,
    /// Names taken: of the same library in two folders, the first is the one that the linker takes.
    names: BTreeSet<String>,
}

/// A folder, resolved, and what is in it.
type Folder = (PathBuf, Vec<Listed>);

/// Where to look: the folders that were given, else those of `ld.so.cache` and the usual ones.
pub(super) fn candidates(root: &Root, given: &[PathBuf]) -> Vec<PathBuf> {
    match given {
        [] => cached_folders(root).into_iter().chain(usual_folders()).collect(),
        given => given.iter().map(|folder| root.inside(folder)).collect(),
    }
}

/// Finds the libraries of one driver version in the candidates.
pub(super) fn find(root: &Root, version: &str, candidates: &[PathBuf]) -> Libraries {
    let folders = driver_folders(root, version, candidates);
    let mut found = Libraries::default();
    for folder in &folders {
        found.take_libraries(root, version, folder);
    }
    for folder in xorg_folders(root, &folders) {
        found.take_xorg(root, version, &folder);
    }
    found.files.sort();
    found.links.sort();
    found.links.dedup();
    found.folders.sort();
    found
}

/// The folders of the driver's libraries in `ld.so.cache`.
fn cached_folders(root: &Root) -> Vec<PathBuf> {
    let Some(path) = root.resolve(Path::new("/etc/ld.so.cache")) else { return Vec::new() };
    let Ok(bytes) = fs::read(root.host_path(&path)) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = Vec::new();
    for (name, path) in ld_cache::libraries(&bytes) {
        let of_driver = name.starts_with("libcuda.so") || name.starts_with("libnvidia-");
        let folder = Path::new(path).parent().filter(|_| of_driver);
        let unknown = folder.filter(|folder| !folders.iter().any(|known| known == folder));
        folders.extend(unknown.map(Path::to_owned));
    }
    folders
}

/// The folders that hold a library of this version as a file, each once. A folder with links to such
/// libraries adds the folders that they lead to.
fn driver_folders(root: &Root, version: &str, candidates: &[PathBuf]) -> Vec<Folder> {
    let mut queue: VecDeque<PathBuf> = candidates.iter().cloned().collect();
    let mut seen = BTreeSet::new();
    let mut folders = Vec::new();
    while let Some(candidate) = queue.pop_front() {
        let folder = root.resolve(&candidate);
        let Some(folder) = folder.filter(|folder| seen.insert(folder.clone())) else { continue };
        let listed = root.list(&folder);
        let versioned = |kind| {
            let entries = listed.iter().filter(move |entry| entry.kind == kind);
            entries.filter(|entry| is_versioned(&entry.name, version))
        };
        for link in versioned(ListedKind::Link) {
            let target = root.resolve(&folder.join(&link.name));
            queue.extend(target.as_deref().and_then(Path::parent).map(Path::to_owned));
        }
        let Some(first) = versioned(ListedKind::File).next() else { continue };
        if elf::is_32_bit(&root.host_path(&folder.join(&first.name))) {
            continue;
        }
        queue.push_back(folder.join("vdpau"));
        folders.push((folder, listed));
    }
    folders
}

fn xorg_folders(root: &Root, libraries: &[Folder]) -> BTreeSet<PathBuf> {
    let below =
        libraries.iter().flat_map(|(folder, _)| XORG_SUBFOLDERS.map(|name| folder.join(name)));
    let all = below.chain(XORG_FOLDERS.map(PathBuf::from));
    all.filter_map(|folder| root.resolve(&folder)).collect()
}

impl Libraries {
    fn take_libraries(&mut self, root: &Root, version: &str, (folder, listed): &Folder) {
        let Some(folder_text) = text(folder) else { return };
        let files = listed.iter().filter(|entry| entry.kind == ListedKind::File);
        let names: Vec<&str> = files
            .map(|entry| entry.name.as_str())
            .filter(|name| is_versioned(name, version) || has_other_version(name))
            .filter(|name| self.names.insert((*name).to_owned()))
            .collect();
        if names.is_empty() {
            return;
        }
        self.files
            .extend(names.iter().filter_map(|name| DriverFile::in_place(root, &folder.join(name))));
        let mut links = links_in(root, (folder, listed), &names);
        add_sonames(root, folder, &names, &mut links);
        add_wanted(&names, &mut links);
        let link = |(name, target)| Link { path: format!("{folder_text}/{name}"), target };
        self.links.extend(links.into_iter().map(link));
        self.links.extend(gbm_link(&folder_text, &names));
        self.folders.push(folder_text);
    }

    fn take_xorg(&mut self, root: &Root, version: &str, folder: &Path) {
        for entry in root.list(folder) {
            let wanted = entry.name == "nvidia_drv.so"
                || (entry.name.starts_with("libglxserver_nvidia.so.")
                    && is_versioned(&entry.name, version));
            if !wanted || !self.names.insert(entry.name.clone()) {
                continue;
            }
            let path = root.resolve(&folder.join(&entry.name));
            self.files.extend(path.and_then(|path| DriverFile::in_place(root, &path)));
            if let Some(folder) = text(folder).filter(|_| entry.name != "nvidia_drv.so") {
                let path = format!("{folder}/libglxserver_nvidia.so");
                self.links.push(Link { path, target: entry.name });
            }
        }
    }
}

fn is_versioned(name: &str, version: &str) -> bool {
    name.strip_suffix(version).is_some_and(|stem| stem.ends_with(".so."))
}

fn has_other_version(name: &str) -> bool {
    OTHER_VERSIONS.iter().any(|start| {
        // The link `.so.1` has one number, the file `.so.1.1.0` more. nvvm70's has one.
        let version = name.strip_prefix(start);
        version.is_some_and(|version| version.contains('.') || start.contains("nvvm70"))
    })
}

/// `libcuda` of `libcuda.so.550.163.01`.
fn stem(name: &str) -> Option<&str> {
    name.split_once(".so").map(|(stem, _)| stem)
}

/// The links to these libraries in their own folder, name to target: `libcuda.so` to `libcuda.so.1` and
/// that one to the file.
fn links_in(
    root: &Root,
    (folder, listed): (&Path, &[Listed]),
    names: &[&str],
) -> BTreeMap<String, String> {
    let stems: BTreeSet<&str> = names.iter().filter_map(|name| stem(name)).collect();
    let links = listed.iter().filter(|entry| entry.kind == ListedKind::Link);
    let related = links.filter(|entry| stem(&entry.name).is_some_and(|stem| stems.contains(stem)));
    related
        .filter_map(|entry| {
            let path = folder.join(&entry.name);
            let target = root.read_link(&path)?.into_os_string().into_string().ok()?;
            // Links of the `alternatives` kind lead elsewhere; the names they stand for are made below.
            let beside = !target.contains('/');
            let end = root.resolve(&path)?;
            let known = names.iter().any(|name| end == folder.join(name));
            (beside && known).then(|| (entry.name.clone(), target))
        })
        .collect()
}

/// Adds the SONAME links that the host lacks.
fn add_sonames(root: &Root, folder: &Path, names: &[&str], links: &mut BTreeMap<String, String>) {
    for name in names {
        if links.values().any(|target| target == name) {
            continue;
        }
        let soname = elf::soname(&root.host_path(&folder.join(name)));
        // It is a file name by definition; one with a slash would lead the container elsewhere.
        let fits =
            |soname: &String| soname != name && stem(soname) == stem(name) && !soname.contains('/');
        if let Some(soname) = soname.filter(fits) {
            links.entry(soname).or_insert_with(|| (*name).to_owned());
        }
    }
}

fn add_wanted(names: &[&str], links: &mut BTreeMap<String, String>) {
    for (link, library, target) in WANTED_LINKS {
        let file = names
            .iter()
            .find(|name| name.strip_prefix(library).is_some_and(|rest| rest.starts_with('.')));
        if let Some(file) = file {
            let target = target.unwrap_or(file);
            links.entry(link.to_owned()).or_insert_with(|| target.to_owned());
        }
    }
}

/// Mesa's GBM loader looks for `gbm/nvidia-drm_gbm.so` in the library folder, not in Debian's
/// `nvidia/current`.
fn gbm_link(folder: &str, names: &[&str]) -> Option<Link> {
    names.iter().find(|name| name.starts_with("libnvidia-allocator.so."))?;
    let (base, back) = match folder.strip_suffix("/nvidia/current") {
        Some(base) => (base, "../nvidia/current"),
        None => (folder, ".."),
    };
    let target = format!("{back}/libnvidia-allocator.so.1");
    Some(Link { path: format!("{base}/gbm/nvidia-drm_gbm.so"), target })
}
