//! `divvy-hook create-container` where the engines make it hard.

use super::{Bed, lacks_capability, with_each_podman};

/// A simulated node with its spec, and Debian as an image of podman's.
fn prepare(bed: &mut Bed) {
    bed.node("--gpu H100-80GB:2");
    bed.run("divvy cdi generate --no-additional-gids --output /etc/cdi/nvidia.json").ok();
    bed.run("tar -C $IMAGES/debian -c . | podman import -q - localhost/debian:1").ok();
}

with_each_podman!(a_read_only_container_has_its_driver);

/// crun makes the root read-only before the hook, runc after it.
fn a_read_only_container_has_its_driver(mut bed: Bed, runtime: &str) {
    prepare(&mut bed);
    let ran = bed.run(&format!(
        "podman --runtime {runtime} run --rm --read-only --device nvidia.com/gpu=0 localhost/debian:1 \
         sh -c 'readlink /usr/lib/*/libcuda.so.1; ldconfig -p | grep -o \"^.libcuda.so.1 \"; touch /x' 2>&1"
    ));
    if lacks_capability(&ran) {
        return;
    }
    assert!(ran.stdout.contains("libcuda.so.550.163.01\n\tlibcuda.so.1 \n"), "{ran}");
    assert!(ran.stdout.contains("/x': Read-only file system"), "{ran}");
}

with_each_podman!(restarts_leave_nothing_behind);

fn restarts_leave_nothing_behind(mut bed: Bed, runtime: &str) {
    prepare(&mut bed);
    let create = format!(
        "podman --runtime {runtime} create --name restarted --device nvidia.com/gpu=0 localhost/debian:1 true"
    );
    bed.run(&create).ok();
    let start = |bed: &mut Bed| {
        bed.run(&format!(
            "podman --runtime {runtime} start -a restarted && podman diff restarted | sort"
        ))
    };
    let once = start(&mut bed);
    if lacks_capability(&once) {
        return;
    }
    let once = once.ok();
    assert!(once.contains("C /etc/ld.so.cache\n"), "{once}");
    for name in ["divvy-hook", "ld.so.cache~", "/tmp"] {
        assert!(!once.contains(name), "{name} in\n{once}");
    }
    for _ in 0..3 {
        assert_eq!(start(&mut bed).ok(), once);
    }
}
