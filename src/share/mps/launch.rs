//! Starting a control daemon so that it belongs to nobody: not to the caller's cgroup, session, output
//! or open files, so that neither waits for the other or ends with it.

use super::MpsError;
use super::descriptors::close_on_exec;
use super::folder::Folder;
use super::processes::LAUNCH;
use crate::host::Host;
use crate::share::bounded;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How a daemon gets a place of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// As a transient unit, where systemd is the machine's first process.
    Unit {
        /// The program `systemd-run`.
        systemd_run: PathBuf,
    },
    /// In a session and in cgroups that the launcher makes.
    Alone,
}

impl Place {
    /// What this machine can do.
    pub fn of_machine() -> Place {
        // The test of sd_booted(3).
        let systemd = Path::new("/run/systemd/system").is_dir();
        let programs = ["/usr/bin/systemd-run", "/bin/systemd-run"].map(PathBuf::from);
        match programs.into_iter().find(|program| systemd && program.is_file()) {
            Some(systemd_run) => Place::Unit { systemd_run },
            None => Place::Alone,
        }
    }
}

/// Variables that the daemon gets; whatever else stands in the launcher's environment, it doesn't.
fn wanted(name: &OsStr) -> bool {
    name == "PATH" || name == "LD_LIBRARY_PATH" || name.as_encoded_bytes().starts_with(b"CUDA_")
}

/// How far a launcher is from being the daemon.
const OUTER: &str = "outer";
const INNER: &str = "inner";

/// The command that starts the launcher: `divvy mps-launch outer|inner FOLDER PROGRAM`. The outer one
/// leaves the caller's session and cgroups, starts the inner one and ends; the inner one, which systemd
/// starts itself, becomes the daemon.
pub(super) fn command(
    place: &Place,
    launcher: &Path,
    folder: &Folder,
    program: &Path,
    environment: &[(&str, OsString)],
) -> Command {
    let stage = match place {
        Place::Unit { .. } => INNER,
        Place::Alone => OUTER,
    };
    let rest = [OsStr::new(LAUNCH), stage.as_ref(), folder.path().as_ref(), program.as_ref()];
    let mut command = match place {
        Place::Unit { systemd_run } => {
            let mut command = Command::new(systemd_run);
            command.args(unit_options(&folder.name()));
            for (name, value) in environment {
                let mut option = OsString::from(format!("--setenv={name}="));
                option.push(value);
                command.arg(option);
            }
            command.arg("--").arg(launcher);
            command
        }
        Place::Alone => {
            let mut command = Command::new(launcher);
            command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
            command
        }
    };
    command.args(rest).current_dir("/");
    command
}

/// `--collect`: a unit that failed leaves nothing to reset. Other settings are systemd's own, which
/// administrators change for all of them in `divvy-mps-.service.d`.
fn unit_options(name: &str) -> [String; 5] {
    [
        "--quiet".into(),
        "--collect".into(),
        "--no-ask-password".into(),
        format!("--unit=divvy-mps-{name}.service"),
        format!("--description=MPS control daemon {name}, started by divvy"),
    ]
}

/// The launcher's subcommand, with the arguments that follow its name.
///
/// # Errors
/// A sentence for whoever started it.
pub fn launch(arguments: &[OsString]) -> Result<(), String> {
    let [stage, folder, program] = arguments else {
        return Err(format!("usage: divvy {LAUNCH} {OUTER}|{INNER} FOLDER PROGRAM"));
    };
    let stage = if stage == OUTER { leave_caller } else { become_daemon };
    let folder = Path::new(folder);
    stage(folder, Path::new(program)).map_err(|(what, error)| {
        format!("can't {what} for the MPS control daemon in {}: {error}", folder.display())
    })
}

