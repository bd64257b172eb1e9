use super::*;
use std::path::Path;

fn parse(text: &str) -> Result<Layouts, String> {
    Layouts::parse(text, Path::new("mig.yaml")).map_err(|error| error.to_string())
}

fn only(text: &str) -> Vec<Entry> {
    parse(text).unwrap().select(None).unwrap().to_vec()
}

/// One entry with these keys.
fn entry(keys: &str) -> String {
    format!("version: v1\nmig-configs:\n  it:\n  - {keys}\n")
}

#[test]
fn every_feature_of_the_form_is_read() {
    let text = include_str!("../../../tests/fixtures/mig-parted/features.yaml");
    let layouts = parse(text).unwrap();
    let labels: Vec<&str> = layouts.labels().collect();
    assert_eq!(labels, ["attributes", "by board", "off", "parts", "two-kinds"]);
    let boards = layouts.select(Some("by board")).unwrap();
    let filters = boards[0].filter.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(filters, ["0x233010DE:0x16C110DE", "0x20B010DE"]);
    assert_eq!(boards[1].filter[0].subsystem, None);
    assert_eq!(boards[1].devices, Devices::Indices(vec![0, 3]));
    assert_eq!(boards[2].want, Want::On(Vec::new()));
    let profiles = |label| {
        let Want::On(wishes) = &layouts.select(Some(label)).unwrap()[0].want else { panic!() };
        wishes.iter().map(|wish| format!("{}x {}", wish.count, wish.profile)).collect::<Vec<_>>()
    };
    assert_eq!(
        profiles("attributes"),
        ["1x 1g.24gb+me", "1x 1g.24gb+me.all", "4x 1g.24gb+gfx", "2x 1g.24gb-me"]
    );
    // Three slices of three are no part.
    assert_eq!(profiles("parts"), ["3x 1c.3g.20gb", "1x 3g.20gb", "0x 1g.5gb"]);
    assert_eq!(layouts.select(Some("off")).unwrap()[0].want, Want::Off);
}

#[test]
fn a_config_map_is_taken_off_and_places_are_those_of_the_manifest() {
    let plain = entry("{devices: all, mig-enabled: true, mig-devices: {1g.5gb: 7}}");
    let indented: String = plain.lines().map(|line| format!("    {line}\n")).collect();
    let head =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: custom}\ndata:\n  config.yaml: |\n";
    let (bare, wrapped) = (only(&plain), only(&format!("{head}{indented}")));
    assert_eq!(
        (wrapped[0].at.line, wrapped[0].at.column),
        (bare[0].at.line + 5, bare[0].at.column + 4)
    );
    assert!(wrapped[0].want.same(&bare[0].want));
    let broken = format!("{head}{}", indented.replace("1g.5gb", "1g.5gib"));
    assert!(parse(&broken).unwrap_err().starts_with("mig.yaml:9:"), "{:?}", parse(&broken));
    let other_key = format!("{head}{indented}").replace("config.yaml", "only");
    assert_eq!(only(&other_key).len(), 1);
    let none = "kind: ConfigMap\ndata: {a: x, b: y}\n";
    assert!(parse(none).unwrap_err().contains("config.yaml"));
}

#[test]
fn mistakes_are_marked() {
    let cases = [
        "version: v1\nmig-config: {}".to_owned(),
        "version: v2\nmig-configs: {}".to_owned(),
        "mig-configs: {}".to_owned(),
        "version: v1".to_owned(),
        "version: v1\nmig-configs: {empty: []}".to_owned(),
        entry("{devices: 7, mig-enabled: false}"),
        entry("{devices: some, mig-enabled: false}"),
        entry("{devices: [0, -1], mig-enabled: false}"),
        entry("{devices: [1, 1], mig-enabled: false}"),
        entry("{devices: [], mig-enabled: false}"),
        entry("{mig-enabled: false}"),
        entry("{devices: all}"),
        entry("{devices: all, mig_enabled: false}"),
        entry("{devices: all, mig-enabled: perhaps}"),
        entry("{devices: all, mig-enabled: true}"),
        entry("{devices: all, mig-enabled: false, mig-devices: {1g.5gb: 1}}"),
        entry("{devices: all, mig-enabled: true, mig-devices: {1g.5gb: 0}}"),
        entry("{devices: all, mig-enabled: true, mig-devices: {1g.5gb: -1}}"),
        entry("{devices: all, mig-enabled: true, mig-devices: {1g5gb: 1}}"),
        entry("{devices: all, mig-enabled: true, mig-devices: {4c.3g.20gb: 1}}"),
        entry("{devices: all, mig-enabled: true, mig-devices: {1g.5gb+you: 1}}"),
        entry("{devices: all, mig-enabled: true, mig-devices: {1g.5gb: 1, 1g.5gb: 2}}"),
        entry("{device-filter: 0x20B0, devices: all, mig-enabled: false}"),
        entry("{device-filter: ['0x20B010DE', nonsense], devices: all, mig-enabled: false}"),
    ];
    let mut shown = Vec::new();
    for case in &cases {
        let keys = case.lines().last().unwrap_or_default();
        shown.push(format!("{keys}\n    {}", parse(case).unwrap_err()));
    }
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn labels_are_suggested() {
    let layouts = parse("version: v1\nmig-configs:\n  all-1g.5gb: [{devices: all, mig-enabled: true, mig-devices: {1g.5gb: 7}}]\n  off: [{devices: all, mig-enabled: false}]\n").unwrap();
    let said = |label| layouts.select(label).unwrap_err().to_string();
    assert_eq!(
        said(Some("all-1g.5g")),
        "there is no layout \"all-1g.5g\": is \"all-1g.5gb\" meant?"
    );
    assert_eq!(said(Some("x")), "there is no layout \"x\": the file has all-1g.5gb, off");
    assert_eq!(said(None), "the file has 2 layouts: name one with --label (all-1g.5gb, off)");
}
