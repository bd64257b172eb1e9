//! What commands answer, to people and to programs, where something isn't as it should be.

use crate::claims::site::Site;

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
