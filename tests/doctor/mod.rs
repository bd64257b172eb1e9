//! `divvy doctor`: each finding provoked on a simulated node, and a node where nothing is found.

mod book;
mod causes;
mod machine;
mod mends;
mod mps;

use crate::claims::site::Site;
use crate::common::node;
use divvy::doctor::Name;
use machine::Machine;
use std::fs;
use std::path::Path;

#[test]
fn nothing_is_found_on_a_healthy_node() {
    let machine = Machine::new();
    let output = machine.doctor(&[]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(machine.shown(&output));
}

#[test]
fn what_is_found_decides_the_exit_code() {
    let machine = Machine::new();
    let code = |machine: &Machine| machine.doctor(&["--output", "json"]).status.code();
    fs::remove_file(machine.root("etc/subuid")).unwrap();
    assert_eq!((machine.report()["level"].as_str(), code(&machine)), (Some("note"), Some(0)));
    fs::remove_file(machine.dev("nvidiactl")).unwrap();
    assert_eq!((machine.report()["level"].as_str(), code(&machine)), (Some("error"), Some(1)));
    let output = machine.doctor(&[]);
    insta::assert_snapshot!(machine.shown(&output));
}

#[test]
fn looking_changes_nothing() {
    let machine = Machine::new();
    let before = machine.site.picture();
    machine.doctor(&[]);
    machine.site.same(&before, "doctor");
}

#[test]
fn what_can_t_be_checked_says_why() {
    let machine = Machine::new();
    machine.env("DIVVY_NVML_LIBRARY", "/nonexistent/libnvidia-ml.so.1");
    let output = machine.doctor(&[]);
    let shown = machine.shown(&output);
    for check in ["persistence", "nodes", "mig"] {
        assert!(
            shown.contains(&format!("not checked: {check}: the driver doesn't answer")),
            "{shown}"
        );
    }
}

/// docs/doctor.md has every finding with its level and meaning, and no other.
#[test]
fn the_page_has_every_finding() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md");
    let page = fs::read_to_string(page).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |name: &Name| {
        format!("| `{}` | {} | {} |", name.word(), name.level().word(), name.meaning())
    };
    let known: Vec<String> = Name::ALL.iter().map(row).collect();
    assert_eq!(rows, known);
}

/// In a container, the paths that CDI files name lie below `--root`.
#[test]
fn cdi_files_name_paths_below_the_root() {
    let machine = Machine::new();
    assert_eq!(machine.found("cdi-stale"), None, "{}", machine.report());
    // What is there for doctor alone isn't there for containers.
    let mount = r#""mounts": [{"hostPath": "/proc/self/status", "containerPath": "/a"}]"#;
    fs::write(machine.cdi("nvidia.json"), causes::spec("0.5.0", causes::GPU, mount)).unwrap();
    let found = machine.found("cdi-stale").unwrap();
    assert!(found.contains("it names /proc/self/status, which isn't there"), "{found}");
    // A link leads where it leads on the machine.
    machine.write("proc/self/really", "");
    std::os::unix::fs::symlink("/proc/self/really", machine.root("proc/self/status")).unwrap();
    assert_eq!(machine.found("cdi-stale"), None);
}

#[test]
fn a_hook_whose_program_is_gone_makes_a_file_stale() {
    let machine = Machine::new();
    fs::remove_file(machine.root("usr/bin/divvy-hook")).unwrap();
    let stale: Vec<String> = machine
        .findings()
        .into_iter()
        .filter(|finding| finding["name"] == "cdi-stale")
        .map(|finding| format!("{} {}", finding["how"], finding["command"]))
        .collect();
    let how = r#""it names /usr/bin/divvy-hook, which isn't there""#;
    // In the spec's own edits, and in those of single devices.
    assert_eq!(
        stale,
        [
            format!(r#"{how} "divvy cdi refresh""#),
            format!(r#"{how} "divvy cdi refresh --requests""#)
        ]
    );
}

#[test]
fn what_another_tool_gives_out_is_a_note_where_divvy_keeps_nothing() {
    let machine = Machine::with(Site { node: node::create(&["--gpu", "H100-80GB"]) });
    for name in ["divvy-gpu.json", "divvy-requests.json"] {
        fs::remove_file(machine.cdi(name)).unwrap();
    }
    for (unit, _) in machine::UNITS {
        fs::remove_file(machine.root("usr/lib/systemd/system").join(unit)).unwrap();
    }
    let theirs = causes::spec("0.5.0", causes::GPU, causes::ENV);
    fs::write(machine.cdi("nvidia.yaml"), theirs).unwrap();
    let found = machine.found("cdi-foreign").unwrap();
    assert!(found.starts_with("cdi-foreign (note)"), "{found}");
    machine.write("usr/lib/systemd/system/divvy-cdi-refresh.service", "");
    let found = machine.found("cdi-foreign").unwrap();
    assert!(found.starts_with("cdi-foreign (warning)"), "{found}");
    assert!(found.contains("divvy cdi refresh refuses") && found.contains("nvidia-cdi-refresh"));
}

#[test]
fn a_prepared_claims_file_is_written_again() {
    let machine = Machine::new();
    let file = machine.cdi("divvy-claim_job.json");
    machine.site.divvy(&["prepare", "--claim", "job", "mig:3g.40gb"]).done();
    let text = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let findings = machine.findings();
    let finding = findings.iter().find(|one| one["name"] == "claim-without-cdi").unwrap();
    let command = finding["command"].as_str().unwrap();
    let words: Vec<&str> = command.strip_prefix("divvy ").unwrap().split(' ').collect();
    machine.site.divvy(&words).done();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(machine.found("claim-without-cdi"), None);
    // A claim that a container is about to have is handed its edits, and has no file.
    let pid = std::process::id().to_string();
    let start = ["prepare", "--claim", "start", "--start-process", &pid, "mig:1g.10gb"];
    machine.site.divvy(&start).done();
    assert_eq!(machine.found("claim-without-cdi"), None);
}

#[test]
fn a_mig_device_that_somebody_destroyed_is_lost() {
    let machine = Machine::new();
    machine.site.prepare("job", &["mig:3g.40gb @0"]).done();
    assert_eq!(machine.found("claim-lost"), None);
    machine.site.node.change("mig", &["0", "destroy", &machine.site.instance("job")]);
    let told = "claim job holds a MIG device that is gone";
    assert!(machine.found("claim-lost").unwrap().contains(told));
    assert_eq!(machine.found("mig-unclaimed"), None);
    // Another tool's device gets the same ids, and is nobody's.
    machine.site.node.change("mig", &["0", "create", "2g.20gb"]);
    assert!(machine.found("claim-lost").unwrap().contains(told));
    assert!(machine.found("mig-unclaimed").is_some());
}

#[test]
fn a_check_says_what_it_found() {
    let machine = Machine::new();
    machine.engine("dockerd", "Docker version 28.5.2, build 1234567");
    machine.write("etc/docker/daemon.json", r#"{"default-runtime": "nvidia"}"#);
    let shown = machine.shown(&machine.doctor(&["--verbose"]));
    let line = "warning legacy: no hook and the default runtime of docker of the NVIDIA toolkit: 1 warning";
    assert!(shown.contains(line), "{shown}");
    for engine in ["podman", "dockerd"] {
        fs::remove_file(machine.root("usr/bin").join(engine)).unwrap();
    }
    let shown = machine.shown(&machine.doctor(&["--verbose"]));
    assert!(shown.contains("warning engines: none: 1 warning\n"), "{shown}");
}
