//! The rules of the CDI specification that a spec's types don't hold by themselves.
//!
//! An error is what the CDI reference library refuses when it loads a spec, so that the spec's devices don't exist
//! for any engine. A warning is what the specification or the OCI runtime specification forbids beyond that.

use std::collections::{HashMap, HashSet};

use crate::{
    Annotations, ContainerEdits, DeviceNode, Finding, Hook, IntelRdt, Mount, NetDevice, Severity,
    Spec, minimum_version,
    position::{push_index, push_key},
};

/// All annotations of one spec or device together, in bytes.
const ANNOTATIONS_MAX: usize = 256 * 1024;
/// The longest name part of an annotation's key, in bytes.
const ANNOTATION_NAME_MAX: usize = 63;
/// The longest prefix of an annotation's key, in bytes.
const ANNOTATION_PREFIX_MAX: usize = 253;
/// The longest file name that the reference library takes for a class of service, in bytes, and one more.
const CLOS_ID_END: usize = 4096;

/// Everything that is wrong with `spec`, in the order of its fields, without positions.
pub fn validate(spec: &Spec) -> Vec<Finding> {
    let mut walk = Walk::default();
    walk.key("cdiVersion", |walk| {
        let needed = minimum_version(spec);
        if spec.cdi_version < needed {
            walk.error(format!(
                "the content needs version {needed} of the format, and {} is stated",
                spec.cdi_version
            ));
        }
    });
    walk.key("annotations", |walk| annotations(walk, &spec.annotations));
    walk.key("devices", |walk| devices(walk, spec));
    walk.key("containerEdits", |walk| edits(walk, &spec.container_edits));
    walk.findings
}

/// The field that is looked at, and what was found so far.
#[derive(Default)]
struct Walk {
    path: String,
    findings: Vec<Finding>,
}

impl Walk {
    fn key(&mut self, key: &str, look: impl FnOnce(&mut Walk)) {
        let length = self.path.len();
        push_key(&mut self.path, key);
        look(self);
        self.path.truncate(length);
    }

    fn each<T>(&mut self, key: &str, items: &[T], mut look: impl FnMut(&mut Walk, &T)) {
        self.key(key, |walk| {
            for (index, item) in items.iter().enumerate() {
                let length = walk.path.len();
                push_index(&mut walk.path, index);
                look(walk, item);
                walk.path.truncate(length);
            }
        });
    }

    fn error(&mut self, problem: impl Into<String>) {
        self.found(Severity::Error, problem.into());
    }

    fn warning(&mut self, problem: impl Into<String>) {
        self.found(Severity::Warning, problem.into());
    }

    fn found(&mut self, severity: Severity, problem: String) {
        self.findings.push(Finding { severity, field: self.path.clone(), position: None, problem });
    }
}

fn devices(walk: &mut Walk, spec: &Spec) {
    if spec.devices.is_empty() {
        walk.error("there is no device; a spec has at least one");
    }
    let mut first = HashMap::new();
    for (index, device) in spec.devices.iter().enumerate() {
        let length = walk.path.len();
        push_index(&mut walk.path, index);
        let before = *first.entry(&device.name).or_insert(index);
        if before != index {
            walk.key("name", |walk| {
                walk.error(format!("\"{}\" is the name of devices[{before}] too", device.name));
            });
        }
        walk.key("annotations", |walk| annotations(walk, &device.annotations));
        walk.key("containerEdits", |walk| {
            if device.container_edits.is_empty() {
                walk.error("a device has at least one edit");
            }
            edits(walk, &device.container_edits);
        });
        walk.path.truncate(length);
    }
}

fn edits(walk: &mut Walk, edits: &ContainerEdits) {
    walk.each("env", &edits.env, |walk, entry| env(walk, entry));
    walk.each("deviceNodes", &edits.device_nodes, device_node);
    net_devices(walk, &edits.net_devices);
    walk.each("hooks", &edits.hooks, hook);
    walk.each("mounts", &edits.mounts, mount);
    if let Some(rdt) = &edits.intel_rdt {
        walk.key("intelRdt", |walk| intel_rdt(walk, rdt));
    }
}

fn env(walk: &mut Walk, entry: &str) {
    if entry.find('=').is_none_or(|at| at == 0) {
        walk.error(format!("{entry:?} is no environment variable; NAME=value is"));
    } else if entry.contains('\0') {
        walk.warning(format!("{entry:?} has a NUL character, which no environment can hold"));
    }
}

