//! Shares of one MPS control daemon: NVIDIA's own, with a stand-in server.

use super::site::Site;
use crate::common::node;
use crate::support::skip;
use divvy::claim::store::Store;
use divvy::host::Host;
use divvy::ops::disconnect::disconnect;
use divvy::share::Settings;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// NVIDIA's control daemon of driver 550, which the simulated nodes have.
fn control_program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/setup");
        let _ = Command::new(script).arg("mps").stdin(Stdio::null()).output();
        let cache = std::env::var_os("DIVVY_TEST_CACHE")
            .map_or_else(|| "/var/cache/divvy-tests".into(), PathBuf::from);
        cache.join("nvidia-550/usr/bin/nvidia-cuda-mps-control")
    });
    if !rustix::process::geteuid().is_root() {
        skip("a control daemon gets cgroups of its own: run the tests as root");
        return None;
    }
    if !program.exists() {
        skip(&format!("no {}: tests/e2e/setup mps fetches it", program.display()));
        return None;
    }
    Some(program)
}

impl Site {
    /// A node with NVIDIA's control daemon. `None` where it can't run here, which is said.
    fn with_mps(arguments: &[&str]) -> Option<Site> {
        Site::new(arguments).lend_mps()
    }

    /// Gives the node NVIDIA's control daemon.
    pub(crate) fn lend_mps(self) -> Option<Site> {
        let program = control_program()?;
        let site = self;
        let folder = site.node.dir();
        fs::set_permissions(folder.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        // The node's own programs only say that they are none.
        let bin = site.node.host().driver_root.join("usr/bin");
        let [control, server] =
            ["control", "server"].map(|name| bin.join(format!("nvidia-cuda-mps-{name}")));
        for path in [&control, &server] {
            let _ = fs::remove_file(path);
        }
        symlink(program, control).unwrap();
        fs::copy(node::mps_server(), server).unwrap();
        Some(site)
    }
}

#[test]
fn ten_equal_shares_fit_and_an_eleventh_is_refused() {
    let Some(site) = Site::with_mps(&["--gpu", "H100-80GB", "--managed"]) else { return };
    let before = site.picture();
    for n in 0..10 {
        site.prepare(&n.to_string(), &["mps:threads=10"]).done();
    }
    let full = site.picture();
    let daemons = full.iter().filter(|line| line.ends_with("/pipe/control")).count();
    assert_eq!(daemons, 1, "{full:?}");
    let refusal = site.prepare("10", &["mps:threads=10"]).failed(3);
    for part in ["mps:threads=10", "claim"] {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
    assert_eq!(site.picture(), full);
    for n in 0..10 {
        site.release(&n.to_string()).done();
    }
    assert_eq!(site.picture(), before);
}

#[test]
fn unequal_shares_share_a_daemon() {
    let Some(site) = Site::with_mps(&["--gpu", "H100-80GB", "--managed"]) else { return };
    let before = site.picture();
    for (id, threads) in [("quarter", 25), ("half", 50)] {
        let grant = site.prepare(id, &[&format!("mps:threads={threads}")]).done().json();
        let limit = format!("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE={threads}");
        let env = grant["env"].as_array().unwrap();
        assert!(env.iter().any(|pair| *pair == limit.as_str()), "{grant}");
    }
    site.prepare("another half", &["mps:threads=50"]).failed(2);
    site.prepare("another-half", &["mps:threads=50"]).failed(3);
    site.release("quarter").done();
    site.prepare("another-half", &["mps:threads=50"]).done();
    for id in ["half", "another-half"] {
        site.release(id).done();
    }
    assert_eq!(site.picture(), before);
}

#[test]
fn what_must_be_enforced_is_asked_again_when_the_device_is_made() {
    let Some(site) = Site::with_mps(&["--gpu", "H100-80GB", "--mig", "on"]) else { return };
    let before = site.picture();
    let policy = "gpus:\n- {match: \"*\", managed: true, compute-mode: exclusive, \
                  require: {compute: daemon}}\n";
    fs::write(site.node.host().config, policy).unwrap();
    let why = site.prepare("half", &["mig:3g.40gb/mps:threads=50"]).failed(3);
    assert!(why.contains("compute: daemon") && why.contains("no compute mode"), "{why}");
    assert_eq!(site.picture(), before);
    site.prepare("alone", &["mig:3g.40gb"]).done();
}

#[test]
fn metrics_tell_whether_a_daemon_serves_and_which_process_is_its_server() {
    let Some(site) = Site::with_mps(&["--gpu", "H100-80GB", "--managed"]) else { return };
    site.prepare("half", &["mps:threads=50"]).done();
    let has = |line: &str, value: &str| {
        let text = site.divvy(&["metrics"]).done().stdout;
        let mut lines = text.lines().filter(|one| one.starts_with(line));
        assert!(lines.any(|one| one.ends_with(&format!(" {value}"))), "{line} {value}:\n{text}");
    };
    has("divvy_mps_daemon_up{", "1");
    has("divvy_mps_clients{", "0");
    let program = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let (servers, daemons): (Vec<u32>, Vec<u32>) = site
        .daemons()
        .iter()
        .map(|(pid, _)| *pid)
        .partition(|pid| program(*pid).ends_with("nvidia-cuda-mps-server"));
    assert_eq!(servers.len(), 1, "{servers:?} beside {daemons:?}");
    // The driver lists a server among the processes that compute.
    let pid = servers[0].to_string();
    site.node.change("process", &["0", "add", &pid, "31457280"]);
    has("divvy_other_memory_bytes{", "31457280");
    let text = site.divvy(&["metrics"]).done().stdout;
    assert!(text.contains("kind=\"mps-server\"} 1\n"), "{text}");
    site.node.change("process", &["0", "rm", &pid]);
    for daemon in daemons {
        let daemon = rustix::process::Pid::from_raw(i32::try_from(daemon).unwrap()).unwrap();
        rustix::process::kill_process(daemon, rustix::process::Signal::KILL).unwrap();
    }
    has("divvy_mps_daemon_up{", "0");
    site.release("half").done();
}

/// Killed at work, a client takes all others of its server with it.
#[test]
fn the_clients_of_a_container_leave_before_it_is_killed() {
    let Some(site) = Site::with_mps(&["--gpu", "H100-80GB", "--managed"]) else { return };
    site.prepare("both", &["mps:threads=50"]).done();
    let control = site.node.host().driver_root.join("usr/bin/nvidia-cuda-mps-control");
    let real = fs::read_link(&control).unwrap();
    fs::remove_file(&control).unwrap();
    // No client can be had without a GPU: a stand-in names processes as clients, whose cgroups are an engine's.
    let fake = tempfile::tempdir().unwrap();
    let (processes, cgroups) = (fake.path().join("proc"), fake.path().join("cgroup"));
    let (ours, theirs) = ("a".repeat(64), "b".repeat(64));
    for (pid, cgroup) in [
        (501, format!("/libpod_parent/libpod-{ours}")),
        (502, format!("/machine.slice/libpod-{ours}.scope/container/inner")),
        (503, format!("/system.slice/docker-{theirs}.scope")),
        (504, "/user.slice".to_owned()),
    ] {
        let folder = processes.join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(cgroups.join(&cgroup[1..])).unwrap();
        fs::write(folder.join("cgroup"), format!("0::{cgroup}\n")).unwrap();
    }
    let host = Host { processes, cgroups, ..site.node.host() };
    let (settings, store) =
        (Settings::new(env!("CARGO_BIN_EXE_divvy").into()), Store::look(&host).unwrap());
    let said = site.node.dir().join("said");
    let orders = |clients: &str, container: &str| {
        let stand_in = format!(
            "#!/bin/sh\nread order\necho \"$order\" >>{}\ncase $order in get_server_list) echo 77 ;; get_client*) printf '{clients}' ;; esac\n",
            said.display()
        );
        fs::write(&control, stand_in).unwrap();
        fs::set_permissions(&control, fs::Permissions::from_mode(0o755)).unwrap();
        let _ = fs::remove_file(&said);
        disconnect(&host, &settings, &store, container).unwrap();
        let said = fs::read_to_string(&said).unwrap();
        said.strip_prefix("get_server_list\nget_client_list 77\n").unwrap().to_owned()
    };
    let all = "501\\n502\\n503\\n504\\n";
    assert_eq!(orders(all, &ours), "terminate_client 77 501\nterminate_client 77 502\n");
    assert_eq!(orders(all, &theirs), "terminate_client 77 503\n");
    assert_eq!(orders(all, &"c".repeat(64)), "");
    assert_eq!(orders("501\\n502\\n", &ours), "", "nobody shares its server");
    fs::remove_file(&control).unwrap();
    symlink(real, &control).unwrap();
    site.release("both").done();
}
