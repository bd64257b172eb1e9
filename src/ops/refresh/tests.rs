//! Refreshing a folder of a test's own.

use super::*;
use cdi::DeviceNode;
use tempfile::TempDir;

fn spec(kind: &str, devices: &[(&str, &str)]) -> Spec {
    let device = |(name, node): &(&str, &str)| {
        let node = DeviceNode { path: format!("/dev/{node}"), ..DeviceNode::default() };
        let edits = ContainerEdits { device_nodes: vec![node], ..ContainerEdits::default() };
        Device::new(name.parse().unwrap(), edits)
    };
    let devices = devices.iter().map(device).collect();
    Spec::new(kind.parse().unwrap(), devices, ContainerEdits::default())
}

fn generated(devices: &[(&str, &str)]) -> Result<Generated, generate::Error> {
    Ok(Generated { spec: spec("nvidia.com/gpu", devices), left_out: vec![] })
}

fn folder() -> (TempDir, Host) {
    let dir = tempfile::tempdir().unwrap();
    let host = Host { cdi_dirs: vec!["/none".into(), dir.path().into()], ..Host::default() };
    (dir, host)
}

fn kind() -> Kind {
    "nvidia.com/gpu".parse().unwrap()
}

#[test]
fn what_changed_is_told() {
    let (_dir, host) = folder();
    let path = file(&host, &kind(), FILE).unwrap();
    let first = refresh(path.clone(), generated(&[("0", "a"), ("1", "b")])).unwrap();
    assert_eq!((first.outcome, first.added.len()), (Outcome::Created, 2));
    let same = refresh(path.clone(), generated(&[("0", "a"), ("1", "b")])).unwrap();
    assert_eq!(same.outcome, Outcome::Unchanged);
    let other = refresh(path, generated(&[("1", "c"), ("2", "d")])).unwrap();
    assert_eq!(other.outcome, Outcome::Replaced);
    assert_eq!(
        (other.added, other.removed, other.changed),
        (vec!["2".to_owned()], vec!["0".to_owned()], vec!["1".to_owned()],)
    );
}

#[test]
fn without_a_device_the_file_goes_and_that_is_no_failure() {
    let (_dir, host) = folder();
    let path = file(&host, &kind(), FILE).unwrap();
    let none = || Err(generate::Error::NoDevices { reason: "MIG is empty".into() });
    assert_eq!(refresh(path.clone(), none()).unwrap().outcome, Outcome::Absent);
    refresh(path.clone(), generated(&[("0", "a")])).unwrap();
    let gone = refresh(path.clone(), none()).unwrap();
    assert_eq!((gone.outcome, gone.removed), (Outcome::Removed, vec!["0".to_owned()]));
    assert!(gone.notes[0].contains("MIG is empty"));
    assert!(!path.exists());
}

#[test]
fn another_failure_leaves_the_file_as_it_is() {
    let (_dir, host) = folder();
    let path = file(&host, &kind(), FILE).unwrap();
    refresh(path.clone(), generated(&[("0", "a")])).unwrap();
    let failed = Err(generate::Error::SameName { name: "0".into() });
    assert!(matches!(refresh(path.clone(), failed), Err(Error::Generate(_))));
    assert!(path.exists());
}

#[test]
fn another_file_of_the_kind_is_refused_and_named() {
    let (dir, host) = folder();
    let theirs = dir.path().join("nvidia.yaml");
    fs::write(&theirs, Format::Yaml.encode(&spec("nvidia.com/gpu", &[("0", "a")])).unwrap())
        .unwrap();
    let error = file(&host, &kind(), FILE).unwrap_err().to_string();
    assert!(error.starts_with(theirs.to_str().unwrap()), "{error}");
    assert!(error.contains("nvidia-cdi-refresh.service"), "{error}");
}

#[test]
fn files_of_other_kinds_names_and_forms_are_let_be() {
    let (dir, host) = folder();
    let text = Format::Json.encode(&spec("other.com/gpu", &[("0", "a")])).unwrap();
    fs::write(dir.path().join("other.json"), text).unwrap();
    let text = Format::Json.encode(&spec("nvidia.com/gpu", &[("0", "a")])).unwrap();
    fs::write(dir.path().join("nvidia.json.bak"), text).unwrap();
    fs::write(dir.path().join("broken.json"), "{").unwrap();
    assert_eq!(file(&host, &kind(), FILE).unwrap(), dir.path().join(FILE));
}

#[test]
fn a_broken_file_of_its_own_is_replaced() {
    let (dir, host) = folder();
    fs::write(dir.path().join(FILE), "{").unwrap();
    let path = file(&host, &kind(), FILE).unwrap();
    let done = refresh(path, generated(&[("0", "a")])).unwrap();
    assert_eq!((done.outcome, done.added), (Outcome::Replaced, vec!["0".to_owned()]));
}
