//! MPS control daemons: divvy's own, others', and what dead ones left.

use super::Judged;
use super::claims::Claims;
use super::finding::{Finding, Name};
use super::mend::{self, advice, run};
use crate::claim::{Device, Outcome, Owner, Phase, Purpose, Step};
use crate::host::{Host, Liveness};
use std::fs;
use std::path::{Path, PathBuf};

/// The pipe directory of a daemon that was told none. Specs of NVIDIA's toolkit mount it into every container.
const DEFAULT: &str = "/tmp/nvidia-mps";
const PROGRAM: &str = "nvidia-cuda-mps-control";

/// A control daemon that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Its pid.
    pub pid: u32,
    /// Its pipe directory.
    pub pipe: PathBuf,
}

/// A container whose processes have another uid than their server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherUid {
    /// The claim.
    pub claim: String,
    /// The container.
    pub container: String,
    /// The uid of its first process.
    pub uid: u32,
    /// The uid that the server is for.
    pub server: u32,
}

/// What was seen of daemons.
#[derive(Debug, Default)]
pub struct Mps {
    /// The folder of divvy's own.
    pub own: PathBuf,
    /// Those that run.
    pub daemons: Vec<Daemon>,
    /// Pipe directories that have a control socket: the default one, and those below divvy's folder.
    pub pipes: Vec<PathBuf>,
    /// Daemons of device records that are gone: their pid, and the claims that have them.
    pub dead: Vec<(u32, Vec<String>)>,
    /// Containers with another uid.
    pub other_uids: Vec<OtherUid>,
}

impl Mps {
    /// Looks at processes and pipe directories below `root`, and at what the records name.
    ///
    /// # Errors
    /// Where a daemon's pipe directory can't be told.
    pub fn look(host: &Host, root: &Path, claims: &Claims) -> Result<Mps, String> {
        let own = host.state_dir.join("mps");
        let folders = fs::read_dir(&own).into_iter().flatten().flatten();
        let mut pipes: Vec<PathBuf> = folders.map(|entry| entry.path().join("pipe")).collect();
        pipes.sort();
        pipes.retain(|pipe| pipe.join("control").exists());
        if root.join("tmp/nvidia-mps/control").exists() {
            pipes.push(DEFAULT.into());
        }
        let of_mps = claims.devices.iter().filter(|device| device.purpose == Purpose::Mps);
        let dead = of_mps.filter_map(|device| dead(host, device, claims)).collect();
        let other_uids = other_uids(host, claims);
        Ok(Mps { own, daemons: daemons(&root.join("proc"))?, pipes, dead, other_uids })
    }
}

fn daemons(processes: &Path) -> Result<Vec<Daemon>, String> {
    let entries = fs::read_dir(processes).into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let found = pids.filter_map(|pid| daemon(processes, pid));
    let mut daemons = found.collect::<Result<Vec<Daemon>, String>>()?;
    daemons.sort_by_key(|daemon| daemon.pid);
    Ok(daemons)
}

fn daemon(processes: &Path, pid: u32) -> Option<Result<Daemon, String>> {
    let process = processes.join(pid.to_string());
    let command_line = fs::read(process.join("cmdline")).ok()?;
    let mut words = command_line.split(|byte| *byte == 0);
    let program = String::from_utf8_lossy(words.next()?).into_owned();
    // Without -d or -f it is a client.
    let serves = words.any(|word| word == b"-d" || word == b"-f");
    let named = Path::new(&program).file_name().is_some_and(|name| name == PROGRAM);
    (named && serves).then_some(())?;
    let Ok(environment) = fs::read(process.join("environ")) else {
        let why =
            format!("the pipe directory of the control daemon {pid} can't be told: run it as root");
        // It may just have ended.
        return process.exists().then_some(Err(why));
    };
    let mut variables = environment.split(|byte| *byte == 0);
    let pipe = variables.find_map(|pair| pair.strip_prefix(b"CUDA_MPS_PIPE_DIRECTORY="));
    let pipe =
        pipe.map_or_else(|| DEFAULT.to_owned(), |pipe| String::from_utf8_lossy(pipe).into_owned());
    Some(Ok(Daemon { pid, pipe: pipe.into() }))
}