type Failed = (&'static str, io::Error);

fn leave_caller(folder: &Path, program: &Path) -> Result<(), Failed> {
    rustix::process::setsid().map_err(|error| ("begin a session", error.into()))?;
    let name = folder.file_name().unwrap_or_default();
    leave_cgroups(&Host::default(), name).map_err(|error| ("leave the caller's cgroup", error))?;
    close_on_exec().map_err(|error| ("close the caller's files", error))?;
    let messages = messages(folder).map_err(|error| ("open the messages", error))?;
    let start = |launcher: PathBuf| {
        let mut inner = Command::new(launcher);
        inner.args([OsStr::new(LAUNCH), INNER.as_ref(), folder.as_ref(), program.as_ref()]);
        inner.stdin(Stdio::null()).stdout(Stdio::null()).stderr(messages).spawn()
    };
    let started = std::env::current_exe().and_then(start);
    started.map(drop).map_err(|error| ("start the launcher again", error))
}

fn become_daemon(folder: &Path, program: &Path) -> Result<(), Failed> {
    close_on_exec().map_err(|error| ("close the caller's files", error))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let messages = messages(folder).map_err(|error| ("open the messages", error))?;
    let errors = messages.try_clone().map_err(|error| ("open the messages", error))?;
    record(folder).map_err(|error| ("write down the process", error))?;
    let environment = std::env::vars_os().filter(|(name, _)| wanted(name));
    // In the foreground: the pid that was written down stays the daemon's, and its messages come here.
    let error = Command::new(program)
        .arg("-f")
        .env_clear()
        .envs(environment)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(messages)
        .stderr(errors)
        .exec();
    Err(("run the program", error))
}

/// Open for both, so that the daemon never waits for a reader and never finds none.
fn messages(folder: &Path) -> io::Result<File> {
    let nonblocking =
        i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    File::options().read(true).write(true).custom_flags(nonblocking).open(folder.join("messages"))
}

/// Pid and start time stay what they are when the process becomes the daemon.
fn record(folder: &Path) -> io::Result<()> {
    let process = Host::default().this_process()?;
    let text = serde_json::to_vec(&process)?;
    let path = folder.join("process");
    let part = folder.join("process.part");
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(&text)?;
    fs::rename(part, path)
}

/// Moves this process into cgroups of its own, in every hierarchy.
fn leave_cgroups(host: &Host, name: &OsStr) -> io::Result<()> {
    let text = fs::read_to_string(host.processes.join("self/cgroup"))?;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let mount = hierarchy(host, controllers);
        if !mount.join("cgroup.procs").exists() {
            continue;
        }
        let own = mount.join("divvy").join(name);
        // A new cpuset is empty until it is filled in by hand: there, the root will do.
        let made = !controllers.split(',').any(|name| name == "cpuset") && enter(&own).is_ok();
        if !made && path != "/" {
            fs::write(mount.join("cgroup.procs"), "0")?;
        }
    }
    Ok(())
}

fn enter(cgroup: &Path) -> io::Result<()> {
    fs::create_dir_all(cgroup)?;
    // 0 is whoever writes it.
    fs::write(cgroup.join("cgroup.procs"), "0")
}

/// Where the hierarchy of these controllers is mounted; version 2 has none in its line.
fn hierarchy(host: &Host, controllers: &str) -> PathBuf {
    match controllers {
        "" if host.cgroups.join("cgroup.controllers").exists() => host.cgroups.clone(),
        "" => host.cgroups.join("unified"),
        named => host.cgroups.join(named.strip_prefix("name=").unwrap_or(named)),
    }
}

/// How long a process may count in its cgroups after its end: more than a moment on a busy machine.
const LINGERS: Duration = Duration::from_secs(1);

/// Removes the cgroups that a daemon had. They are empty by now, or were never made.
pub(super) fn remove_cgroups(host: &Host, name: &str) {
    let mounts = fs::read_dir(&host.cgroups).into_iter().flatten().flatten();
    let mounts = mounts.map(|entry| entry.path()).filter(|path| path.is_dir());
    let deadline = Instant::now() + LINGERS;
    for mount in mounts.chain([host.cgroups.clone()]) {
        let all = mount.join("divvy");
        remove_cgroup(&all.join(name), deadline);
        let _ = fs::remove_dir(all);
    }
}

/// What can't be removed is empty, and harms nobody.
fn remove_cgroup(cgroup: &Path, deadline: Instant) {
    while let Err(error) = fs::remove_dir(cgroup)
        && error.kind() == io::ErrorKind::ResourceBusy
        && Instant::now() < deadline
    {
        sleep(Duration::from_millis(2));
    }
}

/// Runs the launcher's command. The daemon is under way then, not ready.
pub(super) fn run(command: Command, folder: &Folder, deadline: Instant) -> Result<(), MpsError> {
    let program = Path::new(command.get_program()).display().to_string();
    let reason = match bounded::run(command, None, deadline) {
        Ok(Some(ended)) if ended.status.success() => return Ok(()),
        Ok(Some(ended)) => format!("{program} ended with {}: {}", ended.status, ended.text),
        Ok(None) => format!("{program} didn't end in time"),
        Err(error) => format!("{program}: {error}"),
    };
    Err(MpsError::Launch { folder: folder.path().to_owned(), reason })
}
