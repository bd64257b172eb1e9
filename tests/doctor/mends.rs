//! What is told to mend a finding: never what destroys another tool's work.

use super::causes::{ENV, GONE, GPU, spec};
use super::machine::Machine;
use serde_json::Value;
use std::fs;

/// The command and the advice of a finding about that file.
fn told(machine: &Machine, name: &str, file: &str) -> (Option<String>, Option<String>) {
    let about = |finding: &Value| {
        finding["name"] == name && finding["what"].as_str().is_some_and(|what| what.contains(file))
    };
    let finding = machine.findings().into_iter().find(about);
    let finding = finding.unwrap_or_else(|| panic!("{name} of {file}: {}", machine.report()));
    let text = |key: &str| {
        let text = finding[key].as_str()?;
        Some(text.replace(machine.cdi("").to_str().unwrap(), "CDI/"))
    };
    (text("command"), text("advice"))
}

const TOOLKIT: &str = r#""deviceNodes": [{"path": "/dev/nvidia7", "hostPath": "/nonexistent/nvidia7"}],
    "hooks": [{"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook"}]"#;

const UNINSTALLED: &str =
    r#""hooks": [{"hookName": "createContainer", "path": "/usr/bin/nvidia-ctk"}]"#;

#[test]
fn a_stale_file_is_written_anew_by_who_wrote_it() {
    let machine = Machine::new();
    machine.write("usr/bin/nvidia-cdi-hook", "");
    let hook = GONE.to_owned()
        + r#", "hooks": [{"hookName": "createContainer", "path": "/usr/bin/divvy-hook"}]"#;
    let tool = "let the tool that wrote it write it anew; if that is gone, so may the file be";
    let cases = [
        ("intel.json", "intel.com/gpu", GONE, None, Some(tool)),
        ("divvy-requests.json", "divvy/gpu", GONE, Some("divvy cdi refresh --requests"), None),
        (
            "mine.json",
            "divvy/gpu",
            GONE,
            Some("divvy cdi generate --requests --output CDI/mine.json"),
            None,
        ),
        (
            "its $(own) name.json",
            GPU,
            &hook,
            Some("divvy cdi generate --output 'CDI/its $(own) name.json'"),
            None,
        ),
        (
            "nvidia.json",
            GPU,
            TOOLKIT,
            Some("divvy cdi generate --output CDI/nvidia.json"),
            Some("or nvidia-ctk cdi generate --output CDI/nvidia.json"),
        ),
        (
            "uninstalled.json",
            GPU,
            UNINSTALLED,
            Some("divvy cdi generate --output CDI/uninstalled.json"),
            Some("or install NVIDIA's toolkit again, whose program is missing"),
        ),
    ];
    for (name, kind, edits, command, advice) in cases {
        fs::write(machine.cdi(name), spec("0.5.0", kind, edits)).unwrap();
        let wanted = (command.map(str::to_owned), advice.map(str::to_owned));
        assert_eq!(told(&machine, "cdi-stale", name), wanted, "{name}");
        fs::remove_file(machine.cdi(name)).unwrap();
    }
}

#[test]
fn another_vendors_file_that_is_too_new_is_left_alone() {
    let machine = Machine::new();
    machine.engine("podman", "podman version 4.3.1");
    fs::write(machine.cdi("intel.json"), spec("0.7.0", "intel.com/gpu", ENV)).unwrap();
    let (command, advice) = told(&machine, "cdi-too-new", "intel.json");
    assert_eq!(command, None);
    assert_eq!(
        advice.unwrap(),
        "update podman, or let the tool that wrote it write a CDI version before 0.6.0"
    );
}

#[test]
fn no_command_removes_what_another_tool_wrote() {
    let machine = Machine::new();
    let ours = machine.cdi("divvy-gpu.json");
    let text = fs::read_to_string(&ours).unwrap();
    // A copy of divvy's own may go, whatever its name.
    fs::write(machine.cdi("a copy.json"), &text).unwrap();
    let (command, _) = told(&machine, "cdi-conflict", "no container gets");
    assert_eq!(command.unwrap(), "rm 'CDI/a copy.json'");
    fs::remove_file(machine.cdi("a copy.json")).unwrap();
    // Of two tools' files, people choose.
    let theirs = text.replace("divvy-hook", "nvidia-cdi-hook");
    fs::write(machine.cdi("nvidia.json"), theirs).unwrap();
    let (command, advice) = told(&machine, "cdi-conflict", "no container gets");
    assert_eq!(command, None);
    let advice = advice.unwrap();
    assert!(
        advice.contains("CDI/nvidia.json") && advice.contains("nvidia-cdi-refresh"),
        "{advice}"
    );
    fs::remove_file(machine.cdi("nvidia.json")).unwrap();
    for name in ["one.json", "two.json"] {
        fs::write(machine.cdi(name), spec("0.5.0", "intel.com/gpu", ENV)).unwrap();
    }
    let (command, advice) = told(&machine, "cdi-conflict", "intel.com/gpu=7");
    assert_eq!(command, None);
    assert!(advice.unwrap().starts_with("keep one of CDI/one.json and CDI/two.json"));
}

#[test]
fn a_command_stands_apart_from_advice() {
    let machine = Machine::new();
    fs::remove_file(machine.root("etc/subuid")).unwrap();
    fs::remove_file(machine.dev("nvidiactl")).unwrap();
    let text = machine.shown(&machine.doctor(&[]));
    assert!(text.contains("\n    mend: $ nvidia-modprobe -c 0 -u\n"), "{text}");
    assert!(text.contains("\n    mend: usermod "), "{text}");
}
