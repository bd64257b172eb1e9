//! One case for each rule, told by the fields that are found and how bad they are.

use cdi::{Severity, parse, validate};

const BEGIN: &str =
    "cdiVersion: 1.1.0\nkind: v/c\ndevices:\n- name: a\n  containerEdits:\n    env: [A=b]\n";

/// What is found in a spec with `edits` for all its devices.
fn found(edits: &str) -> Vec<(Severity, String)> {
    let spec = parse(&format!("{BEGIN}containerEdits: {edits}\n")).expect(edits);
    validate(&spec)
        .into_iter()
        .map(|finding| (finding.severity, finding.field.replace("containerEdits.", "")))
        .collect()
}

#[test]
fn each_rule_of_edits_has_its_finding() {
    use Severity::{Error, Warning};
    let node = |rest: &str| format!("{{deviceNodes: [{{path: /x, {rest}}}]}}");
    let hook = |rest: &str| format!("{{hooks: [{{hookName: poststop, {rest}}}]}}");
    let net = |a: &str, b: &str| {
        format!(
            "{{netDevices: [{{hostInterfaceName: e0, name: n0}}, {{hostInterfaceName: {a}, name: {b}}}]}}"
        )
    };
    let cases = [
        ("{env: [A=b, A]}".into(), Some((Error, "env[1]"))),
        ("{env: ['=b']}".into(), Some((Error, "env[0]"))),
        ("{env: ['A=']}".into(), None),
        ("{env: [\"A=\\0\"]}".into(), Some((Warning, "env[0]"))),
        ("{deviceNodes: [{path: ''}]}".into(), Some((Error, "deviceNodes[0].path"))),
        ("{deviceNodes: [{path: x}]}".into(), Some((Warning, "deviceNodes[0].path"))),
        (node("hostPath: x"), Some((Warning, "deviceNodes[0].hostPath"))),
        (node("permissions: rwx"), Some((Error, "deviceNodes[0].permissions"))),
        (node("permissions: none"), Some((Warning, "deviceNodes[0].permissions"))),
        (node("permissions: mr"), None),
        (node("major: -1"), Some((Warning, "deviceNodes[0].major"))),
        (node("minor: 4294967296"), Some((Warning, "deviceNodes[0].minor"))),
        (node("fileMode: 4096"), Some((Warning, "deviceNodes[0].fileMode"))),
        (hook("path: ''"), Some((Error, "hooks[0].path"))),
        (hook("path: x"), Some((Warning, "hooks[0].path"))),
        (hook("path: /x, env: [A]"), Some((Error, "hooks[0].env[0]"))),
        (hook("path: /x, timeout: 0"), Some((Warning, "hooks[0].timeout"))),
        (
            "{mounts: [{hostPath: '', containerPath: /x}]}".into(),
            Some((Error, "mounts[0].hostPath")),
        ),
        (
            "{mounts: [{hostPath: /x, containerPath: ''}]}".into(),
            Some((Error, "mounts[0].containerPath")),
        ),
        (
            "{mounts: [{hostPath: /x, containerPath: x}]}".into(),
            Some((Warning, "mounts[0].containerPath")),
        ),
        (
            "{mounts: [{hostPath: x, containerPath: /x, options: [rbind]}]}".into(),
            Some((Warning, "mounts[0].hostPath")),
        ),
        ("{mounts: [{hostPath: tmpfs, containerPath: /x, type: tmpfs}]}".into(), None),
        ("{intelRdt: {closID: a/b}}".into(), Some((Error, "intelRdt.closID"))),
        ("{intelRdt: {closID: ..}}".into(), Some((Error, "intelRdt.closID"))),
        ("{intelRdt: {closID: guaranteed}}".into(), None),
        (net("''", "n1"), Some((Error, "netDevices[1].hostInterfaceName"))),
        (net("e1", "''"), Some((Error, "netDevices[1].name"))),
        (net("e0", "n1"), Some((Error, "netDevices[1].hostInterfaceName"))),
        (net("e1", "n0"), Some((Error, "netDevices[1].name"))),
        (net("n0", "e0"), None),
    ];
    for (edits, expected) in cases {
        let expected: Vec<_> =
            expected.into_iter().map(|(severity, field)| (severity, field.to_owned())).collect();
        assert_eq!(found(&edits), expected, "{edits}");
    }
}

#[test]
fn a_spec_has_devices() {
    let findings = validate(&parse("cdiVersion: 0.3.0\nkind: v/c\ndevices: []\n").unwrap());
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].to_string(), "devices: there is no device; a spec has at least one");
}

#[test]
fn annotations_have_keys_of_names_and_256_kib() {
    let with = |key: &str, value: &str| {
        let mut spec = parse(BEGIN).unwrap();
        spec.devices[0].annotations.insert(key.into(), value.into());
        validate(&spec)
    };
    let long = |n: usize| "a".repeat(n);
    for right in ["a", "A.b-c_9", "a.b/C", &long(63), &format!("{}/a", long(253))] {
        assert_eq!(with(right, ""), [], "{right}");
    }
    for wrong in ["", "-a", "a.", "a b", "/a", "a/", "a/b/c", "a_b/c", "a..b/c", &long(64)] {
        let findings = with(wrong, "");
        assert_eq!(findings.len(), 1, "{wrong}");
        assert!(findings[0].field.starts_with("devices[0].annotations"), "{}", findings[0].field);
    }
    assert_eq!(with("a", &long(256 * 1024 - 1)), []);
    assert_eq!(with("a", &long(256 * 1024)).len(), 1);
}
