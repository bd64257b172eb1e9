//! CDI folders, engines, labels and what is wrong with a machine.

use super::{tell, told};
use crate::claims::site::Site;
use std::fs;

/// The hook that every machine has, and no question to the podman of this one.
const REFRESH: [&str; 5] = ["cdi", "refresh", "--no-additional-gids", "--hook-path", "/bin/true"];

#[test]
fn of_cdi_folders() {
    let site = Site::new(&["--gpu", "H100-80GB:2"]);
    told(&site, &["cdi", "list"], 0);
    assert_eq!(told(&site, &[&REFRESH[..], &["--dry-run"]].concat(), 0)["outcome"], "created");
    told(&site, &REFRESH, 0);
    site.node.change("lose", &["1"]);
    let refreshed = told(&site, &REFRESH, 0);
    assert_eq!(refreshed["outcome"], "replaced");
    assert!(refreshed["removed"][0].is_string() && refreshed["notes"][0].is_string());
    told(&site, &["cdi", "list"], 0);
    let folder = site.node.host().cdi_dirs[0].clone();
    let own = folder.join("divvy-gpu.json");
    let own_file = own.to_str().unwrap();
    assert_eq!(told(&site, &["cdi", "validate", own_file], 0)[0]["valid"], true);
    let (other, broken) = (folder.join("nvidia.json"), folder.join("broken.yaml"));
    fs::copy(&own, &other).unwrap();
    fs::write(&broken, "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: 'a b'}]\n")
        .unwrap();
    let found = told(&site, &["cdi", "validate", own_file, broken.to_str().unwrap()], 1);
    assert_eq!(found[1]["findings"][0]["severity"], "error");
    let listing = told(&site, &["cdi", "list"], 0);
    assert!(listing["conflicts"][0]["files"].is_array(), "{listing}");
    let refusal = told(&site, &REFRESH, 3);
    assert_eq!(refusal["file"], other.to_str().unwrap());
    let shadow = tempfile::tempdir().unwrap();
    fs::copy(&own, shadow.path().join("x.json")).unwrap();
    let mut command = site.command(&["cdi", "list"]);
    let folders = format!("{}:{}", folder.display(), shadow.path().display());
    tell(command.args(["--cdi-dir", &folders]), &["cdi", "list"], 0);
}

#[test]
fn of_labels() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    site.node.change("mig", &["0", "create", "1g.10gb@0"]);
    for strategy in ["none", "single", "mixed"] {
        let labels = told(&site, &["labels", "--mig-strategy", strategy], 0);
        assert!(labels["nvidia.com/gpu.machine"].is_string(), "{labels}");
    }
    let empty = Site::new(&["--gpu", "T4"]);
    empty.node.change("lose", &["0"]);
    told(&empty, &["labels"], 0);
    told(&empty, &["doctor", "--root", "/nonexistent"], 1);
    told(&empty, &["status"], 0);
}

#[test]
fn of_engines() {
    let site = Site::new(&["--gpu", "T4"]);
    let root = tempfile::tempdir().unwrap();
    for folder in ["etc/docker", "etc/containers", "etc/containerd", "etc/crio", "usr/bin"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    let configure = |runtime: &str, options: &[&str], code: i32| {
        let words =
            ["runtime", "configure", "--root", root.path().to_str().unwrap(), "--runtime", runtime];
        told(&site, &[&words, options].concat(), code)
    };
    let refusal = configure("docker", &["--set-as-default"], 3);
    assert!(refusal["message"].is_string(), "{refusal}");
    for program in ["divvy-runtime", "divvy-hook"] {
        fs::write(root.path().join("usr/bin").join(program), "").unwrap();
    }
    for runtime in ["podman", "containerd", "crio", "docker"] {
        let plan = configure(runtime, &["--dry-run"], 0);
        assert!(plan["files"][0]["diff"].is_string(), "{plan}");
        assert_eq!(configure(runtime, &[], 0)["engine"], runtime);
        assert_eq!(configure(runtime, &[], 0)["needs"], "nothing");
        configure(runtime, &["--remove"], 0);
    }
}
