use super::*;
use crate::config::RequestSources;
use cdi::{ContainerEdits, Mount};
use serde_json::{Value, json};

const HOOK: &str = "/usr/bin/divvy-hook";
const CLOSED: Rules<'static> = Rules {
    hooks: &[HOOK],
    sources: RequestSources { from_environment: false, from_pod_annotations: false },
    podman: false,
};
const OPEN: Rules<'static> = Rules {
    sources: RequestSources { from_environment: true, from_pod_annotations: true },
    ..CLOSED
};

fn asked(config: &Value, rules: &Rules) -> Option<String> {
    find(config, rules).unwrap().map(|asked| asked.requests.to_string())
}

fn refused(config: &Value, rules: &Rules) -> String {
    find(config, rules).unwrap_err().to_string()
}

fn hooked(path: &str, requests: &[&str]) -> Value {
    let entry = |request: &&str| json!({"path": path, "args": ["divvy-hook", "create-runtime", format!("--request={request}")]});
    json!({"hooks": {"createRuntime": requests.iter().map(entry).collect::<Vec<_>>()}})
}

fn annotated(pairs: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<String, Value> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    json!({ "annotations": annotations })
}

#[test]
fn a_cdi_device_asks_by_its_hook() {
    assert_eq!(asked(&hooked(HOOK, &["mig:1g.10gb"]), &CLOSED).unwrap(), "mig:1g.10gb");
    let twice = hooked(HOOK, &["mps", "mig:1g.10gb", "mps"]);
    assert_eq!(asked(&twice, &CLOSED).unwrap(), "mps; mig:1g.10gb");
    assert_eq!(find(&twice, &CLOSED).unwrap().unwrap().unhooked, None);
}

#[test]
fn only_divvys_own_hook_is_believed() {
    assert_eq!(asked(&hooked("/tmp/divvy-hook", &["mps"]), &OPEN), None);
    let other = json!({"hooks": {"createRuntime": [{"path": HOOK, "args": ["x", "create-container", "--request=mps"]}]}});
    assert_eq!(asked(&other, &OPEN), None);
    let forged = json!({"hooks": {"createRuntime": [{"path": HOOK, "args": ["x", "create-runtime", "--request=mps", "--state-dir=/tmp"]}]}});
    assert!(refused(&forged, &OPEN).contains("one argument"));
    let wrong =
        json!({"hooks": {"createRuntime": [{"path": HOOK, "args": ["x", "create-runtime", 7]}]}});
    assert!(refused(&wrong, &OPEN).contains("has no argument \"\""));
}

#[test]
fn an_annotation_asks_outside_pods() {
    assert_eq!(
        asked(&annotated(&[("divvy.request", "mps:threads=25")]), &CLOSED).unwrap(),
        "mps:threads=25"
    );
    assert_eq!(asked(&annotated(&[("divvy.request/main", "mps")]), &OPEN), None);
    let both = json!({
        "annotations": {"divvy.request": "mps"},
        "hooks": hooked(HOOK, &["mig:1g.10gb"])["hooks"],
    });
    assert_eq!(asked(&both, &CLOSED).unwrap(), "mig:1g.10gb; mps");
    let unhooked = find(&both, &CLOSED).unwrap().unwrap().unhooked;
    assert_eq!(unhooked.unwrap().to_string(), "mps");
    for wrong in ["", "mps\nmig:1g.10gb", "mpz", &"mps;".repeat(10_000), &"x".repeat(70_000)] {
        let said = refused(&annotated(&[("divvy.request", wrong)]), &OPEN);
        assert!(
            said.starts_with("annotation divvy.request: ") && said.lines().count() <= 4,
            "{said}"
        );
    }
    assert!(
        refused(&json!({"annotations": {"divvy.request": ["mps"]}}), &OPEN).contains("has a list")
    );
}

