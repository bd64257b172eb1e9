//! What a terminal gets and a pipe doesn't: colours, tables that fit, and what is being done.

use super::here;
use crate::claims::site::Site;
use std::process::Command;

/// What `divvy WORDS` writes to a terminal of so many columns. `None` where none can be had, which is said.
fn at_terminal(site: &Site, columns: u32, words: &str, env: &[(&str, &str)]) -> Option<String> {
    if !here("script") {
        return None;
    }
    let divvy = env!("CARGO_BIN_EXE_divvy");
    let mut script = Command::new("script");
    script.args(["-qec", &format!("stty cols {columns}; {divvy} {words}"), "/dev/null"]);
    // A run of all tests asks for no colours.
    script.env_remove("NO_COLOR").env("TERM", "xterm").envs(site.node.env());
    let output = script.envs(env.iter().copied()).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n"))
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let site = Site::new(&["--gpu", "H100-80GB:2"]);
    for words in ["status", "doctor"] {
        let Some(coloured) = at_terminal(&site, 100, words, &[]) else { return };
        assert!(coloured.contains("\x1b["), "{words}: {coloured}");
        for no in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let plain = at_terminal(&site, 100, words, &[no]).unwrap();
            assert!(!plain.is_empty() && !plain.contains('\x1b'), "{words} {no:?}: {plain}");
        }
        let piped = site.divvy(&[words]);
        assert!(!piped.stdout.is_empty() && !piped.stdout.contains('\x1b'));
    }
}

#[test]
fn tables_fit_the_terminal_and_stay_whole_in_a_pipe() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    let long = "a-claim-with-a-very-long-name";
    site.prepare(long, &["mig:1g.10gb"]).done();
    let Some(narrow) = at_terminal(&site, 76, "claims", &[]) else { return };
    assert!(narrow.lines().all(|line| line.chars().count() <= 76), "{narrow}");
    assert!(narrow.lines().count() > 2 && narrow.contains(long), "{narrow}");
    assert!(site.divvy(&["claims"]).stdout.contains(long));
}

#[test]
fn what_is_copied_from_a_terminal_is_whole() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    for (claim, request) in [("a", "mig:1g.10gb"), ("b", "mig:3g.40gb/time-slicing")] {
        let words = format!("prepare --claim {claim} {request}");
        let Some(said) = at_terminal(&site, 80, &words, &[]) else { return };
        let granted = site.prepare(claim, &[request]).granted();
        assert!(said.contains(&granted[0]), "{said}");
        let table = said.lines().skip_while(|line| !line.starts_with("REQUEST"));
        assert!(table.clone().all(|line| line.chars().count() <= 80), "{said}");
        assert_eq!(table.count(), 2, "{said}");
    }
    let doctor = at_terminal(&site, 80, "doctor", &[("NO_COLOR", "1")]).unwrap();
    // A path or a command may be longer than the line.
    let fits = |line: &&str| line.chars().count() <= 80 || line.trim().len() > 60;
    assert!(doctor.lines().filter(|line| !fits(line)).count() == 0, "{doctor}");
    assert!(doctor.lines().any(|line| line.starts_with("          ")), "{doctor}");
}

#[test]
fn columns_say_how_wide_a_terminal_is_that_doesn_t() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    let Some(told) = at_terminal(&site, 0, "doctor", &[("COLUMNS", "60")]) else { return };
    let whole = at_terminal(&site, 0, "doctor", &[("COLUMNS", "")]).unwrap();
    assert!(told.lines().count() > whole.lines().count(), "{told}\n{whole}");
}

#[test]
fn a_wait_for_another_process_is_told() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    site.reconcile().done();
    let lock = site.node.dir().join("state/locks/directory");
    let lock = std::fs::File::options().append(true).open(lock).unwrap();
    lock.lock().unwrap();
    let Some(told) = at_terminal(&site, 80, "prepare --wait 2 exclusive || true", &[]) else {
        return;
    };
    let pid = std::process::id();
    let waits = format!("waiting for another divvy process (pid {pid}) …");
    assert_eq!(told.lines().next(), Some(waits.as_str()), "{told}");
    assert!(told.contains("held the state directory for 2 seconds"), "{told}");
    let piped = site.divvy(&["prepare", "--wait", "2", "exclusive"]).failed(4);
    assert_eq!(piped.lines().count(), 1, "{piped}");
}

#[test]
fn what_fails_and_what_is_put_back_is_told_as_that() {
    let site = Site::new(&["--gpu", "H100-80GB", "--managed"]);
    site.node.faults("nvmlDeviceCreateGpuInstanceWithPlacement:1:999\n");
    let told = at_terminal(&site, 80, "prepare --claim job mig:3g.40gb || true", &[]);
    site.node.faults("");
    let Some(told) = told else { return };
    for part in [
        "turning on MIG mode of GPU 0 … 0.",
        "creating GPU instance 3g.40gb on GPU 0 … failed, 0.",
        "restoring MIG mode of GPU 0 … 0.",
    ] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
}

#[test]
fn a_layout_s_steps_are_told() {
    let site = Site::new(&["--gpu", "H100-80GB", "--managed"]);
    let layout = "version: v1\nmig-configs: {x: [{devices: all, mig-enabled: true, mig-devices: {3g.40gb: 1}}]}\n";
    let file = site.node.dir().join("layout.yaml");
    std::fs::write(&file, layout).unwrap();
    let words = format!("mig apply -f {} >/dev/null", file.display());
    let Some(told) = at_terminal(&site, 80, &words, &[]) else { return };
    for part in ["turning on MIG mode of GPU 0 … ", "creating GPU instance 3g.40gb on GPU 0 … "]
    {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
}

#[test]
fn what_is_being_done_is_told_at_a_terminal_alone() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    let told = at_terminal(&site, 80, "prepare --claim job mig:3g.40gb >/dev/null", &[]);
    let Some(told) = told else { return };
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("creating GPU instance 3g.40gb on GPU 0 … "), "{told}");
    assert!(lines.iter().all(|line| line.ends_with(" s")), "{told}");
    assert_eq!(lines.len(), 3, "{told}");
    let told = at_terminal(&site, 80, "release job", &[]).unwrap();
    assert!(told.contains("destroying GPU instance 3g.40gb on GPU 0 … "), "{told}");
    assert_eq!(site.prepare("job", &["mig:3g.40gb"]).done().stderr, "");
    assert_eq!(site.release("job").done().stderr, "");
}
