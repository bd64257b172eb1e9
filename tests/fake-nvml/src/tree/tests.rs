use super::*;

#[test]
fn a_root_folder_is_no_place_for_a_node() {
    let binaries = Binaries { library: "/dev/null".into(), program: "/dev/null".into() };
    let why = create(Path::new("/"), "gpus: []\n", &binaries).unwrap_err();
    assert!(why.contains("/dev"), "{why}");
    assert!(!Path::new("/node.yaml").exists());
}

#[test]
fn half_a_node_is_no_node() {
    let dir = tempfile::tempdir().unwrap();
    let binaries = Binaries { library: "/nowhere/lib.so".into(), program: "/dev/null".into() };
    let why = create(dir.path(), "plain-nodes: true\ngpus: []\n", &binaries).unwrap_err();
    assert!(why.contains("/nowhere/lib.so"), "{why}");
    assert!(!dir.path().join(node::FILE).exists());
}

#[test]
fn the_table_of_minors_has_the_drivers_4322_lines() {
    let dir = tempfile::tempdir().unwrap();
    file(&dir.path().join(node::FILE), "gpus: []\n").unwrap();
    let text = crate::capabilities::mig_minors(&Node::read(dir.path()).unwrap());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4322);
    assert_eq!(lines[..4], ["config 1", "monitor 2", "gpu0/gi0/access 3", "gpu0/gi0/ci0/access 4"]);
    for known in [
        "gpu0/gi1/access 12",
        "gpu0/gi9/ci0/access 85",
        "gpu1/gi7/access 201",
        "gpu1/gi13/ci0/access 256",
    ] {
        assert!(lines.contains(&known), "{known}");
    }
}
