//! What live injection can't give: the container fails, and a person is told why.

use super::{Bed, assert_all_gone, site};
use crate::e2e::in_each_bed;

in_each_bed!(what_cannot_be_given_fails_the_container:
    trixie_runc = Trixie V1 "runc", trixie_crun = Trixie V2 "crun", sid_runc = Sid V2 "runc",
    bookworm_crun = Bookworm V1 "crun",
);

/// What is asked for or mounted beside a device, and what is said of it.
const REFUSED: [(&str, &str); 8] = [
    (
        "--device divvy/gpu=exclusive --cgroup-parent /machine.scope",
        "belongs to systemd, which would take the devices away again at any reload",
    ),
    // Both GPUs are not enough.
    (
        "--device divvy/gpu=exclusive --device divvy/gpu=time-slicing --device divvy/gpu=mps-25",
        "is refused",
    ),
    // Its CDI device lacks a variable.
    (
        "--device bare.test/gpu=mps-25",
        "can't be set in a container that is already created: let divvy edit its configuration instead, with `divvy runtime configure`",
    ),
    ("--device divvy/gpu=exclusive --annotation divvy.request=mpz", "is 'mps' meant?"),
    ("--device divvy/gpu=exclusive --annotation divvy.claim=other", "claim other is gone"),
    ("--device divvy/gpu=mig-1g.10gb -v /dev:/dev", "is the host's own, mounted into it"),
    (
        "--device divvy/gpu=mig-1g.10gb --tmpfs /dev/nvidia-caps",
        "is on a mount with the option nodev",
    ),
    // Leads to the host's /tmp, were it followed.
    ("--device divvy/gpu=mps-25 --rootfs /linked", "/tmp/nvidia-mps"),
];

fn what_cannot_be_given_fails_the_container(mut bed: Bed, runtime: &str) {
    site(&mut bed);
    bed.run(
        "sed 's#divvy/gpu#bare.test/gpu#; s#CUDA_MPS_ACTIVE_THREAD_PERCENTAGE#OTHER#' /etc/cdi/divvy-requests.json >/etc/cdi/bare.json
         cp -a $IMAGES/busybox /linked && mkdir -p /tmp/escape && ls -A /dev >/dev.before
         rm -rf /linked/tmp/nvidia-mps && ln -s /proc/1/root/tmp/escape /linked/tmp/nvidia-mps",
    )
    .ok();
    for (what, words) in REFUSED {
        let rootfs =
            if what.contains("--rootfs") { "true" } else { "--rootfs $IMAGES/busybox:O true" };
        let ran = bed.run(&format!("podman --runtime {runtime} run --rm {what} {rootfs} 2>&1"));
        assert_ne!(ran.code, 0, "{what}: {ran}");
        if runtime == "runc" {
            assert!(ran.stdout.contains(words), "{what}: {ran}");
        }
        let kept = bed.run("cat /node/state/refused/*.json; rm -r /node/state/refused").ok();
        assert!(kept.contains(words), "{what}: {kept}");
        assert_all_gone(&mut bed, what);
    }
    // The host has nothing of it.
    let host =
        bed.run("ls -A /tmp/escape; grep escape /proc/mounts; ls -A /dev | diff /dev.before -");
    assert_eq!(host.stdout, "", "{host}");
}
