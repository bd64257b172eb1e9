use super::*;
use std::path::Path;

const BASE: &str = "version: v1\nsharing:\n  timeSlicing:\n    resources:\n    - name: nvidia.com/gpu\n      replicas: 4\n";

fn parse(text: &str) -> Result<Named, ReadError> {
    read(text, Path::new("plugin.yaml"), &Choice::Usual)
}

fn config_map(keys: &[(&str, &str)]) -> String {
    let mut text =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: sharing\ndata:\n".to_owned();
    for (key, config) in keys {
        text.push_str(&format!("  {key}: |-\n"));
        config.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

#[test]
fn what_is_said_is_read() {
    let config = parse(
        "version: v1\nflags:\n  migStrategy: mixed\n  plugin:\n    deviceListStrategy: envvar\n    deviceIDStrategy: uuid\nresources:\n  gpus:\n  - {pattern: '*', name: nvidia.com/gpu}\nsharing:\n  \
         timeSlicing:\n    renameByDefault: true\n    failRequestsGreaterThanOne: true\n    resources:\n    - name: gpu\n      devices: [0, '0:1', GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c]\n      replicas: 4\n    - name: nvidia.com/mig-1g.10gb\n      \
         rename: nvidia.com/small\n      devices: 2\n      replicas: 10\n  mps:\n    resources:\n    - {name: mig-3g.40gb, replicas: 2}\n",
    )
    .unwrap()
    .config;
    assert_eq!(config.flags.mig_strategy, Some(MigStrategy::Mixed));
    let all: Vec<_> = config.sharing.resources().collect();
    let names: Vec<String> = all
        .iter()
        .map(|(strategy, how, one)| format!("{strategy} {} as {}", one.name, how.shown_name(one)))
        .collect();
    assert_eq!(
        names,
        [
            "time-slicing nvidia.com/gpu as nvidia.com/gpu.shared",
            "time-slicing nvidia.com/mig-1g.10gb as nvidia.com/small",
            "mps nvidia.com/mig-3g.40gb as nvidia.com/mig-3g.40gb"
        ]
    );
    assert_eq!(all[0].2.devices.clone(), {
        let uuid = DeviceRef::Uuid("GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c".into());
        Devices::List(vec![DeviceRef::Gpu(0), DeviceRef::Mig(0, 1), uuid])
    });
    assert_eq!((&all[1].2.devices, all[1].2.replicas), (&Devices::Count(2), 10));
    assert_eq!(config.without_effect().len(), 1, "{:?}", config.without_effect());
}

#[test]
fn nothing_may_stand_where_nothing_is_said() {
    let config = parse("version: v1\nflags:\nsharing:\nresources:\nimex:\n").unwrap().config;
    assert_eq!(config, PluginConfig::default());
    assert_eq!(config.without_effect(), [""; 0]);
}

#[test]
fn mistakes_name_their_line_and_what_was_meant() {
    let resource = |keys: &str| {
        format!(
            "version: v1\nsharing:\n  timeSlicing:\n    resources:\n    - name: nvidia.com/gpu\n{keys}"
        )
    };
    let texts = [
        "version: v2\n".to_owned(),
        "sharing: {}\n".to_owned(),
        "version: v1\nflag: {}\n".to_owned(),
        "version: v1\nflags: {migstrategy: single}\n".to_owned(),
        "version: v1\nflags: {migStrategy: double}\n".to_owned(),
        "version: v1\nflags: {plugin: {deviceIdStrategy: uuid}}\n".to_owned(),
        "version: v1\nresources:\n  gpus:\n  - {pattern: 'A100*', name: big}\n".to_owned(),
        "version: v1\nsharing: {timeslicing: {}}\n".to_owned(),
        "version: v1\nsharing:\n  timeSlicing: {resources: []}\n".to_owned(),
        resource(""),
        resource("      replicas: 1\n"),
        resource("      replicas: four\n"),
        resource("      replicas: 4\n      devices: some\n"),
        resource("      replicas: 4\n      devices: ['0:x']\n"),
        resource("      replicas: 4\n      rename: _x\n"),
        resource("      replicas: 4\n    - name: nvidia.com/gpu\n      replicas: 2\n"),
        resource("      replicas: 4\n  mps:\n    resources: [{name: nvidia.com/gpu, replicas: 2}]\n"),
        "version: v1\nsharing:\n  mps: {failRequestsGreaterThanOne: false, resources: [{name: gpu, replicas: 2}]}\n".to_owned(),
        "kind: Pod\n".to_owned(),
        config_map(&[("any", "version: v1\nsharing:\n  timeSlicing:\n    resources:\n    - {name: gpu, replica: 4}")]),
        config_map(&[("a", BASE), ("b", BASE)]),
        format!("{BASE}---\n{BASE}"),
    ];
    let shown: Vec<String> =
        texts.iter().map(|text| format!("{text}=> {}\n", parse(text).unwrap_err())).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn two_strategies_may_share_different_devices() {
    let both = "version: v1\nsharing:\n  timeSlicing:\n    resources: [{name: gpu, devices: [0], replicas: 4}]\n  \
                mps:\n    resources: [{name: gpu, devices: [1], replicas: 2}]\n";
    assert_eq!(parse(both).unwrap().config.sharing.resources().count(), 2);
}

#[test]
fn one_of_several_configurations_is_chosen_by_name_default_or_policy() {
    let mps = BASE.replace("timeSlicing", "mps");
    let text = config_map(&[("any", BASE), ("tesla-t4", &mps)]);
    let strategy = |text: &str, choice: Choice| {
        let named = read(text, Path::new("m.yaml"), &choice)?;
        let first = named.config.sharing.resources().next().map(|(strategy, _, _)| strategy);
        Ok::<_, ReadError>((named.name.unwrap(), first.unwrap()))
    };
    let named = |name: &str| strategy(&text, Choice::Named(name.to_owned()));
    assert_eq!(named("any").unwrap().1, Strategy::TimeSlicing);
    assert_eq!(named("tesla-t4").unwrap().1, Strategy::Mps);
    assert!(matches!(named("a100"), Err(ReadError::Unknown { .. })));
    let policy = |map: &str, default: &str| {
        format!(
            "{text}---\nkind: ClusterPolicy\nspec:\n  devicePlugin:\n    enabled: true\n    config: {{name: {map}, default: {default}}}\n"
        )
    };
    assert_eq!(strategy(&policy("sharing", "tesla-t4"), Choice::Usual).unwrap().1, Strategy::Mps);
    let fallback = config_map(&[("any", BASE), ("default", &mps)]);
    assert_eq!(strategy(&fallback, Choice::Usual).unwrap().0, "default");
}

#[test]
fn a_cluster_policy_alone_says_how_mig_devices_are_called() {
    let text = "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nspec:\n  mig: {strategy: single}\n  \
                devicePlugin: {config: {name: sharing, default: any}}\n  gfd: {enabled: true}\n";
    let named = parse(text).unwrap();
    assert_eq!(named.config.flags.mig_strategy, Some(MigStrategy::Single));
    assert!(named.notes[0].contains("ConfigMap sharing"), "{:?}", named.notes);
    let both = format!(
        "{}---\n{text}",
        config_map(&[("any", &format!("{BASE}flags: {{migStrategy: mixed}}\n"))])
    );
    let named = parse(&both).unwrap();
    assert_eq!(named.config.flags.mig_strategy, Some(MigStrategy::Single));
    assert!(named.notes[0].contains("goes before"), "{:?}", named.notes);
}
