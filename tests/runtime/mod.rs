//! `divvy runtime configure`: the built program, below a root of its own; its answers and exit codes.

use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A root with Docker's folder, and this daemon.json.
fn machine(daemon: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc/docker")).unwrap();
    fs::write(root.path().join("etc/docker/daemon.json"), daemon).unwrap();
    root
}

/// Exit code, stdout and stderr of the command below this root.
fn told(root: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_divvy"));
    command.args(["runtime", "configure", "--root"]).arg(root).args(arguments);
    let output = command.output().unwrap();
    let text = format!(
        "$ divvy runtime configure {}\nexit {}\n{}{}",
        arguments.join(" "),
        output.status.code().unwrap(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    text.replace(root.to_str().unwrap(), "ROOT")
}

fn install(root: &Path, program: &str) {
    let path = root.join("usr/bin").join(program);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "").unwrap();
}

#[test]
fn a_machine_is_set_up_looked_at_and_set_back() {
    let root = machine("{\n  \"features\": {\"buildkit\": true}\n}\n");
    let root = root.path();
    let daemon = || fs::read_to_string(root.join("etc/docker/daemon.json")).unwrap();
    let before = daemon();
    let mut story = told(root, &["--runtime", "docker", "--dry-run"]);
    assert_eq!(daemon(), before);
    assert!(!root.join("var").exists());
    install(root, "divvy-runtime");
    for arguments in [
        &["--runtime", "docker"][..],
        &["--runtime", "docker"],
        &["--runtime", "docker", "--set-as-default", "--output", "json"],
        &["--runtime", "docker", "--remove"],
        &["--runtime", "docker", "--remove"],
    ] {
        story.push('\n');
        story.push_str(&told(root, arguments));
    }
    assert_eq!(daemon(), before);
    insta::assert_snapshot!(story);
}

#[test]
fn what_can_t_be_done_says_why() {
    let root = machine("{\n  oops\n}\n");
    let cases: [&[&str]; 8] = [
        &["--runtime", "docker"],
        &["--runtime", "docker", "--remove"],
        &["--runtime", "crio"],
        &["--runtime", "podman", "--engine-config", "/etc/x"],
        &["--runtime", "docker", "--drop-in", "/etc/x"],
        &["--runtime", "docker", "--runtime-name", "a b"],
        &["--runtime", "docker", "--runtime-name", "runc"],
        &["--runtime", "podman", "--drop-in", "/etc/x.conf", "--set-as-default"],
    ];
    let told: Vec<String> = cases.iter().map(|case| told(root.path(), case)).collect();
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}