#[test]
fn a_pod_asks_for_each_container_and_where_that_is_on() {
    for (kind, name) in [
        ("io.kubernetes.cri.container-type", "io.kubernetes.cri.container-name"),
        ("io.kubernetes.cri-o.ContainerType", "io.kubernetes.container.name"),
    ] {
        let pod = |more: &[(&str, &str)]| {
            let own = [(kind, "container"), (name, "main")];
            annotated(&[&own[..], more].concat())
        };
        let own = pod(&[("divvy.request/main", "mps"), ("divvy.request", "exclusive")]);
        assert_eq!(asked(&own, &OPEN).unwrap(), "mps");
        assert!(refused(&own, &CLOSED).contains("from-pod-annotations"));
        assert_eq!(asked(&pod(&[("divvy.request/other", "mps")]), &OPEN), None);
        assert!(refused(&pod(&[("divvy.request", "mps")]), &OPEN).contains("divvy.request/main"));
        // No pod can call itself podman's.
        let posing = pod(&[("divvy.request", "mps"), ("io.container.manager", "libpod")]);
        assert!(find(&posing, &CLOSED).is_err());
        assert_eq!(asked(&posing, &Rules { podman: true, ..CLOSED }).unwrap(), "mps");
        let mut hooked_too = posing.clone();
        hooked_too["hooks"] = hooked(HOOK, &["mps"])["hooks"].clone();
        assert_eq!(asked(&hooked_too, &CLOSED).unwrap(), "mps");
        let pause = annotated(&[
            (kind, "sandbox"),
            ("divvy.request", "mps"),
            ("divvy.request/main", "mps"),
        ]);
        assert_eq!(asked(&pause, &OPEN), None);
    }
}

#[test]
fn podmans_own_annotations_are_no_pods() {
    let config = annotated(&[("io.kubernetes.cri-o.TTY", "false"), ("divvy.request", "mps")]);
    assert!(!find(&config, &CLOSED).unwrap().unwrap().in_pod);
}

#[test]
fn the_environment_asks_where_allowed_and_nothing_else_does() {
    let config =
        json!({"process": {"env": ["A=1", "DIVVY_REQUEST=mps", "DIVVY_REQUEST=exclusive"]}});
    assert_eq!(asked(&config, &CLOSED), None);
    assert_eq!(asked(&config, &OPEN).unwrap(), "exclusive");
    let both = json!({"process": config["process"], "annotations": {"divvy.request": "mps"}});
    assert_eq!(asked(&both, &OPEN).unwrap(), "mps");
}

#[test]
fn a_claims_name_counts_where_its_hook_is_too() {
    let claim = json!({"divvy.claim": "c1"});
    let served = json!({"annotations": claim, "hooks": hooked(HOOK, &["mps"])["hooks"]});
    assert_eq!(find(&served, &CLOSED).unwrap().unwrap().claim.unwrap().as_str(), "c1");
    let alone = json!({"annotations": {"divvy.claim": "c1", "divvy.request": "mps"}});
    assert!(refused(&alone, &CLOSED).contains("divvy.claim"));
    let pod = json!({
        "annotations": {"divvy.claim": "c1", "io.kubernetes.cri.container-type": "container"},
        "hooks": hooked(HOOK, &["mps"])["hooks"],
    });
    assert!(find(&pod, &CLOSED).unwrap().unwrap().in_pod);
    let wrong = json!({"annotations": {"divvy.claim": "../c1"}, "hooks": served["hooks"]});
    assert!(refused(&wrong, &CLOSED).contains("is no claim id"));
}

