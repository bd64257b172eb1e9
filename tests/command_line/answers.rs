//! What commands answer, to people and to programs, where something isn't as it should be.

use super::stdout;
use crate::claims::site::Site;
use std::fs::File;

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
