//! Arbitrary valid specs.

use cdi::{
    Annotations, ContainerEdits, Device, DeviceName, DeviceNode, Hook, HookName, IntelRdt, Kind,
    Mount, NetDevice, NodeType, Spec, minimum_version,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Any text, with those that YAML likes to read as something else among them.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,12}",
        "[ -~\\n\\t]{0,20}",
        ".{0,6}",
        select(vec![
            "",
            "0",
            "007",
            "0x1F",
            "1e3",
            "1_000",
            "1:20",
            "~",
            "null",
            "yes",
            "No",
            "on",
            "true",
            ".inf",
            "2001-01-01",
            "- a",
            "a: b",
            "# c",
            "&a",
            "*a",
            "!t",
            "<<",
            "=",
            "%",
            "@",
            "`",
            "{}",
            "[]",
            "|",
            ">",
            "'",
            "\"",
            "\\",
            " lead",
            "trail ",
            "a\nb",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "\0",
            "\u{7f}",
            "\u{1f600}",
        ])
        .prop_map(str::to_owned),
    ]
}

/// Text for a field that engines read as left out when it is empty.
fn some_text() -> impl Strategy<Value = Option<String>> {
    option::of(text().prop_filter("not empty", |text| !text.is_empty()))
}

fn path() -> impl Strategy<Value = String> {
    text().prop_map(|text| format!("/{}", text.replace('\0', "")))
}

fn env() -> impl Strategy<Value = String> {
    ("[A-Za-z_0-9]{1,8}", text())
        .prop_map(|(name, value)| format!("{name}={}", value.replace('\0', "")))
}

fn annotations() -> impl Strategy<Value = Annotations> {
    proptest::collection::btree_map(
        "([a-z]{1,3}\\.[a-z]{1,3}/)?[a-zA-Z0-9]([._-]?[0-9a]){0,3}",
        text(),
        0..3,
    )
}

fn device_node() -> impl Strategy<Value = DeviceNode> {
    let types = vec![NodeType::Block, NodeType::Char, NodeType::Unbuffered, NodeType::Fifo];
    (
        (path(), option::of(path()), option::of(select(types))),
        (option::of(0..=i64::from(u32::MAX)), option::of(0..256i64)),
        (option::of(0..=0o7777u32), option::of("[rwm]{1,3}")),
        (option::of(any::<u32>()), option::of(any::<u32>())),
    )
        .prop_map(
            |(
                (path, host_path, node_type),
                (major, minor),
                (file_mode, permissions),
                (uid, gid),
            )| {
                DeviceNode {
                    path,
                    host_path,
                    node_type,
                    major,
                    minor,
                    file_mode,
                    permissions,
                    uid,
                    gid,
                }
            },
        )
}

fn mount() -> impl Strategy<Value = Mount> {
    (path(), path(), some_text(), vec(text(), 0..3)).prop_map(
        |(host_path, container_path, fs_type, options)| Mount {
            host_path,
            container_path,
            fs_type,
            options,
        },
    )
}

fn hook() -> impl Strategy<Value = Hook> {
    let names = select(HookName::ALL.to_vec());
    (names, path(), vec(text(), 0..3), vec(env(), 0..2), option::of(1..=u32::MAX)).prop_map(
        |(hook_name, path, args, env, timeout)| Hook { hook_name, path, args, env, timeout },
    )
}

fn intel_rdt() -> impl Strategy<Value = IntelRdt> {
    (option::of("[a-z]{1,5}"), some_text(), some_text(), vec(text(), 0..2), any::<bool>()).prop_map(
        |(clos_id, l3_cache_schema, mem_bw_schema, schemata, enable_monitoring)| IntelRdt {
            clos_id,
            l3_cache_schema,
            mem_bw_schema,
            schemata,
            enable_monitoring,
        },
    )
}

fn net_devices() -> impl Strategy<Value = Vec<NetDevice>> {
    (0..3usize).prop_map(|count| {
        let device = |n| NetDevice { host_interface_name: format!("eth{n}"), name: format!("{n}") };
        (0..count).map(device).collect()
    })
}

/// Any edits, empty ones too.
pub(crate) fn edits() -> impl Strategy<Value = ContainerEdits> {
    let additional_gids = vec(any::<u32>(), 0..3);
    (
        vec(env(), 0..3),
        vec(device_node(), 0..3),
        (net_devices(), option::of(intel_rdt()), additional_gids),
        vec(hook(), 0..2),
        vec(mount(), 0..3),
    )
        .prop_map(
            |(env, device_nodes, (net_devices, intel_rdt, additional_gids), hooks, mounts)| {
                ContainerEdits {
                    env,
                    device_nodes,
                    net_devices,
                    hooks,
                    mounts,
                    intel_rdt,
                    additional_gids,
                }
            },
        )
}

fn kind() -> impl Strategy<Value = Kind> {
    "[a-z]([a-z0-9._-]{0,8}[a-z0-9])?/[A-Za-z]([a-z0-9._-]{0,8}[a-z0-9])?"
        .prop_map(|text| text.parse().unwrap())
}

fn device_name() -> impl Strategy<Value = DeviceName> {
    prop_oneof![
        "[A-Za-z0-9]([A-Za-z0-9._:-]{0,8}[A-Za-z0-9])?",
        select(vec!["0", "0:1", "1:2", "1e3", "0x1", "no", "null", "1.5"]).prop_map(str::to_owned),
    ]
    .prop_map(|text| text.parse().unwrap())
}

/// Any valid spec, which states the lowest version that it needs.
pub(crate) fn spec() -> impl Strategy<Value = Spec> {
    let devices = proptest::collection::btree_map(
        device_name(),
        (annotations(), edits().prop_filter("a device has edits", |edits| !edits.is_empty())),
        1..4,
    );
    (kind(), annotations(), devices, edits()).prop_map(|(kind, annotations, devices, edits)| {
        let device =
            |(name, (annotations, container_edits))| Device { name, annotations, container_edits };
        let spec = Spec::new(kind, devices.into_iter().map(device).collect(), edits);
        let spec = Spec { annotations, ..spec };
        Spec { cdi_version: minimum_version(&spec), ..spec }
    })
}
