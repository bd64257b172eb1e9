//! Folders of specs, as engines read them.

use std::{fs, path::Path};

use cdi::{QualifiedName, Registry, ResolveError};

/// Two folders, the second of higher priority, with these files.
fn folders(files: &[(&str, &str)]) -> (tempfile::TempDir, Registry) {
    let root = tempfile::tempdir().unwrap();
    let of = |name: &str| root.path().join(name);
    fs::create_dir(of("etc")).unwrap();
    fs::create_dir(of("run")).unwrap();
    for (path, content) in files {
        fs::write(of(path), content).unwrap();
    }
    let registry = Registry::load(&[of("etc"), of("run")]);
    (root, registry)
}

/// A spec of kind `v/c` that puts `FROM=<mark>` into the container, and `<name>=<mark>` for each device.
fn spec(mark: &str, names: &[&str]) -> String {
    let devices: String = names
        .iter()
        .map(|name| format!("- {{name: {name}, containerEdits: {{env: [{name}={mark}]}}}}\n"))
        .collect();
    format!(
        "cdiVersion: 0.3.0\nkind: v/c\ncontainerEdits: {{env: [FROM={mark}]}}\ndevices:\n{devices}"
    )
}

fn name(device: &str) -> QualifiedName {
    format!("v/c={device}").parse().unwrap()
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn the_higher_folder_wins_and_says_so() {
    let (_root, registry) =
        folders(&[("etc/e.yaml", &spec("etc", &["a", "b"])), ("run/r.yaml", &spec("run", &["a"]))]);
    let devices: Vec<_> = registry
        .devices()
        .map(|(name, file, _)| (name.to_string(), file_name(&file.path)))
        .collect();
    assert_eq!(devices, [("v/c=a".into(), "r.yaml"), ("v/c=b".into(), "e.yaml")]);
    let shadowed = &registry.shadowed()[0];
    assert_eq!(
        (&shadowed.name, file_name(&shadowed.file), file_name(&shadowed.by)),
        (&name("a"), "e.yaml", "r.yaml")
    );
    assert_eq!((registry.shadowed().len(), registry.conflicts().len()), (1, 0));
    let kind = "v/c".parse().unwrap();
    assert_eq!(registry.definitions_of(&kind).count(), 2);
    assert_eq!(registry.definitions_of(&"v/d".parse().unwrap()).count(), 0);
}

#[test]
fn two_files_of_one_folder_make_a_device_unresolvable_even_where_a_higher_one_has_it() {
    let (_root, registry) = folders(&[
        ("etc/x.yaml", &spec("x", &["a", "only"])),
        ("etc/y.json", &spec("y", &["a"])),
        ("run/r.yaml", &spec("run", &["a"])),
    ]);
    let error = registry.resolve(&name("a")).unwrap_err();
    let ResolveError::Conflict { files, .. } = &error else { panic!("{error}") };
    assert_eq!(files.iter().map(|path| file_name(path)).collect::<Vec<_>>(), ["x.yaml", "y.json"]);
    assert!(error.to_string().starts_with("2 files define v/c=a: "), "{error}");
    assert!(registry.resolve(&name("only")).is_ok());
    assert_eq!(registry.conflicts().len(), 1);
    assert!(registry.devices().all(|(found, ..)| *found != name("a")));
}

#[test]
fn a_wrong_file_costs_its_own_devices_only() {
    let (root, registry) = folders(&[
        ("etc/good.yaml", &spec("good", &["a"])),
        ("etc/bad.yaml", "cdiVersion: 9.9.9\n"),
        ("etc/empty.json", ""),
        ("etc/ignored.txt", "nothing"),
        ("etc/ignored.yml", "nothing"),
        ("etc/old.yaml", &spec("old", &["0digit"])),
    ]);
    fs::create_dir(root.path().join("etc/folder.json")).unwrap();
    std::os::unix::fs::symlink("/nowhere", root.path().join("etc/link.json")).unwrap();
    let wrong: Vec<_> = registry.errors().iter().map(|error| file_name(error.path())).collect();
    assert_eq!(wrong, ["bad.yaml", "empty.json", "old.yaml"]);
    assert!(registry.resolve(&name("a")).is_ok());
    let error = registry.resolve(&name("b")).unwrap_err().to_string();
    assert!(error.starts_with("no CDI spec defines v/c=b; these could not be read"), "{error}");

    let again = Registry::load(&[root.path().join("etc")]);
    let wrong: Vec<_> = again.errors().iter().map(|error| file_name(error.path())).collect();
    assert_eq!(wrong, ["bad.yaml", "empty.json", "link.json", "old.yaml"]);
}

#[test]
fn a_folder_that_is_missing_costs_nothing_and_one_that_is_a_file_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let registry = Registry::load(&[root.path().join("none"), file.clone()]);
    assert_eq!(registry.files().len(), 0);
    assert_eq!(registry.errors().len(), 1);
    assert_eq!(registry.errors()[0].path(), file);
}

#[test]
fn the_shared_edits_of_a_spec_come_once_and_first() {
    let (_root, registry) =
        folders(&[("etc/e.yaml", &spec("e", &["a", "b"])), ("run/r.yaml", &spec("r", &["c"]))]);
    let edits = registry.edits(&[name("b"), name("c"), name("a")]).unwrap();
    assert_eq!(edits.env, ["FROM=e", "b=e", "FROM=r", "c=r", "a=e"]);
    let error = registry.edits(&[name("a"), name("none")]).unwrap_err();
    assert_eq!(error.to_string(), "no CDI spec defines v/c=none");
}
