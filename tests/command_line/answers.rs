//! What commands answer, to people and to programs, where something isn't as it should be.

use super::stdout;
use crate::claims::site::Site;
use serde_json::json;
use std::fs::{self, File};

#[test]
fn a_configuration_that_is_named_must_be_there() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    let absent = site.node.dir().join("strict.yml");
    let absent = absent.to_str().unwrap();
    for words in
        [&["prepare", "--claim", "job", "exclusive"][..], &["status"], &["cdi", "generate"]]
    {
        let option = [&["--config", absent], words].concat();
        let mut variable = site.command(words);
        variable.env("DIVVY_CONFIG", absent);
        let variable = crate::claims::site::Said::of(variable.output().unwrap());
        for said in [site.divvy(&option), variable] {
            assert_eq!(said.stdout, "", "{said:?}");
            let message = said.failed(2);
            assert!(message.contains("there is no configuration ") && message.contains(absent));
        }
    }
    assert_eq!(site.phases(), []);
    let doctor = site.divvy(&["--config", absent, "doctor"]);
    assert!(doctor.stdout.contains("there is no configuration "), "{doctor:?}");
}

#[test]
fn a_claim_whose_answer_is_lost_is_named() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    let mut prepare = site.command(&["prepare", "exclusive"]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = prepare.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let (id, phase) = site.phases().remove(0);
    assert_eq!(phase, "granted");
    assert!(said.contains(&format!("claim {id} is held")), "{said}");
    site.release(&id).done();
}

#[test]
fn a_failed_preparation_names_its_step_and_what_is_left() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    let before = site.picture();
    site.node.faults("nvmlDeviceCreateGpuInstanceWithPlacement:1:999\n");
    let said = site.divvy(&["prepare", "mig:3g.40gb", "--output", "json"]);
    site.node.faults("");
    let error = said.json();
    let message = said.failed(1);
    assert!(message.starts_with("divvy: can't create the GPU instance 3g.40gb at "), "{message}");
    assert!(message.ends_with("; nothing of the claim is left\n"), "{message}");
    let sentence = message.trim_end().strip_prefix("divvy: ").unwrap();
    assert_eq!(error, json!({"error": {"message": sentence, "exit": 1}}));
    site.same(&before, "a preparation that failed");
}

#[test]
fn a_layout_s_mig_device_is_offered_to_who_finds_no_room() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    site.node.change("mig", &["0", "on"]);
    let profiles = ["0", "create", "3g.40gb", "3g.40gb"];
    site.node.change("mig", &profiles);
    let said = site.divvy(&["plan", "mig:3g.40gb"]).failed(3);
    assert!(said.contains("exclusive @MIG-…") && said.contains("divvy mig apply"), "{said}");
    assert!(!said.contains("release a claim"), "{said}");
    let status = site.divvy(&["status", "--output", "json"]).done().stdout;
    let at = status.find("MIG-").unwrap();
    let uuid = &status[at..at + 40];
    site.divvy(&["plan", "exclusive", &format!("@{uuid}")]).done();
}

#[test]
fn claims_say_who_has_which_gpu_and_since_when() {
    let site = Site::new(&["--gpu", "H100-80GB:2", "--mig", "on"]);
    site.prepare("job", &["mig:3g.40gb @1"]).done();
    let said = site.divvy(&["claims"]).done().stdout;
    let mut lines = said.lines().map(|line| line.split("  ").map(str::trim));
    let heading: Vec<&str> = lines.next().unwrap().filter(|cell| !cell.is_empty()).collect();
    assert_eq!(heading, ["CLAIM", "PHASE", "REQUEST", "DEVICE", "AGE", "OWNER"]);
    let row: Vec<&str> = lines.next().unwrap().filter(|cell| !cell.is_empty()).collect();
    assert_eq!(row[3], "3g.40gb on GPU 1");
    assert!(row[4].ends_with(" s"), "{said}");
    // Without a driver its UUID stands for the GPU.
    let mut blind = site.command(&["claims"]);
    let said = stdout(blind.env("DIVVY_NVML_LIBRARY", "/nonexistent").output().unwrap());
    assert!(said.contains("3g.40gb on GPU-"), "{said}");
}

