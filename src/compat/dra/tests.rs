use super::*;
use crate::request::Requests;
use std::path::Path;

fn parse(text: &str) -> Result<Requests, ReadError> {
    read(text, Path::new("claim.yaml"), None)
}

fn requests(text: &str) -> String {
    parse(text).unwrap_or_else(|error| panic!("{error}\n{text}")).to_string()
}

/// A claim with these requests, in the form of `v1`, and these configurations.
fn claim(requests: &[&str], configs: &[&str]) -> String {
    let mut text = "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata:\n  name: c\nspec:\n  devices:\n    requests:\n".to_owned();
    for (n, request) in requests.iter().enumerate() {
        text.push_str(&format!("    - name: r{n}\n      exactly: {request}\n"));
    }
    if !configs.is_empty() {
        text.push_str("    config:\n");
    }
    for config in configs {
        text.push_str(&format!("    - {config}\n"));
    }
    text
}

const GPU: &str = "{deviceClassName: gpu.nvidia.com}";

fn mig(profile: &str) -> String {
    format!(
        "{{deviceClassName: mig.nvidia.com, selectors: [{{cel: {{expression: \"device.attributes['gpu.nvidia.com'].profile == '{profile}'\"}}}}]}}"
    )
}

fn config(requests: &str, kind: &str, sharing: &str) -> String {
    format!(
        "{{requests: {requests}, opaque: {{driver: gpu.nvidia.com, parameters: {{apiVersion: resource.nvidia.com/v1beta1, kind: {kind}, sharing: {sharing}}}}}}}"
    )
}

#[test]
fn claims_of_every_version_are_requests() {
    assert_eq!(requests(&claim(&[GPU, &mig("1g.10gb")], &[])), "exclusive; mig:1g.10gb");
    let v1beta1 = "apiVersion: resource.k8s.io/v1beta1\nkind: ResourceClaim\nspec:\n  devices:\n    requests:\n    - name: a\n      deviceClassName: gpu.nvidia.com\n      allocationMode: ExactCount\n      count: 2\nstatus: {allocation: {}}\n";
    assert_eq!(requests(v1beta1), "2x exclusive");
    let v1beta2 = v1beta1.replace("v1beta1", "v1beta2").replace(
        "      deviceClassName: gpu.nvidia.com\n      allocationMode: ExactCount\n      count: 2\n",
        "      exactly: {deviceClassName: gpu.nvidia.com, count: 3}\n",
    );
    assert_eq!(requests(&v1beta2), "3x exclusive");
    let template = claim(&[GPU], &[]).replace("ResourceClaim", "ResourceClaimTemplate").replace("spec:\n  devices:\n    requests:\n    - name: r0\n      exactly:", "spec:\n  metadata: {labels: {a: b}}\n  spec:\n    devices:\n      requests:\n      - name: r0\n        exactly:");
    assert_eq!(requests(&template), "exclusive");
}

#[test]
fn selectors_choose_gpus() {
    let with = |expression: &str| {
        format!(
            "{{deviceClassName: gpu.nvidia.com, selectors: [{{cel: {{expression: \"{expression}\"}}}}]}}"
        )
    };
    let product =
        with("device.attributes['gpu.nvidia.com'].productName == 'NVIDIA H100 80GB HBM3'");
    assert_eq!(requests(&claim(&[&product], &[])), "exclusive @NVIDIA H100 80GB HBM3");
    let uuid = with(
        "device.attributes['gpu.nvidia.com'].uuid == 'GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c'",
    );
    assert_eq!(
        requests(&claim(&[&uuid], &[])),
        "exclusive @GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c"
    );
}

#[test]
fn the_last_configuration_for_a_request_holds() {
    let slicing =
        config("[]", "GpuConfig", "{strategy: TimeSlicing, timeSlicingConfig: {interval: Long}}");
    let mps = config(
        "[r1]",
        "GpuConfig",
        "{strategy: MPS, mpsConfig: {defaultActiveThreadPercentage: 50, defaultPinnedDeviceMemoryLimit: 10Gi, defaultPerDevicePinnedMemoryLimit: {'0': 5Gi}}}",
    );
    let on_mig = config(
        "[]",
        "MigDeviceConfig",
        "{strategy: MPS, mpsConfig: {defaultActiveThreadPercentage: 25}}",
    );
    assert_eq!(
        requests(&claim(&[GPU, GPU, &mig("3g.40gb")], &[&slicing, &mps, &on_mig])),
        "time-slicing:interval=long; mps:threads=50,memory=5Gi; mig:3g.40gb/mps:threads=25"
    );
    let by_turns = config("[r0]", "MigDeviceConfig", "{strategy: TimeSlicing}");
    assert_eq!(requests(&claim(&[&mig("3g.40gb")], &[&by_turns])), "mig:3g.40gb/time-slicing");
}

