use super::*;

fn faults(text: &str) -> Faults {
    Faults::new(Fault::list(text).unwrap())
}

#[test]
fn the_nth_call_of_a_symbol_fails() {
    let mut faults = faults("nvmlDeviceGetName:2:15");
    let mut name = || faults.count("nvmlDeviceGetName", false);
    assert_eq!([name(), name(), name()], [None, Some(Effect::Error(Code::GPU_IS_LOST)), None]);
}

#[test]
fn a_star_counts_what_changes_something() {
    let mut faults = faults("*:2:abort");
    assert_eq!(faults.count("nvmlDeviceSetMigMode", true), None);
    assert_eq!(faults.count("nvmlDeviceGetName", false), None);
    assert_eq!(faults.count("nvmlDeviceCreateGpuInstance", true), Some(Effect::Abort));
    assert_eq!(faults.count("nvmlDeviceGetName", false), None);
}

#[test]
fn a_call_may_act_and_fail() {
    let mut faults = faults("nvmlDeviceSetMigMode:1:10:after");
    let timeout = Effect::ErrorAfter(Code::TIMEOUT);
    assert_eq!(faults.count("nvmlDeviceSetMigMode", true), Some(timeout));
}

#[test]
fn lists_are_by_commas_or_lines_with_comments() {
    let listed = Fault::list("a:1:9, b:2:after # why\n\n# nothing\nc:3:abort\n").unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(
        Fault::abort_list("a:1,b:2:after").unwrap(),
        Fault::list("a:1:abort,b:2:after").unwrap()
    );
}

#[test]
fn what_is_no_fault_is_named() {
    for text in [
        "a",
        "a:1",
        "a:0:9",
        "a:x:9",
        "a:1:soon",
        ":1:9",
        "a:1:9:9",
        "a:1:abort:after",
        "a:1:9:after:9",
    ] {
        assert!(Fault::list(text).unwrap_err().contains(text), "{text}");
    }
}