#[test]
fn releases_and_repairs_are_told_to_programs() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    let json = |words: &[&str]| {
        let mut said = site.divvy(&[words, &["--output", "json"]].concat());
        said.stderr.clear();
        said.done().json()
    };
    let nothing = json!({"released": [], "retired": [], "absent": [], "in_use": [], "failed": []});
    assert_eq!(json(&["reconcile"]), nothing);
    site.prepare("job", &["mig:3g.40gb"]).done();
    let would = json(&["release", "--dry-run", "job"]);
    assert_eq!(would["release"][0]["claim"], "job");
    assert!(would["release"][0]["undo"][0].as_str().unwrap().starts_with("remove its capability"));
    let released = json(&["release", "job", "none"]);
    assert_eq!(released["released"], json!(["job"]));
    assert_eq!(released["absent"], json!(["none"]));
    site.prepare("old", &["mig:3g.40gb"]).done();
    site.node.change("reboot", &[]);
    let would = json(&["reconcile", "--dry-run"]);
    assert_eq!(would, json!({"release": ["old"], "retire": []}));
    assert_eq!(json(&["reconcile"])["released"], json!(["old"]));
}

#[test]
fn what_is_in_use_is_told_on_stdout_as_an_answer() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    site.prepare("job", &["mig:3g.40gb"]).done();
    let shown = site.node.change("show", &[]);
    let gi = shown.split(" gi ").nth(1).unwrap().lines().next().unwrap().to_owned();
    site.node.change("process", &[&format!("0:{gi}:0"), "add", "4711"]);
    let release = site.divvy(&["release", "job", "--output", "json"]).done();
    assert_eq!(release.json()["in_use"][0]["claim"], "job");
    assert_eq!(release.json()["in_use"][0]["pids"], json!([4711]));
    let said = site.reconcile().done().stdout;
    assert!(said.starts_with("claim job stays: "), "{said}");
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    let absent = site.node.dir().join("nope");
    let file = absent.join("x.yaml");
    let file = file.to_str().unwrap();
    for words in [&["metrics", "--output-file", file][..], &["cdi", "generate", "--output", file]] {
        let said = site.divvy(words).failed(1);
        assert!(said.contains(&format!("there is no folder {}", absent.display())), "{said}");
        assert!(!absent.exists());
    }
}

#[test]
fn a_generated_spec_is_told_and_so_is_one_that_engines_pass_over() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    let folder = site.node.dir().join("cdi");
    fs::remove_dir(&folder).unwrap();
    // Only the engines' folder is made.
    let file = folder.join("all.yaml");
    let said = site.divvy(&["cdi", "generate", "--output", file.to_str().unwrap()]).done().stderr;
    assert!(said.contains(&format!("{} has 3 devices", file.display())), "{said}");
    let mut generate = site.command(&["cdi", "generate", "--output", "out.txt"]);
    let output = generate.current_dir(&folder).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("engines pass over out.txt"), "{said}");
}

#[test]
fn a_file_in_the_cdi_folder_s_place_keeps_nothing_from_being_undone() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    let folder = site.node.dir().join("cdi");
    fs::remove_dir(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    site.divvy(&["prepare", "--claim", "job", "mig:3g.40gb"]).failed(1);
    assert_eq!(site.phases(), []);
}

#[test]
fn what_is_free_isn_t_told_where_mig_mode_is_off() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    let said = site.divvy(&["mig", "profiles"]).done().stdout;
    let row: Vec<&str> = said.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!(row[6], "-", "{said}");
}

#[test]
fn a_simulated_node_says_that_its_mps_is_none() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    for request in ["mps", "mps:threads=25"] {
        let said = site.divvy(&["prepare", request]).failed(1);
        assert!(said.contains("MPS isn't simulated on this node"), "{said}");
        assert!(!said.contains("this driver's"), "{said}");
    }
}