fn device_node(walk: &mut Walk, node: &DeviceNode) {
    walk.key("path", |walk| required_path(walk, &node.path));
    if let Some(host_path) = &node.host_path {
        walk.key("hostPath", |walk| required_path(walk, host_path));
    }
    for (key, number) in [("major", node.major), ("minor", node.minor)] {
        if number.is_some_and(|number| u32::try_from(number).is_err()) {
            walk.key(key, |walk| walk.warning("no device number is below 0 or above 4294967295"));
        }
    }
    if node.file_mode.is_some_and(|mode| mode > 0o7777) {
        walk.key("fileMode", |walk| walk.warning("only permission bits count, 0 to 4095 (0o7777)"));
    }
    let permissions = node.permissions.as_deref().unwrap_or_default();
    walk.key("permissions", |walk| match permissions {
        "none" => walk.warning("engines with the CDI library 1.1.0 or older refuse \"none\""),
        some if some.chars().all(|c| "rwm".contains(c)) => {}
        other => walk.error(format!("{other:?} is not allowed; some of r, w and m are")),
    });
}

fn hook(walk: &mut Walk, hook: &Hook) {
    walk.key("path", |walk| required_path(walk, &hook.path));
    walk.each("env", &hook.env, |walk, entry| env(walk, entry));
    if hook.timeout == Some(0) {
        walk.key("timeout", |walk| walk.warning("it is in seconds and above 0; leave it out"));
    }
}

fn mount(walk: &mut Walk, mount: &Mount) {
    let is_bind = mount.options.iter().any(|option| option == "bind" || option == "rbind");
    walk.key("hostPath", |walk| {
        if is_bind || mount.host_path.is_empty() {
            required_path(walk, &mount.host_path);
        }
    });
    walk.key("containerPath", |walk| required_path(walk, &mount.container_path));
}

/// Engines load a spec whose paths are relative; the specification and OCI want them absolute.
fn required_path(walk: &mut Walk, path: &str) {
    if path.is_empty() {
        walk.error("the path is empty");
    } else if !path.starts_with('/') {
        walk.warning(format!("{path:?} is not absolute"));
    } else if path.contains('\0') {
        walk.warning(format!("{path:?} has a NUL character, which no path can hold"));
    }
}

fn net_devices(walk: &mut Walk, devices: &[NetDevice]) {
    let (mut hosts, mut names) = (HashSet::new(), HashSet::new());
    walk.each("netDevices", devices, |walk, device| {
        interface(walk, "hostInterfaceName", &device.host_interface_name, &mut hosts);
        interface(walk, "name", &device.name, &mut names);
    });
}

fn interface(walk: &mut Walk, key: &str, name: &str, before: &mut HashSet<String>) {
    walk.key(key, |walk| {
        if name.is_empty() {
            walk.error("the interface's name is empty");
        } else if !before.insert(name.to_owned()) {
            walk.error(format!("{name:?} is taken by an interface before it"));
        }
    });
}

fn intel_rdt(walk: &mut Walk, rdt: &IntelRdt) {
    let id = rdt.clos_id.as_deref().unwrap_or_default();
    let is_file_name =
        id.len() < CLOS_ID_END && id != "." && id != ".." && !id.contains(['/', '\n']);
    if !is_file_name {
        walk.key("closID", |walk| walk.error("a class of service is named as a file is"));
    }
}

/// Keys are names as Kubernetes has them: `[domain/]name`.
fn annotations(walk: &mut Walk, annotations: &Annotations) {
    let size: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > ANNOTATIONS_MAX {
        walk.error(format!("they are {size} bytes together; {ANNOTATIONS_MAX} are allowed"));
    }
    for key in annotations.keys() {
        if let Some(problem) = annotation_key(key) {
            walk.key(key, |walk| walk.error(problem));
        }
    }
}

fn annotation_key(key: &str) -> Option<&'static str> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| !is_domain(prefix)) {
        return Some("what stands before the '/' of a key is a domain name of at most 253 bytes");
    }
    if name.len() > ANNOTATION_NAME_MAX || !is_framed(name, "-_.") {
        return Some(
            "a key's name is at most 63 letters, digits, '-', '_' and '.', and begins and ends with a letter or digit",
        );
    }
    None
}

fn is_domain(text: &str) -> bool {
    text.len() <= ANNOTATION_PREFIX_MAX && text.split('.').all(|label| is_framed(label, "-"))
}

/// Whether `text` is of letters, digits and the characters of `inner`, and has none of these at its ends.
fn is_framed(text: &str, inner: &str) -> bool {
    let is_outer = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(is_outer)
        && text.ends_with(is_outer)
        && text.chars().all(|c| is_outer(c) || inner.contains(c))
}