fn dead(host: &Host, device: &Device, claims: &Claims) -> Option<(u32, Vec<String>)> {
    let daemon = device.steps.iter().find_map(|entry| match &entry.outcome {
        Some(Outcome::Daemon(process)) => Some(*process),
        _ => None,
    })?;
    // What a boot ended is the claims' matter.
    let of_now = host.identity().is_ok_and(|now| now == device.identity);
    (of_now && host.liveness(&daemon) == Liveness::Dead).then(|| {
        let holders = claims.claims.iter().filter(|claim| claim.holds(&device.id));
        (daemon.pid, holders.map(|claim| claim.id.to_string()).collect())
    })
}

fn other_uids(host: &Host, claims: &Claims) -> Vec<OtherUid> {
    let mut found = Vec::new();
    for claim in claims.claims.iter().filter(|claim| claim.phase == Phase::Bound) {
        let Owner::Container { container, process, .. } = &claim.owner else { continue };
        let devices = claims.devices.iter().filter(|device| claim.holds(&device.id));
        let server = devices.flat_map(|device| &device.steps).find_map(|entry| match entry.step {
            Step::StartMps { uid, .. } => Some(uid),
            _ => None,
        });
        let status = host.processes.join(process.pid.to_string()).join("status");
        let status = fs::read_to_string(status).unwrap_or_default();
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        let uid = uid.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        let alive = host.liveness(process) == Liveness::Alive;
        if let (Some(server), Some(uid), true) = (server, uid, alive)
            && uid != server
        {
            let (claim, container) = (claim.id.to_string(), container.id.clone());
            found.push(OtherUid { claim, container, uid, server });
        }
    }
    found
}

pub(super) fn judge(seen: &Mps) -> Judged {
    let is_own = |daemon: &&Daemon| daemon.pipe.starts_with(&seen.own);
    let own = seen.daemons.iter().filter(is_own).count();
    let mut findings: Vec<Finding> =
        seen.daemons.iter().filter(|daemon| !is_own(daemon)).map(foreign).collect();
    let serves = |pipe: &PathBuf| seen.daemons.iter().any(|daemon| daemon.pipe == *pipe);
    let named = |pipe: &PathBuf| !pipe.starts_with(&seen.own) || seen.dead.is_empty();
    let stale = seen.pipes.iter().filter(|pipe| !serves(pipe) && named(pipe));
    findings.extend(stale.map(|pipe| {
        let folder = if pipe.starts_with(&seen.own) { pipe.parent().unwrap_or(pipe) } else { pipe };
        Finding::new(
            Name::MpsStale,
            format!(
                "{} has no control daemon: CUDA programs that get it fail, or wait",
                pipe.display()
            ),
            "its control socket is there, and no process serves it",
            run(format!("rm -r {}", mend::path(folder))),
        )
    }));
    findings.extend(seen.dead.iter().map(|(pid, claims)| {
        let claims = claims.join(" ");
        Finding::new(
            Name::MpsDead,
            format!(
                "the control daemon of claim {claims} is gone: its containers can't use the GPU"
            ),
            format!("process {pid} doesn't run any more"),
            run(format!("divvy release --force {claims}")).but("then prepare it again"),
        )
    }));
    findings.extend(seen.other_uids.iter().map(|one| {
        Finding::new(
            Name::MpsUid,
            format!(
                "container {} runs as uid {}, and its MPS server serves uid {}: it is kept waiting",
                one.container, one.uid, one.server
            ),
            format!("the uid of its first process is not that of claim {}", one.claim),
            advice(format!("prepare a claim for it with divvy prepare --uid {}", one.uid)),
        )
    }));
    let plural = if own == 1 { "" } else { "s" };
    Judged { says: format!("{own} control daemon{plural} of divvy's"), findings }
}

fn foreign(daemon: &Daemon) -> Finding {
    let (pid, pipe) = (daemon.pid, daemon.pipe.display());
    let folder = mend::path(&daemon.pipe);
    let quit = run(format!("echo quit | CUDA_MPS_PIPE_DIRECTORY={folder} {PROGRAM}"));
    let how = format!("process {pid} serves {pipe}");
    if daemon.pipe == Path::new(DEFAULT) {
        let what = "an MPS control daemon on the default path captures every container that NVIDIA's toolkit gives a GPU, and CUDA on the host";
        return Finding::new(Name::MpsDefault, what, how, quit);
    }
    Finding::new(
        Name::MpsForeign,
        "an MPS control daemon runs that isn't divvy's: its GPUs are left alone",
        how,
        quit,
    )
}
