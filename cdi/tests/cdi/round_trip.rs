//! What is written is read back as it was.

use cdi::{Format, Severity, Spec, edits_version, minimum_version, parse, validate};
use proptest::prelude::*;

use crate::any_spec;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_valid_spec_survives_json_and_yaml(spec in any_spec::spec()) {
        for format in [Format::Json, Format::Yaml] {
            let text = format.encode(&spec).unwrap();
            let read = parse(&text);
            prop_assert_eq!(read.as_ref(), Ok(&spec), "{}", text);
            prop_assert_eq!(&format.encode(&spec).unwrap(), &text, "the same spec, the same text");
        }
        // JSON read as engines read it: as YAML.
        let json = format!("# not strict JSON\n{}", Format::Json.encode(&spec).unwrap());
        let read = parse(&json);
        prop_assert_eq!(read.as_ref(), Ok(&spec), "{}", json);
    }

    #[test]
    fn every_valid_spec_is_found_valid(spec in any_spec::spec()) {
        let errors: Vec<_> = validate(&spec)
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error)
            .collect();
        prop_assert_eq!(errors, []);
    }

    #[test]
    fn more_content_never_needs_less(spec in any_spec::spec(), more in any_spec::edits()) {
        let mut grown = spec.clone();
        grown.container_edits.append(more.clone());
        let version = minimum_version(&grown);
        prop_assert!(version >= minimum_version(&spec));
        prop_assert!(version >= edits_version(&more).min(edits_version(&grown.container_edits)));
        let fewer = Spec { devices: spec.devices.iter().take(1).cloned().collect(), ..spec.clone() };
        prop_assert!(minimum_version(&fewer) <= minimum_version(&spec));
    }

    #[test]
    fn a_lower_version_is_an_error(spec in any_spec::spec()) {
        for lower in cdi::Version::ALL.into_iter().filter(|version| *version < spec.cdi_version) {
            let findings = validate(&Spec { cdi_version: lower, ..spec.clone() });
            prop_assert!(findings.iter().any(|finding| finding.field == "cdiVersion"));
        }
    }
}

#[test]
fn names_that_look_like_numbers_are_quoted_in_yaml() {
    let text =
        "cdiVersion: 0.5.0\nkind: v/c\ndevices:\n- {name: '0', containerEdits: {env: [A=b]}}\n";
    let yaml = Format::Yaml.encode(&parse(text).unwrap()).unwrap();
    assert_eq!(
        yaml,
        "cdiVersion: \"0.5.0\"\nkind: v/c\ndevices:\n- name: \"0\"\n  containerEdits:\n    env:\n    - A=b\n"
    );
}

#[test]
fn json_has_the_specifications_field_names() {
    let text = "\
cdiVersion: 1.1.0
kind: v/c
annotations: {a: b}
devices:
- name: x
  containerEdits:
    env: [A=b]
    deviceNodes:
    - {path: /d, hostPath: /h, type: c, major: 1, minor: 2, fileMode: 0666, permissions: rw, uid: 3, gid: 4}
    netDevices: [{hostInterfaceName: e, name: n}]
    hooks: [{hookName: createRuntime, path: /p, args: [p], env: [E=f], timeout: 5}]
    mounts: [{hostPath: /a, containerPath: /b, type: bind, options: [ro]}]
    intelRdt: {closID: c, l3CacheSchema: l, memBwSchema: m, schemata: [s], enableMonitoring: true}
    additionalGids: [44]
containerEdits:
  env: [B=c]
";
    let spec = parse(text).unwrap();
    assert_eq!(validate(&spec), []);
    let compact = serde_json::to_string(&spec).unwrap();
    assert_eq!(
        compact,
        concat!(
            r#"{"cdiVersion":"1.1.0","kind":"v/c","annotations":{"a":"b"},"devices":[{"name":"x","containerEdits":{"#,
            r#""env":["A=b"],"deviceNodes":[{"path":"/d","hostPath":"/h","type":"c","major":1,"minor":2,"#,
            r#""fileMode":438,"permissions":"rw","uid":3,"gid":4}],"#,
            r#""netDevices":[{"hostInterfaceName":"e","name":"n"}],"#,
            r#""hooks":[{"hookName":"createRuntime","path":"/p","args":["p"],"env":["E=f"],"timeout":5}],"#,
            r#""mounts":[{"hostPath":"/a","containerPath":"/b","type":"bind","options":["ro"]}],"#,
            r#""intelRdt":{"closID":"c","l3CacheSchema":"l","memBwSchema":"m","schemata":["s"],"enableMonitoring":true},"#,
            r#""additionalGids":[44]}}],"containerEdits":{"env":["B=c"]}}"#,
        )
    );
}

#[test]
fn json_has_no_character_that_yaml_forbids() {
    let mut spec = parse("{cdiVersion: 0.3.0, kind: v/c, devices: []}").unwrap();
    spec.container_edits.env =
        vec!["A=\u{7f}\u{85}\u{9f}\u{2028}\u{2029}\u{feff}\u{ffff}\u{e9}\u{1f600}".into()];
    let json = Format::Json.encode(&spec).unwrap();
    let escaped = concat!(r"A=\u007f\u0085\u009f\u2028\u2029\ufeff\uffff", "\u{e9}\u{1f600}");
    assert!(json.contains(escaped), "{json}");
}
