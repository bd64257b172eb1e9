use super::*;

fn node(dir: &std::path::Path, gpus: &str) -> Arc<Node> {
    std::fs::write(dir.join(crate::node::FILE), format!("gpus:\n{gpus}")).unwrap();
    Arc::new(Node::read(dir).unwrap())
}

const A100: &str = "- {board: A100-40GB, uuid: GPU-1, minor: 0, pci: 0000:10:00.0, mig: true";

#[test]
fn a_node_starts_with_the_devices_that_its_file_names() {
    let dir = tempfile::tempdir().unwrap();
    let devices = "mig-devices: [{profile: 3g.20gb, start: 4}, {profile: 1g.5gb, gi: 8}]";
    let node = node(dir.path(), &format!("{A100}, {devices}}}\n"));
    let state = Store::open(node).unwrap().now().unwrap();
    let instances = &state.gpus[0].instances;
    let places: Vec<_> = instances.iter().map(|gi| (gi.id, gi.start, gi.compute.len())).collect();
    assert_eq!(places, [(1, 4, 1), (8, 0, 1)]);
    assert!(state.gpus[0].mig && state.gpus[0].mig_pending);
}

#[test]
fn devices_that_do_not_fit_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let devices = "mig-devices: [{profile: 7g.40gb}, {profile: 1g.5gb}]";
    let node = node(dir.path(), &format!("{A100}, {devices}}}\n"));
    let why = Store::open(node).unwrap_err();
    assert!(why.contains("GPU 0") && why.contains("1g.5gb"), "{why}");
}

#[test]
fn one_store_sees_what_another_changed() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path(), &format!("{A100}}}\n"));
    let (mine, other) = (Store::open(Arc::clone(&node)).unwrap(), Store::open(node).unwrap());
    let before = mine.now().unwrap();
    let longer = |state: &mut State| {
        state.gpus[0].time_slice = 2;
        Ok(())
    };
    other.change(longer).unwrap();
    assert_eq!(before.gpus[0].time_slice, 0);
    assert_eq!(mine.now().unwrap().gpus[0].time_slice, 2);
}

#[test]
fn what_is_refused_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(node(dir.path(), &format!("{A100}}}\n"))).unwrap();
    let before = store.now().unwrap();
    let refused = store.change(|state| -> Result<(), Code> {
        state.gpus[0].lost = true;
        Err(Code::IN_USE)
    });
    assert!(matches!(refused, Err(Failure::Refused(Code::IN_USE))));
    assert_eq!(store.now().unwrap(), before);
}

#[test]
fn a_copy_is_not_read_again_until_something_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(node(dir.path(), &format!("{A100}}}\n"))).unwrap();
    let first = store.now().unwrap();
    std::fs::remove_file(dir.path().join("state.json")).unwrap();
    assert!(Arc::ptr_eq(&first, &store.now().unwrap()));
}

#[test]
fn a_state_that_is_no_json_is_an_error_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path(), &format!("{A100}}}\n"));
    std::fs::write(dir.path().join("state.json"), "{").unwrap();
    let why = Store::open(node).unwrap().now().unwrap_err();
    assert!(why.contains("state.json"), "{why}");
}

#[test]
fn a_change_that_died_is_mended_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("proc/driver/nvidia/capabilities");
    std::fs::create_dir_all(&root).unwrap();
    let device = "mig-devices: [{profile: 3g.20gb, start: 4}]";
    let store = Store::open(node(dir.path(), &format!("{A100}, {device}}}\n"))).unwrap();
    let access = root.join("gpu0/mig/gi1/access");
    std::fs::remove_file(&access).unwrap();
    std::fs::create_dir_all(root.join("gpu0/mig/gi9")).unwrap();
    std::fs::write(root.join("gpu0/mig/gi9/access"), "").unwrap();
    store.change(|_| Ok(())).unwrap();
    assert!(!access.exists(), "nothing tells that a change died");
    std::fs::write(dir.path().join("state.lock"), 7u64.to_ne_bytes()).unwrap();
    store.change(|_| Ok(())).unwrap();
    assert!(access.exists() && !root.join("gpu0/mig/gi9").exists());
}
