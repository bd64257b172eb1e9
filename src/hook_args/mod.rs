//! The arguments of `divvy-hook`: what is written into CDI specs and configurations of containers, and what
//! the hook reads back from there.
//!
//! Those of `create-container`:
//!
//! | argument | repeats | what the hook does |
//! |---|---|---|
//! | `--link=TARGET::LINK` | yes | makes the symbolic link LINK (absolute) with the text TARGET |
//! | `--device-link=TARGET::LINK` | yes | the same, where TARGET is a device node that the container has |
//! | `--folder=DIR` | yes | makes the libraries of DIR known to the container's library cache |
//! | `--ldconfig=PATH` | no | the host's ldconfig; `PATH.real` is taken where it exists |
//! | `--cuda-compat=VERSION` | no | VERSION is the host's driver: newer compatibility libraries of the image come first |
//! | `--hide-device-node-params` | no | the container's driver parameters say that device files are not to be made |
//! | `--application-profile` | no | limits EGL and Vulkan to the GPUs that the container has |
//!
//! A value always follows `=`, so that a hook can skip an option that it does not know without
//! knowing whether it has a value: an old hook says so and does the rest of a newer spec. A known
//! option with a value it can't have is an error.
//!
//! One entry does the work of all devices: `--device-link` may name the nodes of every GPU, and
//! only those that the container was given get a link.

mod create_runtime;

pub use create_runtime::{
    CREATE_RUNTIME, CreateRuntime, CreateRuntimeError, POSTSTOP, PRECREATE, PRESTART, poststop,
};

use std::fmt;
use std::str::FromStr;

/// The program's name, the first element of `args` in a hook entry.
pub const PROGRAM: &str = "divvy-hook";
/// divvy's command that ends a container's MPS clients before a runtime kills it.
pub const DISCONNECT: &str = "mps-disconnect";

/// The stage of the static work, the second element.
pub const CREATE_CONTAINER: &str = "create-container";

/// What a hook entry carries as `env`. An entry without one, or with an empty one, inherits the
/// runtime's own environment.
pub const ENVIRONMENT: [&str; 1] = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];

/// Seconds for the entry's `timeout`. The work takes milliseconds; a file system that hangs must
/// not hold the runtime for ever.
pub const TIMEOUT_SECONDS: i64 = 60;

/// The host's ldconfig where `--ldconfig` is absent.
pub const LDCONFIG: &str = "/sbin/ldconfig";

/// The static work of a container start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateContainer {
    /// Links that are made in any case.
    pub links: Vec<Link>,
    /// Links that are made where their target is a device node in the container.
    pub device_links: Vec<Link>,
    /// Folders of the container whose libraries go into its library cache.
    pub folders: Vec<AbsolutePath>,
    /// The host's ldconfig; [`LDCONFIG`] where it is absent.
    pub ldconfig: Option<AbsolutePath>,
    /// The host's driver, where the image's CUDA compatibility libraries may be used.
    pub cuda_compat: Option<DriverVersion>,
    /// Hide that the driver would let the container make device nodes.
    pub hide_device_node_params: bool,
    /// Write the application profile that names the container's GPUs.
    pub application_profile: bool,
}

/// What [`CreateContainer::parse`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The work that is known.
    pub work: CreateContainer,
    /// The arguments that are not, in their order.
    pub unknown: Vec<String>,
}

impl CreateContainer {
    /// The whole `args` of a hook entry, from the program's name on.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let mut args = vec![PROGRAM.to_owned(), CREATE_CONTAINER.to_owned()];
        args.extend(self.links.iter().map(|l| format!("--link={l}")));
        args.extend(self.device_links.iter().map(|l| format!("--device-link={l}")));
        args.extend(self.folders.iter().map(|f| format!("--folder={f}")));
        args.extend(self.ldconfig.iter().map(|p| format!("--ldconfig={p}")));
        args.extend(self.cuda_compat.iter().map(|v| format!("--cuda-compat={v}")));
        if self.hide_device_node_params {
            args.push("--hide-device-node-params".to_owned());
        }
        if self.application_profile {
            args.push("--application-profile".to_owned());
        }
        args
    }

    /// Reads the arguments that follow the stage.
    ///
    /// # Errors
    /// A known option whose value is missing or malformed.
    pub fn parse<A: AsRef<str>>(args: impl IntoIterator<Item = A>) -> Result<Parsed, ArgError> {
        let mut work = Self::default();
        let mut unknown = Vec::new();
        for arg in args {
            let arg = arg.as_ref();
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name, value),
                None => (arg, ""),
            };
            match name {
                "--link" => work.links.push(value.parse()?),
                "--device-link" => work.device_links.push(value.parse()?),
                "--folder" => work.folders.push(value.parse()?),
                "--ldconfig" => work.ldconfig = Some(value.parse()?),
                "--cuda-compat" => work.cuda_compat = Some(value.parse()?),
                "--hide-device-node-params" => work.hide_device_node_params = true,
                "--application-profile" => work.application_profile = true,
                _ => unknown.push(arg.to_owned()),
            }
        }
        Ok(Parsed { work, unknown })
    }
}

/// A symbolic link to be made in the container, `TARGET::LINK` as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    target: String,
    path: AbsolutePath,
}

impl Link {
    /// A link at `path` with the text `target`.
    ///
    /// # Errors
    /// An empty target, one with `::` or a control character, a path that is not absolute.
    pub fn new(target: &str, path: &str) -> Result<Self, ArgError> {
        let fits = !target.is_empty() && !target.contains("::") && !has_control(target);
        let path = path.parse()?;
        if !fits {
            return Err(ArgError::Link { value: format!("{target}::{path}") });
        }
        Ok(Self { target: target.to_owned(), path })
    }

