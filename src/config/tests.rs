use super::*;
use crate::document::FileError;
use std::path::Path;

fn parse(text: &str) -> Result<Config, FileError> {
    Config::parse(text, Path::new("config.yaml"))
}

#[test]
fn without_a_file_and_in_an_empty_one_the_defaults_hold() {
    let missing = Config::load(Path::new("/nonexistent/divvy.yaml")).unwrap();
    assert_eq!(missing, Config::default());
    for empty in ["", "\n", "# nothing said\n"] {
        assert_eq!(parse(empty).unwrap(), Config::default());
    }
    let policy = GpuPolicy::default();
    assert_eq!(
        (policy.managed, policy.enable_mig, policy.exclusive_process),
        (false, false, false)
    );
    assert_eq!((policy.replicas, policy.modes.len(), policy.oversubscribe), (4, 4, false));
}

#[test]
fn every_key_is_read() {
    let config = parse(
        "gpus:\n- match: 0\n  managed: true\n  modes: [mps, mig]\n  replicas: 8\n  mig-mode: enable\n  \
         compute-mode: exclusive\n  oversubscribe: true\n  require: {memory: daemon, compute: client}\n\
         - match: \"*A100*\"\nshares:\n  notebook: mig:1g.10gb/time-slicing\n  half: {request: {mode: mps, threads: 50}}\n\
         cdi-names: [mig:1g.10gb @0]\nrequests:\n  from-environment: true\n  from-pod-annotations: true\n",
    )
    .unwrap();
    let [first, second] = &config.gpus[..] else { panic!("{config:?}") };
    assert_eq!(first.gpus, Pin::Index(0));
    assert_eq!(first.policy.modes, [Mode::Mps, Mode::Mig].into());
    assert!(
        first.policy.enable_mig && first.policy.exclusive_process && first.policy.oversubscribe
    );
    assert_eq!(first.policy.require, Enforced { memory: Level::Daemon, compute: Level::Client });
    assert_eq!(second.policy, GpuPolicy::default());
    assert_eq!(config.shares["half"].request().to_string(), "mps:threads=50");
    assert_eq!(config.cdi_names[0].cdi_name().unwrap(), "0:mig-1g.10gb");
    assert!(config.requests.from_environment && config.requests.from_pod_annotations);
}

#[test]
fn levels_are_ordered_by_strength() {
    assert!(
        Level::No < Level::Client
            && Level::Client < Level::Daemon
            && Level::Daemon < Level::Hardware
    );
    let daemon = Enforced { memory: Level::Daemon, compute: Level::No };
    assert!(daemon.reaches(Enforced { memory: Level::Client, compute: Level::No }));
    assert!(!daemon.reaches(Enforced { memory: Level::No, compute: Level::Client }));
}

#[test]
fn mistakes_name_their_line_and_what_was_meant() {
    let texts = [
        "gpu: []",
        "gpus:\n- match: \"*\"\n  mig_mode: enable",
        "gpus:\n- match: \"*\"\n  mig-mode: on",
        "gpus:\n- managed: true",
        "gpus:\n- match: \"*\"\n  mig-mode: enable",
        "gpus:\n- match: MIG-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c",
        "gpus:\n- match: \"*\"\n  replicas: 0",
        "gpus:\n- match: \"*\"\n  modes: [timeslicing]",
        "gpus:\n- match: \"*\"\n  require: {memory: software}",
        "gpus:\n- match: \"*\"\n  require: {mem: daemon}",
        "gpus: yes",
        "shares:\n  exclusive: mps",
        "shares:\n  a/b: mps",
        "shares:\n  a: mpz",
        "cdi-names: [2x mps]",
        "requests: {from-env: true}",
        "gpus: [\n",
        "gpus: []\ngpus: []",
        "host: {driver_root: /}",
        "host: {driver-root: driver}",
        "host: {cdi-dirs: []}",
        "runtime: bin/runc",
        "\u{0}",
    ];
    let shown: Vec<String> =
        texts.iter().map(|text| format!("{text:?}\n  {}", parse(text).unwrap_err())).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_huge_or_unreadable_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(matches!(Config::load(&path), Err(FileError::TooLarge { .. })));
    assert!(matches!(Config::load(folder.path()), Err(FileError::Read { .. })));
}

#[test]
fn the_host_is_what_the_configuration_says_and_the_defaults() {
    let config = parse("host:\n  driver-root: /drv\n  state-dir: /s\n  cdi-dirs: [/c]\n").unwrap();
    let host = config.host.clone().host();
    assert_eq!((host.dev_root.to_str(), host.state_dir.to_str()), (Some("/drv"), Some("/s")));
    assert_eq!((host.cdi_dirs, host.proc_root), (vec!["/c".into()], "/proc".into()));
    let said = HostPaths { driver_root: Some("/other".into()), ..HostPaths::default() };
    let host = said.or(config.host).host();
    assert_eq!(
        (host.driver_root.to_str(), host.dev_root.to_str()),
        (Some("/other"), Some("/other"))
    );
    assert_eq!(host.state_dir.to_str(), Some("/s"));
    assert_eq!(HostPaths::default().host(), crate::host::Host::default());
}

#[test]
fn the_runtime_is_read_whatever_stands_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Runtime::load(&path)
    };
    assert_eq!(load("gpus: nonsense\nruntime: crun\n").unwrap(), Runtime::Named("crun".into()));
    assert_eq!(load("runtime: /opt/runc\n").unwrap(), Runtime::At("/opt/runc".into()));
    assert_eq!(load("# nothing\n").unwrap(), Runtime::Any);
    assert_eq!(Runtime::load(Path::new("/nonexistent/divvy")).unwrap(), Runtime::Any);
    assert!(load("runtime: ../runc").is_err() && load("runtime: [\n").is_err());
    assert_eq!(Runtime::Any.candidates()[0], Path::new("/usr/local/sbin/runc"));
}
