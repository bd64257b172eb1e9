//! Layouts of MIG devices.

use super::told;
use crate::claims::site::Site;
use serde_json::Value;
use std::path::Path;

/// `divvy mig VERB -f FIXTURE -c LABEL OPTION…`
#[track_caller]
fn mig(site: &Site, verb: &str, (file, label): (&str, &str), options: &[&str], code: i32) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mig-parted").join(file);
    let words = ["mig", verb, "-f", file.to_str().unwrap(), "-c", label];
    told(site, &[&words, options].concat(), code)
}

#[test]
fn of_layouts_that_are_applied() {
    let site = Site::new(&["--gpu", "A100-40GB:2", "--gpu", "T4", "--mig", "on"]);
    site.node.change("mig", &["0", "create", "1g.5gb@0", "2g.10gb@4"]);
    let profiles = told(&site, &["mig", "profiles"], 0);
    assert_eq!(profiles[0]["mig_enabled"], true);
    assert!(profiles[2].get("mig_enabled").is_none());
    let balanced = ("a100-40gb.yaml", "all-balanced");
    let plan = mig(&site, "apply", balanced, &["--dry-run", "--unmanaged"], 0);
    assert!(plan["gpus"][0]["steps"][0]["do"].is_string(), "{plan}");
    mig(&site, "apply", ("a100-40gb.yaml", "each-its-own"), &["--dry-run", "--unmanaged"], 0);
    assert_eq!(mig(&site, "assert", balanced, &[], 1)["is_right"], false);
    let report = mig(&site, "apply", balanced, &[], 0);
    assert_eq!(report["state"], "success");
    assert_eq!(mig(&site, "assert", balanced, &[], 0)["is_right"], true);
    told(&site, &["mig", "export"], 0);
    told(&site, &["status"], 0);
}

#[test]
fn of_layouts_that_are_not() {
    let site = Site::new(&["--gpu", "H100-80GB:2", "--managed"]);
    site.node.change("process", &["1", "add", "4711"]);
    let balanced = ("h100-80gb.yaml", "all-balanced");
    let failed = mig(&site, "apply", balanced, &[], 3);
    assert_eq!(failed["gpus"][0]["index"], 1);
    mig(&site, "assert", balanced, &[], 1);
    let wrong = ("a100-40gb.yaml", "all-balanced");
    let failed = mig(&site, "apply", wrong, &[], 2);
    assert_eq!(failed["gpus"], Value::Array(Vec::new()));
    mig(&site, "assert", wrong, &[], 2);
    told(&site, &["mig", "export"], 0);
}

#[test]
fn of_modes_that_wait() {
    let site = Site::new(&["--gpu", "A100-40GB", "--managed"]);
    let report = mig(&site, "apply", ("a100-40gb.yaml", "all-1g.5gb"), &[], 4);
    assert_eq!(report["gpus"][0]["waits"], "reset");
    assert_eq!(report["state"], "pending");
}

#[test]
fn of_devices_that_claims_hold() {
    let site = Site::new(&["--gpu", "H100-80GB", "--managed"]);
    site.prepare("job", &["mig:3g.40gb @0"]).done();
    let failed = mig(&site, "apply", ("h100-80gb.yaml", "all-disabled"), &[], 3);
    assert!(failed["gpus"][0]["obstacles"][0]["by"][0]["claim"].is_string(), "{failed}");
}