    /// The link's text: absolute in the container, or relative to the link's folder.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Where the link stands in the container.
    #[must_use]
    pub fn path(&self) -> &AbsolutePath {
        &self.path
    }
}

impl FromStr for Link {
    type Err = ArgError;

    fn from_str(text: &str) -> Result<Self, ArgError> {
        match text.split_once("::") {
            Some((target, path)) => Self::new(target, path),
            None => Err(ArgError::Link { value: text.to_owned() }),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.target, self.path)
    }
}

/// An absolute path that names something below the root: no `..`, no control character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AbsolutePath(String);

impl AbsolutePath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AbsolutePath {
    type Err = ArgError;

    fn from_str(text: &str) -> Result<Self, ArgError> {
        let mut names = text.split('/').filter(|name| !name.is_empty() && *name != ".").peekable();
        let fits =
            text.starts_with('/') && names.peek().is_some() && names.all(|name| name != "..");
        if fits && !text.ends_with('/') && !has_control(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ArgError::Path { value: text.to_owned() })
        }
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A driver's version, `550.163.01`: two or three numbers, compared as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverVersion {
    text: String,
    numbers: [u32; 3],
}

impl DriverVersion {
    /// The version's first number, the driver's branch.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.numbers[0]
    }

    /// Whether this version is newer than the other.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.numbers > other.numbers
    }
}

impl FromStr for DriverVersion {
    type Err = ArgError;

    fn from_str(text: &str) -> Result<Self, ArgError> {
        let wrong = || ArgError::Version { value: text.to_owned() };
        let mut numbers = [0; 3];
        let mut count = 0;
        for part in text.split('.') {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let slot = numbers.get_mut(count).filter(|_| digits).ok_or_else(wrong)?;
            *slot = part.parse().map_err(|_| wrong())?;
            count += 1;
        }
        if count < 2 {
            return Err(wrong());
        }
        Ok(Self { text: text.to_owned(), numbers })
    }
}

impl fmt::Display for DriverVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// A value that a known option can't have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgError {
    /// Not a link.
    #[error(
        "{value:?} is not a link: write TARGET::LINK with LINK absolute, as in libcuda.so.1::/usr/lib/libcuda.so"
    )]
    Link {
        /// What was given.
        value: String,
    },
    /// Not an absolute path.
    #[error("{value:?} is not an absolute path below the root without `..` and a trailing slash")]
    Path {
        /// What was given.
        value: String,
    },
    /// Not a driver version.
    #[error("{value:?} is not a driver version such as 550.163.01")]
    Version {
        /// What was given.
        value: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full() -> CreateContainer {
        CreateContainer {
            links: vec![Link::new("libcuda.so.1", "/usr/lib/libcuda.so").unwrap()],
            device_links: vec![
                Link::new("../card1", "/dev/dri/by-path/pci-0000:1a:00.0-card").unwrap(),
            ],
            folders: vec![
                "/usr/lib/x86_64-linux-gnu".parse().unwrap(),
                "/opt/a=b".parse().unwrap(),
            ],
            ldconfig: Some("/usr/sbin/ldconfig".parse().unwrap()),
            cuda_compat: Some("550.163.01".parse().unwrap()),
            hide_device_node_params: true,
            application_profile: true,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let args = full().to_args();
        assert_eq!(args[..2], ["divvy-hook", "create-container"]);
        let parsed = CreateContainer::parse(&args[2..]).unwrap();
        assert_eq!(parsed, Parsed { work: full(), unknown: Vec::new() });
    }

    #[test]
    fn no_work_is_no_argument() {
        assert_eq!(CreateContainer::default().to_args().len(), 2);
    }

    #[test]
    fn unknown_arguments_are_told_and_cost_nothing() {
        let parsed =
            CreateContainer::parse(["--fold=/a", "--folder=/b", "word", "--new", "--folders"])
                .unwrap();
        assert_eq!(parsed.unknown, ["--fold=/a", "word", "--new", "--folders"]);
        assert_eq!(parsed.work.folders, ["/b".parse().unwrap()]);
    }

    #[test]
    fn malformed_values_are_errors() {
        for arg in [
            "--link=a",
            "--link=::/a",
            "--link=a::b",
            "--link=a\n::/b",
            "--link",
            "--folder=lib",
            "--folder=/a/../b",
            "--folder=/a\nb",
            "--folder=/",
            "--folder=/a/",
            "--ldconfig",
            "--cuda-compat=",
            "--cuda-compat=550",
            "--cuda-compat=550.x",
            "--cuda-compat=550.1.2.3",
            "--cuda-compat=99999999999.1",
            "--cuda-compat=+1.2",
        ] {
            assert!(CreateContainer::parse([arg]).is_err(), "{arg:?}");
        }
    }

    #[test]
    fn versions_compare_as_numbers() {
        let version = |text: &str| text.parse::<DriverVersion>().unwrap();
        assert!(version("550.163.01").is_newer_than(&version("550.54.15")));
        assert!(version("1000.1").is_newer_than(&version("999.9.9")));
        assert!(!version("550.54.1").is_newer_than(&version("550.54.01")));
        assert_eq!(version("550.163.01").to_string(), "550.163.01");
    }

    proptest! {
        #[test]
        fn any_link_that_parses_prints_back(text in "\\PC{0,6}(::)?/?\\PC{0,8}") {
            if let Ok(link) = text.parse::<Link>() {
                prop_assert_eq!(link.to_string(), text);
            }
        }

        #[test]
        fn parsing_never_panics(args in proptest::collection::vec("(--(link|folder|cuda-compat|ldconfig))?=?.{0,12}", 0..6)) {
            let _ = CreateContainer::parse(args);
        }
    }
}
