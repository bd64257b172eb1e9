//! The ground that the other tests stand on, shown by specs written by hand: without a driver, opening
//! a GPU's node answers ENXIO where the container may open it and EPERM where it may not, and every
//! engine resolves a CDI device in every bed.

use super::{Bed, RUNTIMES, lacks_capability, with_each_daemon, with_each_podman};

const SPEC: &str = r#"
mkdir -p /etc/cdi /node
for minor in 0 1; do mknod -m 666 /node/nvidia$minor c 195 $minor; done
cat >/etc/cdi/ground.json <<'EOF'
{"cdiVersion": "0.5.0", "kind": "ground.test/gpu", "devices": [{"name": "0", "containerEdits": {
  "env": ["GROUND=1"], "deviceNodes": [{"path": "/dev/nvidia0", "hostPath": "/node/nvidia0"}]}}]}
EOF
"#;

/// Run in the container: its own node, and another that it makes itself.
const LOOK: &str =
    "echo GROUND=$GROUND; cat /dev/nvidia0; mknod /dev/nvidia1 c 195 1; cat /dev/nvidia1; true";

const SEEN: [&str; 3] = [
    "GROUND=1",
    "/dev/nvidia0: No such device or address",
    "/dev/nvidia1: Operation not permitted",
];

#[track_caller]
fn assert_seen(what: &str, seen: &str) {
    for line in SEEN {
        assert!(seen.contains(line), "{what}: no `{line}` in\n{seen}");
    }
}

with_each_podman!(podman_isolates);

fn podman_isolates(mut bed: Bed, runtime: &str) {
    bed.run(SPEC).ok();
    let ran = bed.run(&format!(
        "podman --runtime {runtime} run --rm --cap-add mknod --device ground.test/gpu=0 \
         --rootfs $IMAGES/debian:O sh -c '{LOOK}' 2>&1"
    ));
    if !lacks_capability(&ran) {
        assert_seen(runtime, &ran.ok());
    }
}

with_each_daemon!(containerd_isolates);

fn containerd_isolates(mut bed: Bed) {
    bed.run(SPEC).ok();
    bed.engines();
    bed.run("containerd_up").ok();
    for runtime in RUNTIMES {
        let ran = bed.run(&format!(
            "set -e; ids=$(cri start --handler {runtime} --device ground.test/gpu=0 localhost/debian:1 sleep 1000)
             cri exec ${{ids#* }} sh -c '{LOOK}' 2>&1; cri stop ${{ids% *}}"
        ));
        assert_seen(runtime, &ran.ok());
    }
    let refused = bed.run("cri start --device ground.test/gpu=none localhost/debian:1 true");
    assert!(refused.stderr.contains("unresolvable CDI devices ground.test/gpu=none"), "{refused}");
}

with_each_daemon!(docker_isolates);

fn docker_isolates(mut bed: Bed) {
    bed.run(SPEC).ok();
    bed.engines();
    bed.run("docker_up").ok();
    for runtime in RUNTIMES {
        let ran = bed.run(&format!(
            "docker run --rm --network none --runtime {runtime} --device ground.test/gpu=0 \
             localhost/debian:1 sh -c '{LOOK}' 2>&1"
        ));
        assert_seen(runtime, &ran.ok());
    }
}
