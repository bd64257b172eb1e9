//! `divvy cdi validate`: a spec against the format, and against this host.

use cdi::{ContainerEdits, Finding, Severity, Spec, Version};
use serde::Serialize;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// What loads everywhere: podman before 5.1 and containerd 1.7 of the first days know no later version.
const LOADS_EVERYWHERE: Version = Version::V0_5;

/// A file that was looked at.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Checked {
    /// The file.
    pub file: PathBuf,
    /// Whether every device in it can be served: there is no error among the findings.
    pub valid: bool,
    /// What was found, errors and warnings.
    pub findings: Vec<Found>,
}

/// A finding, ready to be shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Found {
    /// Whether the file can't serve its devices for it.
    pub severity: Severity,
    /// The line, counted from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column, counted from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// The field, such as `devices[3].name`; empty for the file as a whole.
    pub field: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl fmt::Display for Found {
    /// Follows a file's name and a colon: `12:7: error: devices[0].name: what is wrong`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "{line}:{column}: ")?,
            _ => write!(f, " ")?,
        }
        write!(f, "{}: ", self.severity)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.problem)
    }
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Found {
        Found {
            severity: finding.severity,
            line: finding.position.map(|position| position.line),
            column: finding.position.map(|position| position.column),
            field: finding.field,
            problem: finding.problem,
        }
    }
}

/// Checks a file as an engine would read it, and whether what it names is on this host.
pub fn check(file: &Path) -> Checked {
    let findings = match cdi::check_file(file) {
        Ok(mut findings) => {
            // What engines refuse to read has no devices that could miss anything.
            if let Ok(spec) = cdi::read_file(file) {
                findings.extend(on_this_host(file, &spec));
            }
            findings.into_iter().map(Found::from).collect()
        }
        Err(error) => vec![unreadable(&error)],
    };
    let valid = !findings.iter().any(|found: &Found| found.severity == Severity::Error);
    Checked { file: file.to_owned(), valid, findings }
}

fn unreadable(error: &cdi::ReadError) -> Found {
    Found {
        severity: Severity::Error,
        line: None,
        column: None,
        field: String::new(),
        problem: error.to_string(),
    }
}

fn on_this_host(file: &Path, spec: &Spec) -> Vec<Finding> {
    let mut findings = Vec::new();
    if spec.cdi_version > LOADS_EVERYWHERE {
        let dotted = spec.kind.class().contains('.') && spec.cdi_version == Version::V0_6;
        let problem = match dotted {
            true => format!(
                "older engines drop the whole spec: a kind with a dot, {}, needs CDI version {}, which podman 4.3 and older don't read; the same devices have names of kind nvidia.com/gpu as well (`divvy cdi refresh`)",
                spec.kind, spec.cdi_version
            ),
            false => format!(
                "older engines drop the whole spec: podman before 5.1 reads no CDI version {}; {LOADS_EVERYWHERE} loads everywhere (`divvy cdi generate --no-additional-gids`)",
                spec.cdi_version
            ),
        };
        findings.push(finding(Severity::Warning, "cdiVersion".to_owned(), problem));
    }
    missing(&spec.container_edits, "containerEdits", &mut findings);
    for (index, device) in spec.devices.iter().enumerate() {
        let field = format!("devices[{index}].containerEdits");
        missing(&device.container_edits, &field, &mut findings);
    }
    if let Ok(text) = fs::read_to_string(file) {
        cdi::locate(&text, &mut findings);
    }
    findings
}

fn finding(severity: Severity, field: String, problem: String) -> Finding {
    Finding { severity, field, position: None, problem }
}

/// What these edits name and this host lacks: a container with them doesn't start.
fn missing(edits: &ContainerEdits, field: &str, findings: &mut Vec<Finding>) {
    let mut need = |path: &str, field: String, what: &str| {
        if !Path::new(path).exists() {
            let problem =
                format!("the {what} {path} is not on this host; no container with it starts");
            findings.push(finding(Severity::Error, field, problem));
        }
    };
    for (index, node) in edits.device_nodes.iter().enumerate() {
        // A node that says all of itself needs none on the host.
        if node.node_type.is_some() && node.major.is_some() {
            continue;
        }
        let (name, path) = match &node.host_path {
            Some(path) => ("hostPath", path),
            None => ("path", &node.path),
        };
        need(path, format!("{field}.deviceNodes[{index}].{name}"), "device node");
    }
    let binds = |mount: &&cdi::Mount| {
        let bound = mount.options.iter().any(|option| option == "bind" || option == "rbind");
        mount.fs_type.is_none() || bound
    };
    for (index, mount) in edits.mounts.iter().enumerate().filter(|(_, mount)| binds(mount)) {
        need(&mount.host_path, format!("{field}.mounts[{index}].hostPath"), "file");
    }
    for (index, hook) in edits.hooks.iter().enumerate() {
        need(&hook.path, format!("{field}.hooks[{index}].path"), "hook");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Checked {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("spec.yaml");
        fs::write(&file, text).unwrap();
        check(&file)
    }

    #[test]
    fn what_the_host_lacks_is_named_with_its_line() {
        let checked = checked(
            "cdiVersion: 0.5.0\nkind: a.com/gpu\ndevices:\n- name: x\n  containerEdits:\n    deviceNodes:\n    - path: /dev/null\n    - path: /dev/y\n      hostPath: /nowhere/y\n    mounts:\n    - hostPath: /nowhere/z\n      containerPath: /z\n    - hostPath: tmpfs\n      type: tmpfs\n      containerPath: /t\n",
        );
        let shown: Vec<String> = checked.findings.iter().map(Found::to_string).collect();
        assert_eq!(
            shown,
            [
                "9:7: error: devices[0].containerEdits.deviceNodes[1].hostPath: the device node /nowhere/y is not on this host; no container with it starts",
                "11:7: error: devices[0].containerEdits.mounts[0].hostPath: the file /nowhere/z is not on this host; no container with it starts",
            ]
        );
        assert!(!checked.valid);
    }

    #[test]
    fn a_version_that_old_engines_drop_is_a_warning() {
        let checked = checked(
            "cdiVersion: 0.7.0\nkind: a.com/gpu\ndevices:\n- name: x\n  containerEdits:\n    additionalGids: [44]\n",
        );
        assert!(checked.valid);
        assert_eq!(checked.findings[0].severity, Severity::Warning);
        assert_eq!(checked.findings[0].line, Some(1));
    }

    #[test]
    fn what_is_no_spec_is_not_looked_at_further() {
        let checked = checked("cdiVersion: 0.5.0\nkind: nothing\ndevices: []\n");
        assert!(!checked.valid);
        assert_eq!(checked.findings[0].line, Some(2));
    }
}
