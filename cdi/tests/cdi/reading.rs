//! Texts and files that somebody else wrote.

use std::{fs, path::PathBuf};

use cdi::{MAX_SIZE, ReadError, check_file, parse, read_file};
use proptest::prelude::*;

const GOOD: &str =
    "cdiVersion: 0.3.0\nkind: v/c\ndevices:\n- name: a\n  containerEdits:\n    env: [A=b]\n";

/// A device of the spec that `GOOD` begins, with these edits.
fn with_edits(edits: &str) -> String {
    format!("cdiVersion: 0.5.0\nkind: v/c\ndevices:\n- name: a\n  containerEdits:\n    {edits}\n")
}

fn problem(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn wrong_texts_have_one_error_with_line_column_and_field() {
    let cases = [
        (with_edits("enf: [A=b]"), "6:5: devices[0].containerEdits.enf: unknown field `enf`"),
        (with_edits("env: 5"), "6:10: devices[0].containerEdits.env: a list is expected"),
        (
            with_edits("deviceNodes: [{path: /a, major: x}]"),
            "6:37: devices[0].containerEdits.deviceNodes[0].major: a whole number is expected",
        ),
        (
            with_edits("deviceNodes: [{path: /a, type: x}]"),
            "6:36: devices[0].containerEdits.deviceNodes[0].type: \"x\" is no type",
        ),
        (with_edits("additionalGids: [-1]"), "additionalGids[0]: a whole number from 0 to"),
        (with_edits("additionalGids: [4294967296]"), "additionalGids[0]: a whole number from 0"),
        (
            with_edits("hooks: [{hookName: create, path: /x}]"),
            "6:24: devices[0].containerEdits.hooks[0].hookName: unknown variant `create`",
        ),
        (with_edits("mounts: [{hostPath: /x}]"), "mounts[0]: missing field `containerPath`"),
        (with_edits("deviceNodes: [{type: c}]"), "deviceNodes[0]: missing field `path`"),
        (GOOD.replace("name: a", "name: a b"), "4:9: devices[0].name: \"a b\": ' ' at character 2"),
        (GOOD.replace("v/c", "vc"), "2:7: kind: \"vc\" has no '/'"),
        (GOOD.replace("0.3.0", "0.5"), "1:13: cdiVersion: \"0.5\" is no version"),
        (with_edits("mounts: [{}]"), "6:14: devices[0].containerEdits.mounts[0]: missing field"),
        (GOOD.replace("name: a\n ", ""), "4:4: devices[0]: missing field `name`"),
        ("kind: v/c\n".into(), "1:1: missing field `cdiVersion`"),
        (GOOD.replace("- name: a", "- a"), "4:3: devices[0]: fields are expected here"),
        (format!("{GOOD}kind: v/d\n"), "7:1: kind: duplicate mapping key: kind"),
        (format!("{GOOD}annotations: {{a: b, a: c}}\n"), "annotations.a: duplicate mapping key"),
        (format!("{GOOD}---\na: b\n"), "only single YAML document expected"),
        ("cdiVersion: 0.3.0\nkind: v/c\n".into(), "missing field `devices`"),
        ("hello".into(), "1:1: fields are expected here"),
        ("- a".into(), "1:1: fields are expected here"),
        (String::new(), "1:1: there is no spec in the file"),
        ("# nothing\n".into(), "there is no spec in the file"),
    ];
    for (text, expected) in cases {
        let problem = problem(&text);
        assert!(problem.contains(expected), "{text}\n{expected}\n{problem}");
    }
}

#[test]
fn what_is_quoted_from_a_file_has_no_control_characters() {
    for text in [
        GOOD.replace("name: a", "name: \"a\\e[31m\""),
        GOOD.replace("0.3.0", "\"\\e[31m\""),
        GOOD.replace("kind:", "\"\\e[31m\":"),
        with_edits("hooks: [{hookName: \"\\e[31m\", path: /x}]"),
    ] {
        let problem = problem(&text);
        assert!(problem.contains("[31m") && !problem.contains('\u{1b}'), "{problem:?}");
    }
}

#[test]
fn json_that_yaml_forbids_is_refused() {
    let json = "{\"cdiVersion\":\"0.3.0\",\"kind\":\"v/c\",\"devices\":[{\"name\":\"a\",\"containerEdits\":{\"env\":[\"A=\u{7f}\"]}}]}";
    assert!(problem(json).contains("unexpected character"), "{}", problem(json));
}

#[test]
fn json_has_lines_and_fields_too() {
    let json = "{\"cdiVersion\": \"0.3.0\",\n\t\"kind\": \"v/c\",\n\t\"devices\": [\n\t\t{\"name\": \"a\", \"containerEdits\": {\"deviceNodes\": [{\"path\": {}}]}}]}";
    assert!(problem(json).starts_with("4:61: devices[0].containerEdits.deviceNodes[0].path: "));
    let twice =
        "{\"cdiVersion\": \"0.3.0\",\n\"kind\": \"v/c\", \"kind\": \"v/c\", \"devices\": []}";
    assert!(problem(twice).starts_with("2:16: kind: duplicate mapping key"));
    let annotation = "{\"cdiVersion\": \"0.6.0\", \"kind\": \"v/c\", \"annotations\": {\"a\": \"b\",\n\"a\": \"c\"}, \"devices\": []}";
    assert!(problem(annotation).starts_with("2:1: annotations.a: duplicate mapping key"));
    let open = "{\"cdiVersion\": \"0.3.0\",";
    assert!(problem(open).contains("unclosed bracket"), "{}", problem(open));
}

#[test]
fn what_engines_accept_is_accepted() {
    let unquoted = GOOD.replace("name: a", "name: 0").replace("0.3.0", "v0.5.0");
    assert_eq!(parse(&unquoted).unwrap().devices[0].name.as_str(), "0");
    let number = "{\"cdiVersion\":\"0.5.0\",\"kind\":\"v/c\",\"devices\":[{\"name\":0,\"containerEdits\":{\"env\":[\"A=b\"]}}]}";
    assert_eq!(parse(number).unwrap().devices[0].name.as_str(), "0");
    let nothing = with_edits(
        "env: ~\n    mounts: null\n    deviceNodes: [{path: /x, hostPath: '', type: '', permissions: ''}]",
    );
    let edits = &parse(&nothing).unwrap().devices[0].container_edits;
    assert_eq!(edits.device_nodes, [cdi::DeviceNode { path: "/x".into(), ..Default::default() }]);
    let octal = with_edits("deviceNodes: [{path: /x, fileMode: 0666}]");
    assert_eq!(
        parse(&octal).unwrap().devices[0].container_edits.device_nodes[0].file_mode,
        Some(0o666)
    );
    let spelling = with_edits("additionalGIDs: [44]");
    assert_eq!(parse(&spelling).unwrap().devices[0].container_edits.additional_gids, [44]);
    let anchors = with_edits("env: &env [A=b]\ncontainerEdits:\n  env: *env");
    assert_eq!(parse(&anchors).unwrap().container_edits.env, ["A=b"]);
}

#[test]
fn many_comment_lines_are_no_error() {
    for count in [32, 33, 34, 20_000] {
        let comments = "    # a line\n".repeat(count);
        let text = GOOD.replace("    env", &format!("{comments}    env"));
        assert!(parse(&text).is_ok(), "{count} lines");
    }
}

#[test]
fn bombs_and_deep_nesting_are_refused() {
    let aliases = "- *b\n".repeat(1_000);
    let bomb = format!(
        "cdiVersion: 0.3.0\nkind: v/c\nannotations: {{a: &a x}}\ndevices:\n- &b {{name: a, containerEdits: {{env: [{}]}}}}\n{aliases}",
        "A=b,".repeat(1_000)
    );
    assert!(problem(&bomb).contains("too large or too complex"), "{}", problem(&bomb));

    let big = format!("&big \"A={}\"", "b".repeat(1 << 20));
    let few = with_edits(&format!("env: [{big}, *big, *big]"));
    assert_eq!(parse(&few).unwrap().devices[0].container_edits.env.len(), 3);
    let many = with_edits(&format!("env: [{big}{}]", ", *big".repeat(100)));
    assert!(problem(&many).contains("too large or too complex"), "{}", problem(&many));

    let laughs: String = (1..30).map(|n| format!("    - &l{n} [*l{0}, *l{0}]\n", n - 1)).collect();
    let laughs = with_edits(&format!("env:\n    - &l0 A=b\n{laughs}"));
    assert!(parse(&laughs).is_err());

    for open in ["[", "{a: ", "- ", "? "] {
        let deep = open.repeat(200_000);
        assert!(parse(&deep).is_err());
        assert!(parse(&with_edits(&format!("env: {deep}"))).is_err());
    }
    let json = format!("{{\"devices\": {}", "[".repeat(200_000));
    assert!(problem(&json).contains("nests deeper"), "{}", problem(&json));
}

/// A folder with one file.
fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

#[test]
fn files_are_read_and_their_faults_found() {
    let (_folder, path) = file("a.yaml", GOOD.as_bytes());
    assert_eq!(read_file(&path).unwrap(), parse(GOOD).unwrap());
    assert_eq!(check_file(&path).unwrap(), []);

    let (_folder, path) = file("a.yaml", format!("\u{feff}{GOOD}").as_bytes());
    assert!(read_file(&path).is_ok());

    let faulty = "cdiVersion: 0.3.0\nkind: v/c\ndevices:\n- name: a\n  containerEdits: {}\n- name: a\n  containerEdits:\n    env: [=b]\n    hooks: [{hookName: poststop, path: x}]\n";
    let (_folder, path) = file("a.txt", faulty.as_bytes());
    let found: Vec<_> = check_file(&path).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "5:3: devices[0].containerEdits: a device has at least one edit",
            "6:3: devices[1].name: \"a\" is the name of devices[0] too",
            "8:11: devices[1].containerEdits.env[0]: \"=b\" is no environment variable; NAME=value is",
            "9:34: devices[1].containerEdits.hooks[0].path: \"x\" is not absolute",
            "the file's name ends neither in .json nor in .yaml: engines ignore it",
        ]
    );
    let error = read_file(&path).unwrap_err().to_string();
    let expected =
        "a.txt:5:3: devices[0].containerEdits: a device has at least one edit (and 2 errors more)";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn what_is_no_text_or_no_file_is_refused() {
    let (folder, path) = file("a.json", b"{\n\"kind\": \"\xff\"}");
    let error = read_file(&path).unwrap_err().to_string();
    assert!(error.ends_with("a.json:2: the CDI spec is not UTF-8"), "{error}");

    assert!(matches!(read_file(folder.path()), Err(ReadError::NotAFile { .. })));
    assert!(matches!(read_file("/dev/zero".as_ref()), Err(ReadError::NotAFile { .. })));
    let error = read_file(&folder.path().join("none.json")).unwrap_err().to_string();
    assert!(error.contains("none.json: No such file"), "{error}");
}

