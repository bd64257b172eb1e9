use super::*;
use crate::labels::resource::family;

#[test]
fn families_are_those_of_cudas_table() {
    // CUDA's list of GPUs and their compute capabilities: V100, T4, A100, A10, L4, H100, B200, RTX PRO 6000.
    let cases = [
        ((6, 1), "pascal"),
        ((7, 0), "volta"),
        ((7, 5), "turing"),
        ((8, 0), "ampere"),
        ((8, 6), "ampere"),
        ((8, 9), "ada-lovelace"),
        ((9, 0), "hopper"),
        ((10, 0), "blackwell"),
        ((12, 0), "blackwell"),
        ((42, 0), "undefined"),
    ];
    for ((major, minor), expected) in cases {
        assert_eq!(family(major, minor), expected, "{major}.{minor}");
    }
}

#[test]
fn a_value_has_only_what_kubernetes_takes() {
    assert_eq!(plain("NVIDIA H100 80GB HBM3"), "NVIDIA-H100-80GB-HBM3");
    assert_eq!(plain("  Some/Thing (R)  rev_2.1\t"), "SomeThing-R-rev_2.1");
    assert_eq!(plain("機械"), "");
}

#[test]
fn a_value_that_kubernetes_will_not_take_is_told() {
    let mut labels = Labels::default();
    labels.put("gpu.product", "x".repeat(MAX_VALUE));
    labels.note_long_values();
    assert!(labels.notes.is_empty());
    labels.put("gpu.product", "x".repeat(MAX_VALUE + 1));
    labels.note_long_values();
    assert_eq!(labels.notes.len(), 1);
}
