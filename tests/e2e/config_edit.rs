//! Requests served before a container is created: by podman's precreate and by divvy-runtime, on nodes whose GPUs
//! divvy manages. The engines know the devices then: each container opens what it was granted and nothing else.

use super::site::{Road, assert_all_gone, assert_one_device, look};
use super::{Bed, in_each_bed, lacks_capability, with_each_daemon, with_each_podman};

/// By CDI name and by annotation, in every mode that needs no daemon.
const WAYS: [(&str, bool); 5] = [
    ("--device divvy/gpu=mig-1g.10gb", true),
    ("--annotation divvy.request=mig:1g.10gb", true),
    ("--device divvy/gpu=mig-2g.20gb.time-slicing", true),
    ("--device divvy/gpu=time-slicing", false),
    ("--annotation divvy.request=exclusive", false),
];

with_each_podman!(podman_precreate_serves);

fn podman_precreate_serves(mut bed: Bed, runtime: &str) {
    let podman = Road::Precreate.podman(&mut bed, runtime);
    look(&bed);
    for (way, mig) in WAYS {
        let ran = bed.run(&format!(
            "{podman} run --rm --cap-add mknod {way} -v /bed/look.sh:/look.sh:ro \
             --rootfs $IMAGES/debian:O bash /look.sh 2>&1"
        ));
        if lacks_capability(&ran) {
            return;
        }
        assert_one_device(way, &ran.ok(), mig);
        assert_all_gone(&mut bed, way);
    }
}

in_each_bed!(a_refusal_in_precreate_reaches_people: trixie_runc = Trixie V1 "runc", trixie_crun = Trixie V1 "crun", bookworm_runc = Bookworm V1 "runc");

fn a_refusal_in_precreate_reaches_people(mut bed: Bed, runtime: &str) {
    let podman = Road::Precreate.podman(&mut bed, runtime);
    let run = |way: &str| format!("{podman} run --rm {way} --rootfs $IMAGES/busybox:O true 2>&1");
    let ran = bed.run(&run("--annotation 'divvy.request=exclusive @7'"));
    assert_eq!(ran.code, 126, "{ran}");
    if runtime == "runc" {
        assert!(ran.stdout.contains("no GPU here is 7"), "{ran}");
    }
    let wrong = bed.run(&run("--annotation divvy.request=mpz"));
    assert_ne!(wrong.code, 0, "{wrong}");
    let kept = bed.run("cat /node/state/refused/*.json").ok();
    assert!(kept.contains("no GPU here is 7") && kept.contains("is 'mps' meant?"), "{kept}");
    assert_all_gone(&mut bed, "refused");
}

in_each_bed!(others_pass_through_precreate: trixie = Trixie V1);

fn others_pass_through_precreate(mut bed: Bed) {
    Road::Precreate.podman(&mut bed, "runc");
    let ran = bed
        .run("podman run --rm --rootfs $IMAGES/busybox:O sh -c 'echo alive; ls /dev/nvidia* 2>&1'");
    assert!(ran.stdout.starts_with("alive"), "{ran}");
}

with_each_daemon!(containerd_runtime_serves);

fn containerd_runtime_serves(mut bed: Bed) {
    Road::Wrapper.daemon(&mut bed, "containerd");
    look(&bed);
    for (way, mig) in
        [("--device divvy/gpu=mig-1g.10gb", true), ("--device divvy/gpu=exclusive", false)]
    {
        let ran = bed.run(&format!(
            "set -e; ids=$(cri start --handler divvy {way} --mount /bed/look.sh:/look.sh \
             localhost/debian:1 sleep 1000); cri exec ${{ids#* }} bash /look.sh 2>&1; cri stop ${{ids% *}}"
        ));
        assert_one_device(way, &ran.ok(), mig);
        assert_all_gone(&mut bed, way);
    }
    let refused = bed.run(
        "cri start --handler divvy --annotation divvy.request/test=mps localhost/debian:1 sleep 1",
    );
    assert!(refused.code != 0 && refused.stderr.contains("from-pod-annotations"), "{refused}");
    let refused = bed.run(
        "cri start --handler divvy --device divvy/gpu=mig-7g.80gb --device divvy/gpu=exclusive \
        --device divvy/gpu=mig-4g.40gb localhost/debian:1 sleep 1",
    );
    assert!(refused.code != 0 && refused.stderr.contains("is refused"), "{refused}");
    assert_all_gone(&mut bed, "refused");
}

with_each_daemon!(docker_runtime_serves);

fn docker_runtime_serves(mut bed: Bed) {
    Road::Wrapper.daemon(&mut bed, "docker");
    look(&bed);
    for (way, mig) in WAYS {
        let ran = bed.run(&format!(
            "docker run --rm --network none --runtime divvy --cap-add mknod {way} \
             -v /bed/look.sh:/look.sh:ro localhost/debian:1 bash /look.sh 2>&1"
        ));
        assert_one_device(way, &ran.ok(), mig);
        assert_all_gone(&mut bed, way);
    }
    let refused = bed.run("docker run --rm --network none --runtime divvy --annotation 'divvy.request=exclusive @7' localhost/debian:1 true");
    assert!(refused.code != 0 && refused.stderr.contains("no GPU here is 7"), "{refused}");
    assert_all_gone(&mut bed, "refused");
}
