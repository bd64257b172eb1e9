//! `divvy-runtime` with containers that ask and containers that don't.

use super::{Ground, assert_sentence, bytes, config, paths, said};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

#[test]
fn command_line_and_environment_pass_as_they_are() {
    let ground = Ground::new("");
    fs::write(ground.path("bundle/config.json"), bytes(&config(json!({})))).unwrap();
    let before = fs::metadata(ground.path("bundle/config.json")).unwrap();
    for words in [
        "features",
        "--version",
        "state c1",
        "",
        "--root '' --log=/dev/null state 'a b' $'\\xff\\n' --",
        "create --bundle \"$G/bundle\" --pid-file p c1",
        "run -b \"$G/bundle\" c1",
        "create --bundle /nonexistent c1",
        "kill c1 9",
        "delete --force c1",
    ] {
        let script = format!(
            "env -i ODD=$'a\\nb\\xff' EMPTY= bin/divvy-runtime {words} || exit
             printf '%s\\0' runtime {words} | cmp - args"
        );
        let output = ground.script(&script, Stdio::null());
        assert!(output.status.success(), "{words}: {output:?}");
        let env = fs::read(ground.path("env")).unwrap();
        let mut names: Vec<&[u8]> = env.split(|byte| *byte == 0).collect();
        // What bash, whose script the runtime is here, sets itself.
        names.retain(|entry| {
            !["PWD=", "OLDPWD=", "SHLVL=", "_="].iter().any(|own| entry.starts_with(own.as_bytes()))
        });
        names.sort_unstable();
        assert_eq!(names, [&b""[..], b"EMPTY=", b"ODD=a\nb\xff"], "{words}");
    }
    let after = fs::metadata(ground.path("bundle/config.json")).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
}

#[test]
fn a_container_that_asks_gets_its_devices_and_loses_nothing() {
    let ground = Ground::new("");
    let asked = config(json!({"divvy.request": "mig:1g.10gb", "other": "kept"}));
    fs::write(ground.path("bundle/config.json"), "").unwrap();
    fs::set_permissions(ground.path("bundle/config.json"), fs::Permissions::from_mode(0o640))
        .unwrap();
    let output = ground.create(&bytes(&asked), "bin/divvy claims --output json >claims");
    assert!(output.status.success(), "{}", said(&output));
    let seen = ground.seen().unwrap();
    for kept in ["ociVersion", "x-vendor", "root"] {
        assert_eq!(seen[kept], asked[kept]);
    }
    assert_eq!(seen["process"]["futureField"], json!(true));
    assert_eq!(seen["mounts"][0], asked["mounts"][0]);
    assert_eq!(seen["annotations"]["other"], "kept");
    assert_eq!(seen["process"]["env"][1], "NVIDIA_VISIBLE_DEVICES=void");
    let nodes = paths(&seen, "/linux/devices");
    assert_eq!(
        nodes.iter().filter(|node| node.starts_with("/dev/nvidia-caps/")).count(),
        2,
        "{nodes:?}"
    );
    let hook = ground.path("bin/divvy-hook");
    for stage in ["createRuntime", "createContainer", "poststop"] {
        assert_eq!(paths(&seen, &format!("/hooks/{stage}")), [hook.to_str().unwrap()], "{stage}");
    }
    let claims: Value = serde_json::from_slice(&fs::read(ground.path("claims")).unwrap()).unwrap();
    assert_eq!(claims[0]["id"], seen["annotations"]["divvy.claim"]);
    assert_eq!(
        (&claims[0]["phase"], &claims[0]["owner"]["kind"]),
        (&json!("granted"), &json!("start"))
    );
    let mode = fs::metadata(ground.path("bundle/config.json")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o640);
    let left: Vec<_> = fs::read_dir(ground.path("bundle"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_refusal_is_told_to_the_engine_and_nothing_runs() {
    let ground = Ground::new("");
    let output = ground.create(&bytes(&config(json!({"divvy.request": "exclusive @7"}))), "");
    assert_sentence(&output, "divvy-runtime", "no GPU here is 7");
    assert_eq!(ground.seen(), None);
    let log: Value = serde_json::from_slice(&fs::read(ground.path("log.json")).unwrap()).unwrap();
    assert_eq!(log["level"], "error");
    assert_eq!(log["msg"], said(&output).trim_end());
    assert_eq!(ground.claims(), "no claims\n");
    let kept = divvy::refused::Refused::all(&ground.node.host());
    assert_eq!((kept.len(), kept[0].container.as_deref()), (1, Some("c1")));
}

#[test]
fn without_a_runtime_the_claim_is_undone() {
    for (configured, words) in [
        ("runtime: /nonexistent/runc\n", "/nonexistent/runc"),
        ("runtime: none-such\n", "none-such in /usr/local/sbin"),
    ] {
        let ground = Ground::new(configured);
        let output = ground.create(&bytes(&config(json!({"divvy.request": "mig:1g.10gb"}))), "");
        assert_sentence(&output, "divvy-runtime", words);
        assert_eq!(ground.claims(), "no claims\n");
    }
}

#[test]
fn pods_ask_where_the_administrator_says_so() {
    let pod = |more: Value| {
        let mut all = json!({"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "main"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bytes(&config(all))
    };
    let off = Ground::new("");
    let output = off.create(&pod(json!({"divvy.request/main": "exclusive"})), "");
    assert_sentence(&output, "divvy-runtime", "from-pod-annotations");
    let on = Ground::new("requests: {from-pod-annotations: true}\n");
    let output = on
        .create(&pod(json!({"divvy.request/main": "exclusive", "divvy.request/other": "mps"})), "");
    assert!(output.status.success(), "{}", said(&output));
    assert!(paths(&on.seen().unwrap(), "/linux/devices").contains(&"/dev/nvidia0"));
}
