//! NVIDIA's own MPS control daemon on a machine without a GPU.

use crate::common::node;
use crate::support::skip;
use divvy::host::Host;
use divvy::host::ProcessRef;
use divvy::request::MpsLimits;
use divvy::share::Settings;
use divvy::share::mps::{self, Daemon, MpsError, Place};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// The drivers that Debian 12 and 13 have.
const DRIVERS: [&str; 2] = ["535", "550"];

/// A driver root with NVIDIA's control daemon and a server, and a state directory. Whatever was started
/// here is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Ground {
    dir: TempDir,
    pub(super) driver: String,
    pub(super) host: Host,
    pub(super) settings: Settings,
}

/// Runs a check with each driver's control daemon and the stand-in server.
pub(super) fn with_each_driver(check: impl Fn(&Ground)) {
    for driver in DRIVERS {
        if let Some(ground) = Ground::new(driver) {
            ground.install(&node::mps_server());
            tell(&format!("NVIDIA's control daemon of driver {driver}, a stand-in server"));
            check(&ground);
        }
    }
}

/// The same with NVIDIA's own server, which finds no GPU.
pub(super) fn with_each_real_server(check: impl Fn(&Ground)) {
    for driver in DRIVERS {
        if let Some(ground) = Ground::new(driver) {
            ground.install(&ground.packages().join("usr/sbin/nvidia-cuda-mps-server"));
            tell(&format!("NVIDIA's control daemon and server of driver {driver}"));
            check(&ground);
        }
    }
}

#[allow(clippy::print_stderr)] // Whoever runs one test by hand, or sees one fail, reads it there.
fn tell(what: &str) {
    eprintln!("with {what}");
}

fn cache() -> PathBuf {
    std::env::var_os("DIVVY_TEST_CACHE")
        .map_or_else(|| "/var/cache/divvy-tests".into(), PathBuf::from)
}

impl Ground {
    fn new(driver: &str) -> Option<Ground> {
        if !rustix::process::geteuid().is_root() {
            skip("a control daemon gets cgroups of its own: run the tests as root");
            return None;
        }
        fetch();
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let host = Host {
            driver_root: dir.path().join("driver"),
            state_dir: dir.path().join("state"),
            ..Host::default()
        };
        let mut settings = Settings::new(env!("CARGO_BIN_EXE_divvy").into());
        // Every machine has this one, and here it is tried; the other is systemd's own work.
        settings.place = Place::Alone;
        settings.command_timeout = Duration::from_secs(2);
        settings.stop_timeout = Duration::from_secs(2);
        let ground = Ground { dir, driver: driver.to_owned(), host, settings };
        let program = ground.packages().join("usr/bin/nvidia-cuda-mps-control");
        if !program.exists() {
            let program = program.display();
            skip(&format!("no {program}: tests/e2e/setup mps fetches it"));
            return None;
        }
        fs::create_dir_all(ground.host.driver_root.join("usr/bin")).unwrap();
        symlink(program, ground.control_program()).unwrap();
        Some(ground)
    }

    /// The same ground, found by another process of this test.
    pub(super) fn reopened(dir: &Path) -> (Host, Settings) {
        let host = Host {
            driver_root: dir.join("driver"),
            state_dir: dir.join("state"),
            ..Host::default()
        };
        let mut settings = Settings::new(env!("CARGO_BIN_EXE_divvy").into());
        settings.place = Place::Alone;
        (host, settings)
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Gives a simulated node this ground's programs.
    pub(super) fn lend(&self, host: &Host) {
        for (folder, name) in
            [("usr/bin", "nvidia-cuda-mps-control"), ("usr/sbin", "nvidia-cuda-mps-server")]
        {
            let place = host.driver_root.join("usr/bin").join(name);
            // The simulated one does nothing but say so.
            let _ = fs::remove_file(&place);
            symlink(self.host.driver_root.join(folder).join(name), place).unwrap();
        }
    }

    /// NVIDIA's packages, unpacked.
    fn packages(&self) -> PathBuf {
        cache().join(format!("nvidia-{}", self.driver))
    }

    /// Where this driver's libraries lie.
    pub(super) fn library_folder(&self) -> PathBuf {
        let arch = std::env::consts::ARCH;
        self.packages().join(format!("usr/lib/{arch}-linux-gnu/nvidia/current"))
    }

    pub(super) fn control_program(&self) -> PathBuf {
        self.host.driver_root.join("usr/bin/nvidia-cuda-mps-control")
    }

    /// Puts a server program where the control daemon looks for it.
    fn install(&self, server: &Path) {
        let folder = self.host.driver_root.join("usr/sbin");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        fs::copy(server, folder.join("nvidia-cuda-mps-server")).unwrap();
    }

    /// A file beside the stand-in server: `clients`, `mode`, `seen`.
    pub(super) fn server_file(&self, name: &str) -> PathBuf {
        self.host.driver_root.join(format!("usr/sbin/mps-server.{name}"))
    }

    /// A daemon for one device, without limits, in a folder that isn't made yet.
    pub(super) fn daemon(&self) -> Daemon {
        Daemon {
            folder: mps::choose_folder(&self.host).unwrap(),
            devices: vec!["GPU-11111111-2222-3333-4444-555555555555".into()],
            limits: MpsLimits::default(),
            uid: 0,
            library_folders: Vec::new(),
        }
    }

    pub(super) fn start(&self, daemon: &Daemon) -> Result<ProcessRef, MpsError> {
        mps::start(&self.host, &self.settings, daemon)
    }

    pub(super) fn stop(&self, daemon: &Daemon) -> Result<(), MpsError> {
        mps::stop(&self.host, &self.settings, &daemon.folder)
    }

    /// What NVIDIA's control program answers in a pipe directory, asked by a uid.
    pub(super) fn ask(&self, pipe: &Path, uid: u32, command: &str) -> String {
        let script =
            "printf '%s\\n' \"$1\" | timeout 5 setpriv --reuid \"$2\" --clear-groups \"$3\" 2>&1";
        let output = Command::new("sh")
            .args(["-c", script, "sh", command, &uid.to_string()])
            .arg(self.control_program())
            .env("CUDA_MPS_PIPE_DIRECTORY", pipe)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        end_all(&self.host, &self.settings);
    }
}

/// Ends every daemon of a state directory.
pub(super) fn end_all(host: &Host, settings: &Settings) {
    let folders = fs::read_dir(host.state_dir.join("mps"));
    for folder in folders.into_iter().flatten().flatten() {
        let process = fs::read(folder.path().join("process"));
        if mps::stop(host, settings, &folder.path()).is_ok() {
            continue;
        }
        let process = process.ok().and_then(|text| serde_json::from_slice(&text).ok());
        process.inspect(kill);
    }
}

/// Ends one process by SIGKILL.
pub(super) fn kill(process: &ProcessRef) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(process.pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// Has the project's own script fetch NVIDIA's packages, once.
fn fetch() {
    static FETCHED: OnceLock<()> = OnceLock::new();
    FETCHED.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/setup");
        let _ = Command::new(script).arg("mps").stdin(Stdio::null()).output();
    });
}
