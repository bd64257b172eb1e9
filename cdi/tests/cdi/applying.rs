//! Edits applied to a configuration.

use std::{io, path::Path};

use cdi::{ApplyError, ContainerEdits, HostNode, NodeType, apply, host_node, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A host with one character device, `/dev/gpu`, and one block device, `/dev/disk`.
fn host(path: &Path) -> io::Result<HostNode> {
    let node = |node_type, major, minor| HostNode { node_type, major, minor, file_mode: 0o640 };
    match path.to_str() {
        Some("/dev/gpu") => Ok(node(NodeType::Char, 195, 7)),
        Some("/dev/disk") => Ok(node(NodeType::Block, 8, 1)),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn edits(yaml: &str) -> ContainerEdits {
    let spec = format!("cdiVersion: 1.1.0\nkind: v/c\ndevices: []\ncontainerEdits: {yaml}\n");
    parse(&spec).expect(yaml).container_edits
}

/// `config` with the edits applied.
fn applied(yaml: &str, mut config: Value) -> Value {
    apply(&edits(yaml), &mut config, host).expect(yaml);
    config
}

fn refused(yaml: &str, config: Value) -> String {
    let mut edited = config.clone();
    let error = apply(&edits(yaml), &mut edited, host).expect_err(yaml);
    assert_eq!(edited, config, "{yaml}: a refusal leaves the configuration as it was");
    error.to_string()
}

#[test]
fn variables_are_set_in_their_place_or_added() {
    let config = json!({"process": {"env": ["A=1", "B=2", "A=3", "NOVALUE"], "cwd": "/"}});
    assert_eq!(
        applied("{env: [A=x, C=y, C=z, NOVALUE=n, 'AB=c=d']}", config),
        json!({"process": {"env": ["A=1", "B=2", "A=x", "NOVALUE=n", "C=z", "AB=c=d"], "cwd": "/"}})
    );
    assert_eq!(applied("{env: [A=x]}", json!({})), json!({"process": {"env": ["A=x"]}}));
    let null = json!({"process": {"env": null}});
    assert_eq!(applied("{env: [A=x]}", null), json!({"process": {"env": ["A=x"]}}));
}

#[test]
fn what_a_node_leaves_out_comes_from_the_host() {
    let device = |yaml: &str| {
        let config = applied(&format!("{{deviceNodes: [{yaml}]}}"), json!({}));
        (config["linux"]["devices"][0].clone(), config["linux"]["resources"]["devices"].clone())
    };
    assert_eq!(
        device("{path: /dev/gpu}"),
        (
            json!({"path": "/dev/gpu", "type": "c", "major": 195, "minor": 7, "fileMode": 0o640}),
            json!([{"allow": true, "type": "c", "major": 195, "minor": 7, "access": "rwm"}]),
        )
    );
    assert_eq!(
        device(
            "{path: /dev/x, hostPath: /dev/disk, permissions: r, fileMode: 0600, uid: 0, gid: 6}"
        ),
        (
            json!({"path": "/dev/x", "type": "b", "major": 8, "minor": 1, "fileMode": 0o600, "uid": 0, "gid": 6}),
            json!([{"allow": true, "type": "b", "major": 8, "minor": 1, "access": "r"}]),
        )
    );
    // A major number that is given stays, and so does the minor one with it, whatever the host's node is.
    let (node, _) = device("{path: /dev/gpu, major: 500}");
    assert_eq!(
        (&node["type"], &node["major"], &node["minor"]),
        (&json!("c"), &json!(500), &json!(0))
    );
    // 0 is the same as nothing.
    let (node, _) = device("{path: /dev/gpu, type: c, major: 0, minor: 9}");
    assert_eq!((&node["major"], &node["minor"]), (&json!(195), &json!(7)));
}

#[test]
fn a_node_that_says_all_need_not_be_on_the_host() {
    let config = applied("{deviceNodes: [{path: /dev/x, type: c, major: 5}]}", json!({}));
    assert_eq!(
        config["linux"]["devices"],
        json!([{"path": "/dev/x", "type": "c", "major": 5, "minor": 0}])
    );
    let config = applied("{deviceNodes: [{path: /dev/f, type: p}]}", json!({}));
    assert_eq!(config, json!({"linux": {"devices": [{"path": "/dev/f", "type": "p"}]}}));
    let config = applied("{deviceNodes: [{path: /dev/gpu, permissions: none}]}", json!({}));
    assert_eq!(config["linux"].get("resources"), None);
}

#[test]
fn a_node_takes_the_place_of_one_with_its_path_and_the_users_ids() {
    let config = json!({
        "process": {"user": {"uid": 1000, "gid": 0}},
        "linux": {"devices": [{"path": "/dev/gpu", "type": "c"}, {"path": "/dev/y", "x": 1}],
                  "resources": {"devices": [{"allow": false, "access": "rwm"}]}},
    });
    let config = applied("{deviceNodes: [{path: /dev/gpu}, {path: /dev/gpu}]}", config);
    let devices = config["linux"]["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    assert_eq!(devices[0], json!({"path": "/dev/y", "x": 1}));
    assert_eq!((&devices[1]["uid"], devices[1].get("gid")), (&json!(1000), None));
    let rules = config["linux"]["resources"]["devices"].as_array().unwrap();
    assert_eq!(rules[0], json!({"allow": false, "access": "rwm"}));
    assert_eq!(rules.len(), 3);
}

#[test]
fn mounts_are_replaced_and_sorted_by_depth() {
    let config = json!({"mounts": [
        {"destination": "/dev", "type": "tmpfs"},
        {"destination": "/dev/pts", "type": "devpts", "x-kept": true},
        {"destination": "/sys", "type": "sysfs"},
        {"destination": "/lib/x", "source": "/old"},
    ]});
    let config = applied(
        "{mounts: [{hostPath: /h, containerPath: /lib/x, options: [ro, rbind]}, {hostPath: t, containerPath: /t, type: tmpfs}]}",
        config,
    );
    assert_eq!(
        config,
        json!({"mounts": [
            {"destination": "/dev", "type": "tmpfs"},
            {"destination": "/sys", "type": "sysfs"},
            {"destination": "/t", "type": "tmpfs", "source": "t"},
            {"destination": "/dev/pts", "type": "devpts", "x-kept": true},
            {"destination": "/lib/x", "source": "/h", "options": ["ro", "rbind"]},
        ]})
    );
    let unsorted = json!({"mounts": [{"destination": "/a/b"}, {"destination": "/a"}]});
    assert_eq!(applied("{env: [A=b]}", unsorted.clone())["mounts"], unsorted["mounts"]);
}

#[test]
fn hooks_groups_interfaces_and_rdt_land_where_oci_has_them() {
    let config = json!({"hooks": {"poststop": [{"path": "/first"}]}, "process": {"user": {"additionalGids": [10]}}});
    let config = applied(
        "{hooks: [{hookName: poststop, path: /p, args: [p, a], env: [E=f], timeout: 3}, {hookName: createRuntime, path: /q}], \
         additionalGids: [44, 0, 10, 44], netDevices: [{hostInterfaceName: eth1, name: net0}], \
         intelRdt: {closID: c, enableMonitoring: true}}",
        config,
    );
    assert_eq!(
        config,
        json!({
            "hooks": {
                "poststop": [{"path": "/first"}, {"path": "/p", "args": ["p", "a"], "env": ["E=f"], "timeout": 3}],
                "createRuntime": [{"path": "/q"}],
            },
            "process": {"user": {"additionalGids": [10, 44]}},
            "linux": {"netDevices": {"eth1": {"name": "net0"}}, "intelRdt": {"closID": "c", "enableMonitoring": true}},
        })
    );
}

#[test]
fn what_is_not_edited_is_kept_byte_for_byte() {
    let text = r#"{"x-vendor":{"z":1.0,"a":[null]},"ociVersion":"1.0.2","process":{"future":18446744073709551615,"env":["A=b"],"user":{"uid":0}},"mounts":[],"annotations":{"b":"2","a":"1"}}"#;
    let config: Value = serde_json::from_str(text).unwrap();
    assert_eq!(applied("{}", config.clone()).to_string(), text);
    assert_eq!(applied("{env: [A=c]}", config).to_string(), text.replace("A=b", "A=c"));
}

#[test]
fn wrong_types_are_named() {
    let all = "{env: [A=b], deviceNodes: [{path: /dev/gpu}], mounts: [{hostPath: /a, containerPath: /b}], \
               hooks: [{hookName: poststop, path: /p}], additionalGids: [1], netDevices: [{hostInterfaceName: e, name: n}]}";
    let cases = [
        (json!([]), "root is a list; an object is expected"),
        (json!({"process": 1}), "process is a number; an object"),
        (json!({"process": {"env": {}}}), "process.env is an object; a list"),
        (json!({"process": {"env": ["A", 5]}}), "process.env[1] is a number; a text"),
        (json!({"process": {"user": "root"}}), "process.user is a text; an object"),
        (
            json!({"process": {"user": {"additionalGids": 4}}}),
            "process.user.additionalGids is a number",
        ),
        (json!({"linux": true}), "linux is true or false; an object"),
        (json!({"linux": {"devices": "x"}}), "linux.devices is a text; a list"),
        (
            json!({"linux": {"devices": [{"path": "/x"}, 3]}}),
            "linux.devices[1] is a number; an object",
        ),
        (json!({"linux": {"devices": [{"path": 3}]}}), "linux.devices[0].path is a number; a text"),
        (json!({"linux": {"resources": []}}), "linux.resources is a list; an object"),
        (
            json!({"linux": {"resources": {"devices": {}}}}),
            "linux.resources.devices is an object; a list",
        ),
        (json!({"linux": {"netDevices": []}}), "linux.netDevices is a list; an object"),
        (json!({"mounts": {}}), "mounts is an object; a list"),
        (json!({"mounts": [{"destination": []}]}), "mounts[0].destination is a list; a text"),
        (json!({"hooks": []}), "hooks is a list; an object"),
        (json!({"hooks": {"poststop": {}}}), "hooks.poststop is an object; a list"),
    ];
    for (config, expected) in cases {
        let error = refused(all, config);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn nodes_that_the_host_lacks_or_has_otherwise_are_refused() {
    let error = refused("{env: [A=b], deviceNodes: [{path: /dev/none}]}", json!({}));
    assert!(error.starts_with("can't use /dev/none"), "{error}");
    let error = refused("{deviceNodes: [{path: /x, hostPath: /dev/disk, type: c}]}", json!({}));
    assert_eq!(error, "/dev/disk is of type b; the container edits say c");
}

#[test]
fn the_hosts_nodes_are_seen_as_they_are() {
    let null = host_node(Path::new("/dev/null")).unwrap();
    assert_eq!((null.node_type, null.major, null.minor), (NodeType::Char, 1, 3));
    let error = host_node(Path::new("/")).unwrap_err().to_string();
    assert_eq!(error, "it is no device node");
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    assert!(host_node(&link).is_err(), "a link is not followed");
    let error =
        apply(&edits("{deviceNodes: [{path: /dev}]}"), &mut json!({}), host_node).unwrap_err();
    assert!(matches!(error, ApplyError::HostNode { .. }));
}

/// Any JSON, with the keys of a configuration among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z=/]{0,4}".prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "process",
        "env",
        "user",
        "uid",
        "additionalGids",
        "linux",
        "devices",
        "path",
        "resources",
        "mounts",
        "destination",
        "hooks",
        "poststop",
        "netDevices",
        "intelRdt",
        "other",
    ]);
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..6).prop_map(|entries| {
                entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Value>()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_configuration_makes_it_panic(config in any_json(), edits in crate::any_spec::edits()) {
        let mut edited = config.clone();
        match apply(&edits, &mut edited, host) {
            Ok(()) if edits.is_empty() => prop_assert_eq!(edited, config),
            Ok(()) => {}
            Err(_) => prop_assert_eq!(edited, config),
        }
    }
}

/// Compares with a configuration that another implementation edited, where `DIVVY_SHARED_DATA` names the folder of
/// recorded data. Majors, minors and modes of nodes that the spec leaves out are those of no machine.
#[test]
fn the_recorded_edit_of_nvidias_toolkit_is_matched() {
    let Ok(folder) = std::env::var("DIVVY_SHARED_DATA") else {
        println!(
            "skipped: DIVVY_SHARED_DATA is not set, so there is no recorded edit to compare with"
        );
        return;
    };
    let folder = Path::new(&folder).join("nvidia-ctk");
    let config = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
    };
    let spec = cdi::read_file(&folder.join("h100x8-default.json")).unwrap();
    let device = spec.device(&"0".parse().unwrap()).unwrap();
    let mut edits = spec.container_edits.clone();
    edits.append(device.container_edits.clone());
    let (mut ours, theirs) = (config("oci-config.before.json"), config("oci-config.gpu0.json"));
    let any = HostNode { node_type: NodeType::Char, major: 511, minor: 0, file_mode: 0o666 };
    apply(&edits, &mut ours, |_| Ok(any)).unwrap();
    for field in
        ["/process/user", "/mounts", "/hooks", "/linux/devices", "/linux/resources/devices"]
    {
        assert_eq!(ours.pointer(field), theirs.pointer(field), "{field}");
    }
}
