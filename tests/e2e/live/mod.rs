//! Live injection: a CDI device of a request and nothing else, neither precreate nor the wrapper. The container is
//! created already when it gets what it asks for, and opens that and nothing else.

mod refused;
mod user_namespace;

use super::site::{assert_all_gone, assert_mps, assert_one_device, look, site};
use super::{Bed, RUNTIMES, lacks_capability, with_each_daemon, with_each_podman};

/// A name of each mode, whether it is a MIG device, and the threads of an MPS client.
const MODES: [(&str, bool, Option<u8>); 6] = [
    ("exclusive", false, None),
    ("time-slicing", false, None),
    ("mps-25", false, Some(25)),
    ("mig-1g.10gb", true, None),
    ("mig-2g.20gb.time-slicing", true, None),
    ("mig-3g.40gb.mps-50", true, Some(50)),
];

#[track_caller]
fn assert_served(bed: &mut Bed, what: &str, seen: &str, (mig, threads): (bool, Option<u8>)) {
    assert_one_device(what, seen, mig);
    match threads {
        Some(_) => assert_mps(what, seen, threads),
        None => assert!(!seen.contains("MPS"), "{what}:\n{seen}"),
    }
    assert_all_gone(bed, what);
}

with_each_podman!(podman_serves);

fn podman_serves(mut bed: Bed, runtime: &str) {
    site(&mut bed);
    look(&bed);
    for (name, mig, threads) in MODES {
        let ran = bed.run(&format!(
            "podman --runtime {runtime} run --rm --cap-add mknod --device divvy/gpu={name} \
             -v /bed/look.sh:/look.sh:ro --rootfs $IMAGES/debian:O bash /look.sh 2>&1"
        ));
        if lacks_capability(&ran) {
            return;
        }
        assert_served(&mut bed, name, &ran.ok(), (mig, threads));
    }
}

with_each_podman!(podman_in_a_chroot_serves);

/// Whoever comes back from a container's mount namespace is at the root of his own, where the engine may not be.
fn podman_in_a_chroot_serves(mut bed: Bed, runtime: &str) {
    site(&mut bed);
    let ran = bed.run(&format!(
        "set -e; mkdir -p /jail /node/state; mount --rbind / /jail; mount -t tmpfs -o mode=711 tmpfs /jail/node/state
         exec 2>&1; chroot /jail podman --runtime {runtime} run --rm --device divvy/gpu=time-slicing \
           --rootfs $IMAGES/busybox:O ls -d /dev/nvidia0
         chroot /jail divvy claims; ls -A /node/state"
    ));
    if !lacks_capability(&ran) {
        let said = ran.ok();
        assert!(said.ends_with("/dev/nvidia0\nno claims\n"), "{said}");
    }
}

with_each_daemon!(containerd_serves);

fn containerd_serves(mut bed: Bed) {
    site(&mut bed);
    look(&bed);
    bed.engines();
    bed.run("containerd_up").ok();
    for (at, (name, mig, threads)) in MODES.into_iter().enumerate() {
        let runtime = RUNTIMES[at % 2];
        let ran = bed.run(&format!(
            "set -e; ids=$(cri start --handler {runtime} --device divvy/gpu={name} \
               --mount /bed/look.sh:/look.sh localhost/debian:1 sleep 1000)
             cri exec ${{ids#* }} bash /look.sh 2>&1; cri stop ${{ids% *}}"
        ));
        assert_served(&mut bed, &format!("{runtime} {name}"), &ran.ok(), (mig, threads));
    }
}

with_each_daemon!(docker_serves);

fn docker_serves(mut bed: Bed) {
    site(&mut bed);
    look(&bed);
    bed.engines();
    bed.run("docker_up").ok();
    for (at, (name, mig, threads)) in MODES.into_iter().enumerate() {
        let runtime = RUNTIMES[at % 2];
        let ran = bed.run(&format!(
            "docker run --rm --network none --runtime {runtime} --cap-add mknod --device divvy/gpu={name} \
             -v /bed/look.sh:/look.sh:ro localhost/debian:1 bash /look.sh 2>&1"
        ));
        assert_served(&mut bed, &format!("{runtime} {name}"), &ran.ok(), (mig, threads));
    }
}