#[test]
fn wrong_types_and_too_much_are_errors_where_it_matters() {
    for wrong in [
        json!({"hooks": 1}),
        json!({"hooks": {"createRuntime": {}}}),
        json!({"annotations": []}),
        json!({"annotations": {"divvy.request": "mps"}, "linux": {"uidMappings": 1}}),
        json!({"annotations": {"divvy.request": "mps"}, "process": {"user": {"uid": 1u64 << 40}}}),
    ] {
        assert!(find(&wrong, &CLOSED).is_err(), "{wrong}");
    }
    let names: Vec<String> = (1..=100).map(|n| format!("mps:threads={n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(refused(&hooked(HOOK, &names), &CLOSED).contains("at most 64"));
    for odd in [json!({}), json!([]), json!(null), json!({"hooks": null, "process": 7})] {
        assert_eq!(asked(&odd, &CLOSED), None);
    }
}

#[test]
fn the_clients_uid_is_the_hosts() {
    let uid = |config: &Value| find(config, &CLOSED).unwrap().unwrap().uid;
    let mut config = annotated(&[("divvy.request", "mps")]);
    assert_eq!(uid(&config), 0);
    config["process"] = json!({"user": {"uid": 1000}});
    assert_eq!(uid(&config), 1000);
    config["linux"] = json!({"uidMappings": [
        {"containerID": 0, "hostID": 500, "size": 1}, {"containerID": 1, "hostID": 100_000, "size": 65536}]});
    assert_eq!(uid(&config), 100_999);
}

#[test]
fn a_grant_goes_in_with_the_claims_name_and_the_hooks_that_lack() {
    let mount = Mount { host_path: "/a".into(), container_path: "/b".into(), ..Mount::default() };
    let work = crate::hook_args::CreateContainer::default();
    let once = cdi::Hook {
        hook_name: cdi::HookName::CreateContainer,
        path: HOOK.into(),
        args: work.to_args(),
        env: vec!["A=1".into()],
        timeout: None,
    };
    let edits =
        ContainerEdits { mounts: vec![mount], hooks: vec![once], ..ContainerEdits::default() };
    let claim = "c1".parse().unwrap();
    let put = |mut config: Value| {
        let asked = find(&config, &CLOSED).unwrap().unwrap();
        serve(&mut config, (&claim, edits.clone()), &asked, HOOK, |_| unreachable!()).unwrap();
        // Found again, it asks for the same, and is served.
        let again = find(&config, &CLOSED).unwrap().unwrap();
        assert_eq!((&again.requests, again.claim), (&asked.requests, Some("c1".parse().unwrap())));
        config
    };
    let config =
        put(json!({"x-future": {"kept": [1, null]}, "annotations": {"divvy.request": "mps"}}));
    insta::assert_snapshot!(serde_json::to_string_pretty(&config).unwrap());

    let mut device = hooked(HOOK, &["mps"]);
    device["hooks"]["createContainer"] =
        json!([{"path": HOOK, "args": ["divvy-hook", "create-container", "--folder=/l"]}]);
    let config = put(device);
    let count = |stage: &str| config["hooks"][stage].as_array().map_or(0, Vec::len);
    assert_eq!((count("createRuntime"), count("createContainer"), count("poststop")), (1, 1, 0));
    assert_eq!(config["annotations"], json!({"divvy.claim": "c1"}));
}

#[test]
fn a_refusal_is_the_first_hook() {
    let mut config = hooked(HOOK, &["mps"]);
    refuse(&mut config, &"c1".parse().unwrap(), HOOK).unwrap();
    let entries = config["hooks"]["createRuntime"].as_array().unwrap();
    assert_eq!(entries[0]["args"], json!(["divvy-hook", "create-runtime", "--refused-id=c1"]));
    assert_eq!(entries.len(), 2);
}

#[test]
fn a_look_at_the_bytes_finds_whatever_could_ask() {
    assert!(may_ask(br#"{"annotations":{"divvy.request":"mps"}}"#));
    assert!(may_ask(br#"vivvdivvy.request"#) && may_ask(br#"{"env":["DIVVY_REQUEST=mps"]}"#));
    assert!(may_ask(&serde_json::to_vec(&hooked(HOOK, &["mps"])).unwrap()));
    for none in [
        "",
        "v",
        "divv",
        "xv",
        "divvy.reques",
        "dvivvy.request",
        r#"{"driver":"overlay","device":"/dev","args":["other-hook","create-runtime"]}"#,
        r#"{"path":"/usr/bin/divvy-hook","args":["divvy-hook","create-container"]}"#,
    ] {
        assert!(!may_ask(none.as_bytes()), "{none}");
    }
}

#[test]
fn a_configuration_is_read_and_written_without_loss() {
    let text = r#"{"b":1,"a":{"x":[1,-2,18446744073709551615,0.5,true,null,"\u0001é"]},"":{}}"#;
    assert_eq!(serde_json::to_string(&parse(text.as_bytes()).unwrap()).unwrap(), text);
    let deep = "[".repeat(200_000);
    for wrong in [
        "",
        "{",
        r#"{"a":1,"a":1}"#,
        r#"{"x":[{"hooks":{},"hooks":{}}]}"#,
        "{} {}",
        &deep,
        "\u{feff}{}",
    ] {
        assert!(parse(wrong.as_bytes()).is_err(), "{}", &wrong[..wrong.len().min(40)]);
    }
    assert!(
        parse(br#"{"k":1,"k":2}"#)
            .unwrap_err()
            .to_string()
            .contains("the key \"k\" is there twice")
    );
}