#[test]
fn a_huge_file_is_refused_unread() {
    let (_folder, path) = file("a.json", b"");
    // A hole: reading it would take 8 GiB of memory.
    fs::File::options().write(true).open(&path).unwrap().set_len(8 << 30).unwrap();
    let error = read_file(&path).unwrap_err();
    assert!(matches!(error, ReadError::TooLarge { size, .. } if size == 8 << 30), "{error}");
    fs::File::options().write(true).open(&path).unwrap().set_len(MAX_SIZE + 1).unwrap();
    assert!(matches!(read_file(&path), Err(ReadError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn hostile_texts_never_panic(text in "\\PC*|[ \\n\\t\\[\\]{}:,&*!|>'\"%@`#?a-c0-9-]{0,200}") {
        let _ = parse(&text);
        let _ = parse(&format!("{{{text}"));
    }

    #[test]
    fn damaged_specs_never_panic(
        spec in crate::any_spec::spec(),
        at in any::<prop::sample::Index>(),
        cut in any::<bool>(),
        by in "[\\[\\]{}:,&*!|>'\"%@`#?\\n\\t -]",
    ) {
        for format in [cdi::Format::Json, cdi::Format::Yaml] {
            let text = format.encode(&spec).unwrap();
            let (at, character) =
                text.char_indices().nth(at.index(text.chars().count())).unwrap();
            let rest = &text[at + character.len_utf8()..];
            let damaged = format!("{}{by}{}", &text[..at], if cut { "" } else { rest });
            if let Ok(read) = parse(&damaged) {
                cdi::validate(&read);
            }
        }
    }
}