#[test]
fn a_gpu_config_alone_is_a_request() {
    let alone = |sharing: &str| {
        requests(&format!("apiVersion: resource.nvidia.com/v1beta1\nkind: GpuConfig\n{sharing}"))
    };
    assert_eq!(alone(""), "exclusive");
    assert_eq!(
        alone("sharing: {strategy: TimeSlicing, timeSlicingConfig: {interval: Short}}\n"),
        "time-slicing:interval=short"
    );
    assert_eq!(
        alone("sharing: {strategy: MPS, mpsConfig: {defaultPinnedDeviceMemoryLimit: 4G}}\n"),
        "mps:memory=3814Mi"
    );
    assert_eq!(alone("sharing: {strategy: MPS}\n"), "mps");
}

#[test]
fn one_of_several_claims_is_chosen_by_name() {
    let two = format!(
        "{}---\n{}",
        claim(&[GPU], &[]),
        claim(&[&mig("1g.10gb")], &[]).replace("name: c", "name: d")
    );
    assert!(
        parse(&two)
            .unwrap_err()
            .to_string()
            .contains("the claims c, d: choose one with --manifest")
    );
    let chosen = |name| read(&two, Path::new("x"), Some(name)).map(|requests| requests.to_string());
    assert_eq!(chosen("d").unwrap(), "mig:1g.10gb");
    assert!(matches!(chosen("e"), Err(ReadError::Unknown { .. })));
}

#[test]
fn what_is_not_done_is_refused_where_it_stands() {
    let shown: Vec<String> = [requests_not_done(), configurations_not_done()]
        .concat()
        .iter()
        .map(|text| {
            let what: Vec<&str> = text.lines().skip(7).collect();
            format!("{}\n=> {}\n", what.join("\n"), parse(text).unwrap_err())
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

fn requests_not_done() -> Vec<String> {
    vec![
        claim(&["{deviceClassName: tpu.google.com}"], &[]),
        claim(&["{deviceClassName: mig.nvidia.com}"], &[]),
        claim(&[&mig("big")], &[]),
        claim(
            &[
                "{deviceClassName: gpu.nvidia.com, selectors: [{cel: {expression: \"device.attributes['gpu.nvidia.com'].brand == 'Tesla'\"}}]}",
            ],
            &[],
        ),
        claim(&["{deviceClassName: gpu.nvidia.com, allocationMode: All}"], &[]),
        claim(&["{deviceClassName: gpu.nvidia.com, adminAccess: true}"], &[]),
        claim(&["{deviceClassName: gpu.nvidia.com, count: 65}"], &[]),
        claim(&["{deviceClassname: gpu.nvidia.com}"], &[]),
        claim(&[GPU], &[])
            .replace("exactly: {deviceClassName: gpu.nvidia.com}", "firstAvailable: [{name: x}]"),
        claim(&[GPU], &[]) + "    constraints: [{matchAttribute: gpu.nvidia.com/parentUUID}]\n",
    ]
}

fn configurations_not_done() -> Vec<String> {
    let mps = |config: &str| format!("{{strategy: MPS, mpsConfig: {config}}}");
    vec![
        claim(&[GPU], &[&config("[r7]", "GpuConfig", "{strategy: MPS}")]),
        claim(&[GPU], &[&config("[r0]", "MigDeviceConfig", "{strategy: MPS}")]),
        claim(&[GPU], &[&config("[]", "GpuConfig", "{strategy: TimeSharing}")]),
        claim(
            &[GPU],
            &[&config(
                "[]",
                "GpuConfig",
                "{strategy: TimeSlicing, timeSlicingConfig: {interval: long}}",
            )],
        ),
        claim(&[GPU], &[&config("[]", "GpuConfig", "{strategy: TimeSlicing, mpsConfig: {}}")]),
        claim(&[GPU], &[&config("[]", "GpuConfig", &mps("{defaultActiveThreadPercentage: 0}"))]),
        claim(
            &[GPU],
            &[&config("[]", "GpuConfig", &mps("{defaultPinnedDeviceMemoryLimit: 10GB}"))],
        ),
        claim(
            &[GPU],
            &[&config("[]", "GpuConfig", &mps("{defaultPerDevicePinnedMemoryLimit: {'1': 1Gi}}"))],
        ),
        claim(
            &["{deviceClassName: gpu.nvidia.com, count: 2}"],
            &[&config("[]", "GpuConfig", &mps("{defaultPerDevicePinnedMemoryLimit: {'1': 1Gi}}"))],
        ),
        claim(&[GPU], &[&config("[]", "GpuConfig", &mps("{multiUser: true}"))]),
        claim(
            &[&mig("1g.10gb")],
            &[&config(
                "[]",
                "MigDeviceConfig",
                "{strategy: TimeSlicing, timeSlicingConfig: {interval: Long}}",
            )],
        ),
        claim(
            &[GPU],
            &[&config("[]", "GpuConfig", "{strategy: MPS}")
                .replace("driver: gpu.nvidia.com", "driver: compute-domain.nvidia.com")],
        ),
        "kind: MigDeviceConfig\napiVersion: resource.nvidia.com/v1beta1\n".to_owned(),
        "kind: Deployment\n".to_owned(),
        claim(&[], &[]),
    ]
}
