//! The node as the driver tells of it, through the real dynamic linker.

use crate::common::library;
use divvy::host::Host;
use divvy::inventory::{self, InventoryError, Scope};
use divvy::nvml::{Code, NvmlError, Session};
use std::fs;
use std::path::Path;

#[test]
fn a_library_that_is_not_there_is_named() {
    let error = Session::open(Some(Path::new("/nowhere/libnvidia-ml.so.1"))).unwrap_err();
    assert!(matches!(error, NvmlError::Library { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("/nowhere/libnvidia-ml.so.1") && text.contains("--nvml-library"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_no_library_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "not an ELF object").unwrap();
    let error = Session::open(Some(file.path())).unwrap_err();
    assert!(matches!(error, NvmlError::Library { .. }), "{error:?}");
}

#[test]
fn another_library_is_not_taken_for_nvml() {
    let error = Session::open(Some(Path::new("libc.so.6"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "libc.so.6 is not an NVML library: it has no function nvmlInit_v2; name the driver's libnvidia-ml.so.1"
    );
}

#[test]
fn what_initialisation_answers_is_told_apart() {
    for (raw, code, words) in [
        (9, Code::DriverNotLoaded, "modprobe nvidia"),
        (4, Code::NoPermission, "run as root"),
        (10, Code::Timeout, "try again"),
        (12345, Code::Other(12345), "NVML error 12345"),
    ] {
        let nvml = library::build(&format!("unsigned nvmlInit_v2(void) {{ return {raw}; }}"));
        let error = Session::open(Some(&nvml.path)).unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn driver_and_library_of_different_versions_are_both_named() {
    let nvml = library::build(
        "#include <string.h>
         unsigned nvmlInit_v2(void) { return 18; }
         unsigned nvmlSystemGetNVMLVersion(char *out, unsigned n) { strncpy(out, \"12.535.247.01\", n); return 0; }",
    );
    let proc = tempfile::tempdir().unwrap();
    fs::create_dir_all(proc.path().join("driver/nvidia")).unwrap();
    let version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025\n";
    fs::write(proc.path().join("driver/nvidia/version"), version).unwrap();
    let host = Host {
        nvml_library: Some(nvml.path.clone()),
        proc_root: proc.path().into(),
        ..Host::default()
    };
    let expected = NvmlError::VersionMismatch {
        driver: Some("550.163.01".into()),
        library: Some("535.247.01".into()),
    };
    assert_eq!(inventory::open(&host).unwrap_err(), expected);
}

#[test]
fn a_library_with_one_function_answers_that_it_cannot_and_closes_in_peace() {
    // No nvmlShutdown either: closing the session must not mind.
    let nvml = library::build("unsigned nvmlInit_v2(void) { return 0; }");
    let session = Session::open(Some(&nvml.path)).unwrap();
    match inventory::read(&session, Scope::Full) {
        Err(InventoryError::Nvml(error)) => {
            assert!(error.is_unsupported(), "{error}");
            assert!(error.to_string().contains("nvmlSystemGetDriverVersion"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    drop(session);
}

#[test]
fn a_machine_without_gpus_has_none() {
    let nvml = library::build(
        "#include <string.h>
         unsigned nvmlInit_v2(void) { return 28; }
         unsigned nvmlInitWithFlags(unsigned flags) { return flags == 1 ? 0 : 28; }
         unsigned nvmlSystemGetDriverVersion(char *out, unsigned n) { strncpy(out, \"550.163.01\", n); return 0; }
         unsigned nvmlSystemGetCudaDriverVersion(int *out) { *out = 12040; return 0; }
         unsigned nvmlDeviceGetCount_v2(unsigned *out) { *out = 0; return 0; }",
    );
    let session = Session::open(Some(&nvml.path)).unwrap();
    let inventory = inventory::read(&session, Scope::Full).unwrap();
    assert_eq!(inventory.cuda_version, (12, 4));
    assert!(inventory.gpus.is_empty() && inventory.unusable.is_empty());
}
