//! Bundles that nobody means well with. Each ends in one sentence; no runtime runs, nothing else is touched.

use super::{Ground, assert_sentence, bytes, config};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

#[test]
fn configurations_that_are_none_are_told() {
    let ground = Ground::new("");
    let asking = |text: &str| config(json!({ "divvy.request": text }));
    let mut wrong_hooks = asking("mps");
    wrong_hooks["hooks"] = json!({"createRuntime": {"path": 1}});
    let mut wrong_env = asking("exclusive");
    wrong_env["process"]["env"] = json!([1, {}]);
    let nested = format!(r#"{{"divvy.request":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let cases: [(Vec<u8>, &str); 9] = [
        (nested.into_bytes(), "recursion limit"),
        (
            br#"{"annotations":{"divvy.request":"mps"},"annotations":{}}"#.to_vec(),
            "the key \"annotations\" is there twice",
        ),
        (br#"{"annotations":{"divvy.request":"mps""#.to_vec(), "is not the JSON"),
        (
            bytes(&json!({"annotations": {"divvy.request": {"a": 1}}})),
            "an object where a text belongs",
        ),
        (bytes(&wrong_hooks), "hooks.createRuntime"),
        (bytes(&wrong_env), "process.env"),
        (bytes(&asking("mps\nDevices: all")), "divvy.request"),
        (bytes(&asking(&"mig:1g.10gb;".repeat(10_000))), "a list of requests has at most"),
        (bytes(&asking("\u{1b}[2J\u{7}")), "divvy.request"),
    ];
    for (hostile, words) in cases {
        let output = ground.create(&hostile, "");
        assert_sentence(&output, "divvy-runtime", words);
        assert!(!output.stderr.contains(&0x1b), "a terminal code passes");
        assert_eq!(ground.seen(), None);
        assert_eq!(fs::read(ground.path("bundle/config.json")).unwrap(), hostile, "{words}");
    }
    assert_eq!(ground.claims(), "no claims\n");
}

#[test]
fn a_huge_configuration_is_not_read() {
    let ground = Ground::new("");
    fs::write(ground.path("bundle/config.json"), "").unwrap();
    let file = fs::OpenOptions::new().write(true).open(ground.path("bundle/config.json")).unwrap();
    file.set_len(100 << 20).unwrap();
    let output = ground
        .script("ulimit -v 262144; bin/divvy-runtime create --bundle bundle c1", Stdio::null());
    assert_sentence(&output, "divvy-runtime", "larger than 16777216 bytes");
    let huge = fs::File::open(ground.path("bundle/config.json")).unwrap();
    let output = ground.script("ulimit -v 262144; bin/divvy-hook precreate", huge.into());
    assert_sentence(&output, "divvy-hook", "larger than 16777216 bytes");
    assert!(output.stdout.is_empty());
}

#[test]
fn what_is_no_file_of_the_bundle_is_left_alone() {
    let ground = Ground::new("");
    let (outside, inside) = (ground.path("outside.json"), ground.path("bundle/config.json"));
    let asked = bytes(&config(json!({"divvy.request": "exclusive"})));
    fs::write(&outside, &asked).unwrap();
    symlink(&outside, &inside).unwrap();
    let create = "bin/divvy-runtime create --bundle bundle c1";
    assert_sentence(
        &ground.script(create, Stdio::null()),
        "divvy-runtime",
        "is not a regular file",
    );
    fs::remove_file(&inside).unwrap();
    let fifo = format!("mkfifo bundle/config.json; timeout 10 {create}");
    assert_sentence(&ground.script(&fifo, Stdio::null()), "divvy-runtime", "is not a regular file");
    assert_eq!(fs::read(&outside).unwrap(), asked);
    assert_eq!((ground.seen(), ground.claims().as_str()), (None, "no claims\n"));
}

#[test]
fn a_bundle_by_another_path_is_the_same_bundle() {
    let ground = Ground::new("");
    let asked = bytes(&config(json!({"divvy.request": "exclusive"})));
    fs::write(ground.path("bundle/config.json"), &asked).unwrap();
    symlink("bundle", ground.path("link")).unwrap();
    let create = |bundle: &str| {
        fs::write(ground.path("bundle/config.json"), &asked).unwrap();
        let output =
            ground.script(&format!("bin/divvy-runtime create --bundle {bundle} c1"), Stdio::null());
        assert!(output.status.success(), "{}", super::said(&output));
        ground.seen().unwrap()["annotations"]["divvy.claim"].clone()
    };
    assert_eq!(create("bundle/rootfs/../../link"), create("bundle"));
}

#[test]
fn a_log_that_is_a_link_is_not_followed() {
    let ground = Ground::new("");
    fs::write(ground.path("victim"), "kept").unwrap();
    symlink(ground.path("victim"), ground.path("log.json")).unwrap();
    let output = ground.create(&bytes(&config(json!({"divvy.request": "mpz"}))), "");
    assert_sentence(&output, "divvy-runtime", "is 'mps' meant?");
    assert_eq!(fs::read_to_string(ground.path("victim")).unwrap(), "kept");
}
