//! MPS control daemons: NVIDIA's own, of two drivers.

use super::ground::{Ground, kill, with_each_driver, with_each_real_server};
use divvy::host::{Host, Liveness, ProcessRef};
use divvy::request::{Memory, MpsLimits, Percent};
use divvy::share::mps::{self, Clients, Daemon, MpsError};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn limits(percent: u64, mib: u64) -> MpsLimits {
    MpsLimits { threads: Percent::new(percent), memory: Memory::from_mib(mib) }
}

fn pipe(daemon: &Daemon) -> PathBuf {
    daemon.folder.join("pipe")
}

fn client(daemon: &Daemon) -> PathBuf {
    daemon.folder.join("client")
}

fn alive(ground: &Ground, process: &ProcessRef) -> bool {
    ground.host.liveness(process) == Liveness::Alive
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn in_proc(process: &ProcessRef, name: &str) -> String {
    let bytes = fs::read(format!("/proc/{}/{name}", process.pid)).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The one server that a daemon lists.
fn server(ground: &Ground, daemon: &Daemon) -> ProcessRef {
    let pid = ground.ask(&pipe(daemon), 0, "get_server_list").parse().unwrap();
    ground.host.process(pid).unwrap()
}

/// Holds a daemon's socket open without a word, as a tenant can.
fn hold(folder: &Path) -> OwnedFd {
    let held = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    connect(&held, &SocketAddrUnix::new(folder.join("control")).unwrap()).unwrap();
    held
}

#[test]
fn a_daemon_is_started_limited_read_back_and_ended() {
    with_each_driver(|ground| {
        let second = "GPU-66666666-7777-8888-9999-000000000000";
        let mut daemon = ground.daemon();
        daemon.limits = limits(25, 10240);
        daemon.devices.push(second.into());
        let process = ground.start(&daemon).unwrap();

        let ask = |command: &str| ground.ask(&pipe(&daemon), 0, command);
        assert_eq!(ask("get_default_active_thread_percentage"), "25.0");
        assert_eq!(ask("get_default_device_pinned_mem_limit 0"), "10G");
        assert_eq!(ask("get_default_device_pinned_mem_limit 1"), "10G");
        assert_eq!(ask("get_default_device_pinned_mem_limit 2"), "");
        // What the daemon handed to its server, in bytes.
        let seen = fs::read_to_string(ground.server_file("seen")).unwrap();
        assert_eq!(seen, "uid=0 threads=25 memory=10737418240,10737418240\n");

        let environment = in_proc(&process, "environ");
        let devices = format!("CUDA_VISIBLE_DEVICES={},{second}", daemon.devices[0]);
        let mut variables: Vec<&str> = environment.split_terminator('\0').collect();
        variables.sort_unstable();
        let known: Vec<&str> = variables.iter().filter_map(|v| v.split('=').next()).collect();
        assert_eq!(
            known,
            ["CUDA_MPS_LOG_DIRECTORY", "CUDA_MPS_PIPE_DIRECTORY", "CUDA_VISIBLE_DEVICES", "PATH"]
        );
        assert!(variables.contains(&devices.as_str()), "{variables:?}");
        assert_eq!(names(&client(&daemon)), ["control", "log"]);

        let server = server(ground, &daemon);
        ground.stop(&daemon).unwrap();
        assert!(!alive(ground, &process) && !alive(ground, &server));
        assert!(!daemon.folder.exists());
        ground.stop(&daemon).unwrap();
    });
}

#[test]
fn limits_of_a_daemon_that_serves_are_changed_and_taken_away() {
    with_each_driver(|ground| {
        let mut daemon = Daemon { limits: limits(25, 1024), ..ground.daemon() };
        daemon.devices.push("GPU-66666666-7777-8888-9999-000000000000".into());
        ground.start(&daemon).unwrap();
        let server = server(ground, &daemon).pid;
        let change = |limits: &MpsLimits| {
            mps::change_limits(&ground.host, &ground.settings, &daemon.folder, 2, limits).unwrap();
        };
        let of_server = || {
            let ask = |command: &str| ground.ask(&pipe(&daemon), 0, command);
            let threads = ask(&format!("get_active_thread_percentage {server}"));
            (threads, ask(&format!("get_device_pinned_mem_limit {server} 1")))
        };
        change(&limits(50, 4096));
        assert_eq!(of_server(), ("50.0".into(), "4G".into()));
        change(&MpsLimits::default());
        assert_eq!(of_server(), ("100.0".into(), String::new()));
        ground.stop(&daemon).unwrap();
    });
}

#[test]
fn memory_below_and_between_gibibytes_is_read_back_too() {
    with_each_driver(|ground| {
        for mib in [1, 1023, 1024, 10241] {
            let daemon = Daemon { limits: limits(100, mib), ..ground.daemon() };
            ground.start(&daemon).unwrap();
            let seen = fs::read_to_string(ground.server_file("seen")).unwrap();
            let line = format!("uid=0 threads=100 memory={},0", mib << 20);
            assert_eq!(seen.lines().last(), Some(line.as_str()));
            ground.stop(&daemon).unwrap();
        }
    });
}

#[test]
fn a_daemon_lives_in_a_session_and_cgroups_of_its_own() {
    with_each_driver(|ground| {
        let daemon = ground.daemon();
        let process = ground.start(&daemon).unwrap();
        let session = |stat: &str| {
            let fields = stat.rsplit_once(')').unwrap().1;
            fields.split_whitespace().nth(3).unwrap().parse::<u32>().unwrap()
        };
        let own = session(&fs::read_to_string("/proc/self/stat").unwrap());
        let other = session(&in_proc(&process, "stat"));
        // Nor does it lead its session: it can't take a terminal.
        assert!(other != own && other != process.pid, "{own} {other} {}", process.pid);

        let name = daemon.folder.file_name().unwrap().to_str().unwrap();
        let mine = fs::read_to_string("/proc/self/cgroup").unwrap();
        let its = in_proc(&process, "cgroup");
        for (mine, its) in mine.lines().zip(its.lines()) {
            assert!(mine != its || its.ends_with(":/"), "shared with the caller: {its}");
        }
        assert!(its.contains(&format!("/divvy/{name}")), "{its}");
        let held = fs::read_dir(format!("/proc/{}/fd", process.pid)).unwrap();
        for file in held.map(|entry| fs::read_link(entry.unwrap().path())).filter_map(Result::ok) {
            let file = file.to_string_lossy().into_owned();
            let own = file.starts_with(daemon.folder.to_str().unwrap());
            let kernel = ["/dev/null", "socket:", "pipe:", "anon_inode:", "/proc/"];
            assert!(own || kernel.iter().any(|start| file.starts_with(start)), "holds {file}");
        }
        ground.stop(&daemon).unwrap();
        let left = Command::new("find").args(["/sys/fs/cgroup", "-name", name]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    });
}

/// Not a test: the process that the next test starts, waits for and ends.
#[test]
#[ignore = "part of another test"]
fn prepares_for_another_test() {
    let Some(dir) = std::env::var_os("DIVVY_TEST_GROUND") else { return };
    let (host, settings) = Ground::reopened(Path::new(&dir));
    let daemon = Daemon {
        folder: mps::choose_folder(&host).unwrap(),
        devices: vec!["GPU-0".into()],
        limits: MpsLimits::default(),
        uid: 0,
        library_folders: Vec::new(),
    };
    mps::start(&host, &settings, &daemon).unwrap();
}

#[test]
fn whoever_waits_for_the_caller_s_output_does_not_wait_for_the_daemon() {
    with_each_driver(|ground| {
        let mut caller = Command::new(std::env::current_exe().unwrap());
        caller.args(["--ignored", "--exact", "share::mps::prepares_for_another_test"]);
        caller.env("DIVVY_TEST_GROUND", ground.dir()).stdin(Stdio::null()).process_group(0);
        // Returns when every writer of its output has let go of it.
        let child = caller.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let group = i32::try_from(child.id()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let group = rustix::process::Pid::from_raw(group).unwrap();
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);

        let folder = ground.host.state_dir.join("mps");
        let folder = folder.join(names(&folder).first().expect("the daemon's folder"));
        let process: ProcessRef =
            serde_json::from_slice(&fs::read(folder.join("process")).unwrap()).unwrap();
        assert!(alive(ground, &process));
        mps::stop(&ground.host, &ground.settings, &folder).unwrap();
    });
}

#[test]
fn a_daemon_is_found_by_its_folder_alone() {
    with_each_driver(|ground| {
        let daemon = ground.daemon();
        let process = ground.start(&daemon).unwrap();
        // As though the caller had been killed before anything was written down.
        fs::remove_file(daemon.folder.join("process")).unwrap();
        ground.stop(&daemon).unwrap();
        assert!(!alive(ground, &process));
    });
}

#[test]
fn a_killed_daemon_leaves_a_server_and_stale_sockets_and_all_of_it_goes() {
    with_each_driver(|ground| {
        let daemon = ground.daemon();
        let process = ground.start(&daemon).unwrap();
        let server = server(ground, &daemon);
        fs::write(ground.server_file("mode"), "stubborn").unwrap();
        kill(&process);
        while alive(ground, &process) {
            sleep(Duration::from_millis(1));
        }
        assert!(alive(ground, &server) && pipe(&daemon).join("control").exists());
        let clients = mps::clients(&ground.host, &ground.settings, &daemon.folder).unwrap();
        assert_eq!(clients, Clients::Unknown);
        ground.stop(&daemon).unwrap();
        assert!(!alive(ground, &server) && !daemon.folder.exists());
        let again = ground.daemon();
        ground.start(&again).unwrap();
        ground.stop(&again).unwrap();
    });
}

#[test]
fn a_tenant_who_holds_the_socket_stops_nobody() {
    with_each_driver(|ground| {
        let daemon = ground.daemon();
        let process = ground.start(&daemon).unwrap();
        let held = hold(&client(&daemon));
        let began = Instant::now();
        let clients = mps::clients(&ground.host, &ground.settings, &daemon.folder).unwrap();
        assert_eq!(clients, Clients::Unknown);
        assert!(began.elapsed() < 3 * ground.settings.command_timeout);
        ground.stop(&daemon).unwrap();
        assert!(!alive(ground, &process));
        drop(held);
    });
}

#[test]
fn clients_that_live_are_named() {
    with_each_driver(|ground| {
        fs::write(ground.server_file("clients"), "4711\n4712\n").unwrap();
        let daemon = ground.daemon();
        ground.start(&daemon).unwrap();
        let clients = || mps::clients(&ground.host, &ground.settings, &daemon.folder).unwrap();
        assert_eq!(clients(), Clients::Known(vec![4711, 4712]));
        fs::write(ground.server_file("clients"), "").unwrap();
        assert_eq!(clients(), Clients::Known(vec![]));
        ground.stop(&daemon).unwrap();
        assert_eq!(clients(), Clients::Known(vec![]));
    });
}

#[test]
fn a_server_that_will_not_quit_is_ended_by_a_signal() {
    with_each_driver(|ground| {
        let daemon = ground.daemon();
        let process = ground.start(&daemon).unwrap();
        let server = server(ground, &daemon);
        fs::write(ground.server_file("mode"), "stubborn").unwrap();
        ground.stop(&daemon).unwrap();
        assert!(!alive(ground, &process) && !alive(ground, &server));
    });
}

#[test]
fn a_server_that_does_not_get_ready_is_an_error_in_the_daemon_s_words() {
    with_each_driver(|ground| {
        fs::write(ground.server_file("mode"), "die").unwrap();
        let daemon = ground.daemon();
        let error = ground.start(&daemon).unwrap_err().to_string();
        assert!(error.contains("server of uid 0") && error.contains("has ended"), "{error}");
        assert!(error.contains("exited with status"), "{error}");
        ground.stop(&daemon).unwrap();
        assert!(!daemon.folder.exists());
    });
}

#[test]
fn a_server_that_only_seems_to_start_is_told_where_the_driver_can() {
    with_each_driver(|ground| {
        fs::write(ground.server_file("mode"), "hang").unwrap();
        let mut settings = ground.settings.clone();
        settings.ready_timeout = Duration::from_secs(1);
        let daemon = ground.daemon();
        let started = mps::start(&ground.host, &settings, &daemon);
        match started {
            Err(error) => assert!(error.to_string().contains("INITIALIZING"), "{error}"),
            Ok(_) => assert_eq!(ground.driver, "535", "its daemon has no get_server_status"),
        }
        ground.stop(&daemon).unwrap();
    });
}

#[test]
fn nvidia_s_own_server_finds_the_driver_s_libraries_and_no_gpu() {
    with_each_real_server(|ground| {
        let daemon = Daemon { library_folders: vec![ground.library_folder()], ..ground.daemon() };
        let error = ground.start(&daemon).unwrap_err().to_string();
        // Not "can't load libcuda": it was found through the folder of links.
        assert!(error.contains("no CUDA-capable device is detected"), "{error}");
        ground.stop(&daemon).unwrap();
    });
}

#[test]
fn the_longest_pipe_directory_works_and_a_longer_one_is_refused() {
    with_each_driver(|ground| {
        // What follows the state directory: /mps/, 16 digits, /pipe.
        let room = 87 - "/mps/0123456789abcdef/pipe".len();
        let host = |length: usize| {
            let base = ground.dir().to_str().unwrap();
            let state = format!("{base}/{}", "x".repeat(length - base.len() - 1));
            Host { state_dir: state.into(), ..ground.host.clone() }
        };
        let longest = host(room);
        let daemon = Daemon { folder: mps::choose_folder(&longest).unwrap(), ..ground.daemon() };
        assert_eq!(pipe(&daemon).as_os_str().len(), 87);
        mps::start(&longest, &ground.settings, &daemon).unwrap();
        mps::stop(&longest, &ground.settings, &daemon.folder).unwrap();
        let error = mps::choose_folder(&host(room + 1)).unwrap_err().to_string();
        assert!(error.contains("88 bytes") && error.contains("--state-dir"), "{error}");
    });
}

#[test]
fn daemons_side_by_side_do_not_meet() {
    with_each_driver(|ground| {
        let first = Daemon { limits: limits(25, 1024), ..ground.daemon() };
        let second = Daemon { limits: limits(50, 2048), ..ground.daemon() };
        let one = ground.start(&first).unwrap();
        let two = ground.start(&second).unwrap();
        let percentage =
            |daemon| ground.ask(&pipe(daemon), 0, "get_default_active_thread_percentage");
        assert_eq!((percentage(&first), percentage(&second)), ("25.0".into(), "50.0".into()));
        ground.stop(&first).unwrap();
        assert!(!alive(ground, &one) && alive(ground, &two));
        assert_eq!(percentage(&second), "50.0");
        ground.stop(&second).unwrap();
        assert!(!alive(ground, &two));
    });
}

/// A control daemon that divvy didn't start; ended when dropped.
struct Foreign(Child);

impl Foreign {
    fn start(ground: &Ground, folder: &Path) -> Foreign {
        fs::create_dir(folder).unwrap();
        let mut command = Command::new(ground.control_program());
        command.arg("-f").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("CUDA_MPS_PIPE_DIRECTORY", folder.join("pipe"));
        command.env("CUDA_MPS_LOG_DIRECTORY", folder.join("log"));
        let foreign = Foreign(command.spawn().unwrap());
        while !folder.join("pipe/control").exists() {
            sleep(Duration::from_millis(1));
        }
        foreign
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn another_s_daemon_is_left_alone() {
    with_each_driver(|ground| {
        let theirs = ground.dir().join("theirs");
        let foreign = Foreign::start(ground, &theirs);
        let daemon = ground.daemon();
        ground.start(&daemon).unwrap();
        ground.stop(&daemon).unwrap();
        // A record that names their folder, by mistake or malice.
        let error = mps::stop(&ground.host, &ground.settings, &theirs).unwrap_err();
        let answer = ground.ask(&theirs.join("pipe"), 0, "get_default_active_thread_percentage");
        drop(foreign);
        assert!(matches!(error, MpsError::Foreign { .. }), "{error}");
        assert_eq!(answer, "100.0");
    });
}

#[test]
fn a_record_leads_to_no_folder_but_a_daemon_s() {
    with_each_driver(|ground| {
        let mps = ground.host.state_dir.join("mps");
        for path in [
            mps.clone(),
            mps.join("..").join("0123456789abcdef"),
            mps.join("0123456789abcdef/.."),
            mps.join("0123456789abcde"),
            PathBuf::from("/0123456789abcdef"),
            PathBuf::from("/"),
        ] {
            let refused = mps::stop(&ground.host, &ground.settings, &path);
            assert!(matches!(refused, Err(MpsError::Foreign { .. })), "{}", path.display());
        }
    });
}

#[test]
fn a_container_s_view_reaches_the_daemon_and_can_not_end_it() {
    with_each_driver(|ground| {
        let daemon = ground.daemon();
        let process = ground.start(&daemon).unwrap();
        let view = ground.dir().join("view");
        fs::create_dir(&view).unwrap();
        // As a container has it: the client folder alone, mounted read-only elsewhere.
        let script = "mount --bind \"$1\" \"$2\" && mount -o remount,bind,ro \"$2\" &&
            for command in get_server_list quit; do echo $command | timeout 1 \"$3\" 2>&1; done
            touch \"$2/x\" 2>/dev/null && echo writable";
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
            .args([client(&daemon), view.clone(), ground.control_program()])
            .env("CUDA_MPS_PIPE_DIRECTORY", &view)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let server = server(ground, &daemon);
        assert_eq!(text.lines().next(), Some(server.pid.to_string().as_str()), "{text}");
        assert!(!text.contains("writable"), "{text}");
        sleep(Duration::from_millis(200));
        assert!(alive(ground, &process), "root in a container ended the daemon: {text}");
        ground.stop(&daemon).unwrap();
    });
}

#[test]
fn what_a_tenant_without_root_can_change_is_known() {
    with_each_driver(|ground| {
        let daemon = Daemon { limits: limits(25, 1024), ..ground.daemon() };
        ground.start(&daemon).unwrap();
        let tenant = |command: &str| ground.ask(&client(&daemon), 1500, command);
        tenant("set_default_active_thread_percentage 90");
        let now = ground.ask(&pipe(&daemon), 0, "get_default_active_thread_percentage");
        // Of the next server; so with 535 a daemon serves one claim alone.
        assert_eq!(now, if ground.driver == "535" { "90.0" } else { "25.0" });
        tenant("quit");
        assert_eq!(ground.ask(&pipe(&daemon), 0, "get_default_device_pinned_mem_limit 0"), "1G");
        ground.stop(&daemon).unwrap();
    });
}

#[test]
fn the_server_has_the_client_s_uid_and_must_reach_its_folder() {
    with_each_driver(|ground| {
        let daemon = Daemon { uid: 1500, ..ground.daemon() };
        ground.start(&daemon).unwrap();
        let seen = fs::read_to_string(ground.server_file("seen")).unwrap();
        assert!(seen.starts_with("uid=1500 "), "{seen}");
        ground.stop(&daemon).unwrap();

        let closed = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&ground.host.state_dir, closed).unwrap();
        let daemon = Daemon { uid: 1500, ..ground.daemon() };
        let error = ground.start(&daemon).unwrap_err();
        assert!(
            matches!(&error, MpsError::Closed { folder, .. } if *folder == ground.host.state_dir),
            "{error}"
        );
        ground.stop(&daemon).unwrap();
    });
}

#[test]
fn a_tenant_s_flood_of_messages_fills_nothing() {
    with_each_driver(|ground| {
        let daemon = ground.daemon();
        let process = ground.start(&daemon).unwrap();
        for _ in 0..2000 {
            drop(hold(&client(&daemon)));
        }
        let sizes = |folder: &Path| -> u64 {
            names(folder).iter().map(|name| fs::metadata(folder.join(name)).unwrap().len()).sum()
        };
        assert_eq!(sizes(&daemon.folder.join("log")), 0);
        assert_eq!(fs::metadata(daemon.folder.join("messages")).unwrap().len(), 0);
        assert!(alive(ground, &process));
        ground.stop(&daemon).unwrap();
    });
}
