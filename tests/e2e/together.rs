//! Several containers on one node: who shares, and who is kept apart.

use super::site::{Road, assert_all_gone, look, site};
use super::{Bed, in_each_bed};

in_each_bed!(prod_and_dev_share_a_gpu: trixie = Trixie V1, sid = Sid V2);

/// One H100 for production and for development: two containers, each with a slice made when it starts.
fn prod_and_dev_share_a_gpu(mut bed: Bed) {
    Road::Precreate.podman(&mut bed, "runc");
    look(&bed);
    let run = |name: &str, profile: &str| {
        format!(
            "podman run -d --name {name} --cap-add mknod --device divvy/gpu=mig-{profile} \
             -v /bed/look.sh:/look.sh:ro --rootfs $IMAGES/debian:O sleep 1000 >/dev/null"
        )
    };
    bed.run(&run("prod", "3g.40gb")).ok();
    bed.run(&run("dev", "1g.10gb")).ok();
    let made = bed.run("fake-node show /node | grep -e ' gi ' -e ^GPU").ok();
    let gpu = |profile: &str| {
        let before = made.split(profile).next().unwrap();
        before.rmatches("GPU ").count()
    };
    assert!(made.contains("3g.40gb@") && made.contains("1g.10gb@"), "{made}");
    assert_eq!(
        gpu("3g.40gb@"),
        gpu("1g.10gb@"),
        "the second fills up the first one's GPU:\n{made}"
    );

    let nodes = |bed: &mut Bed, name: &str| {
        let seen = bed.run(&format!("podman exec {name} bash /look.sh")).ok();
        super::site::assert_one_device(name, &seen, true);
        let lines = seen.lines().filter(|line| line.starts_with("node: /dev/nvidia-caps/"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (prod, dev) = (nodes(&mut bed, "prod"), nodes(&mut bed, "dev"));
    assert!(prod.iter().all(|node| !dev.contains(node)), "{prod:?} {dev:?}");
    let others = prod.iter().map(|node| node.trim_start_matches("node: ")).collect::<Vec<_>>();
    for other in others {
        let numbers = format!(
            "$(stat -c '%t %T' /proc/$(podman inspect -f '{{{{.State.Pid}}}}' prod)/root{other})"
        );
        let ran = bed.run(&format!(
            "set -- {numbers}; podman exec dev sh -c \"mknod /tmp/other c $((0x$1)) $((0x$2)); cat /tmp/other; rm /tmp/other\" 2>&1"
        ));
        assert!(ran.stdout.contains("Operation not permitted"), "{ran}");
    }

    bed.run("podman rm -f -t 0 dev").ok();
    let left = bed.run("divvy reconcile >/dev/null; divvy claims; fake-node show /node").ok();
    assert!(left.contains("mig:3g.40gb") && !left.contains("1g.10gb"), "{left}");
    bed.run("podman rm -f -t 0 prod").ok();
    assert_all_gone(&mut bed, "both gone");
}

in_each_bed!(mps_live: trixie_runc = Trixie V1 "runc", sid_crun = Sid V2 "crun", bookworm_crun = Bookworm V1 "crun");
in_each_bed!(mps_precreate: trixie_crun = Trixie V2 "crun", bookworm_runc = Bookworm V1 "runc");
in_each_bed!(mps_wrapper: trixie_crun = Trixie V1 "crun", sid_runc = Sid V2 "runc");

fn mps_live(bed: Bed, runtime: &str) {
    mps(bed, Road::Live, runtime);
}

fn mps_precreate(bed: Bed, runtime: &str) {
    mps(bed, Road::Precreate, runtime);
}

fn mps_wrapper(bed: Bed, runtime: &str) {
    mps(bed, Road::Wrapper, runtime);
}

/// Run in a client: where the pipe directory comes from, what is in it, and what /dev/shm is.
const PIPE: &str = r#"sh -c 'grep " /tmp/nvidia-mps " /proc/self/mountinfo | cut -d" " -f4; ls -x /tmp/nvidia-mps; grep " /dev/shm " /proc/self/mountinfo | grep -o size=.*; touch /dev/shm/own; tr "\0" "\n" </proc/1/environ | grep ^CUDA_MPS | sort'"#;

/// Two clients, one daemon: both see its directory and no more of it than clients need, and it stays until the
/// second has gone. A memory volume of the user's own at /dev/shm stays what it is.
fn mps(mut bed: Bed, road: Road, runtime: &str) {
    let podman = road.podman(&mut bed, runtime);
    for (name, more) in [("one", ""), ("two", "--tmpfs /dev/shm:rw,size=7m")] {
        bed.run(&format!(
            "{podman} run -d --name {name} --device divvy/gpu=mps-25 {more} --rootfs $IMAGES/busybox:O sleep 1000"
        ))
        .ok();
    }
    let pipe = |bed: &mut Bed, name: &str| bed.run(&format!("podman exec {name} {PIPE}")).ok();
    let (one, two) = (pipe(&mut bed, "one"), pipe(&mut bed, "two"));
    assert!(one.starts_with("/node/state/mps/") && one.contains("/client\n"), "{one}");
    let variables =
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=25\nCUDA_MPS_PIPE_DIRECTORY=/tmp/nvidia-mps\n";
    assert!(one.ends_with(variables), "{one}");
    assert!(two.contains("size=7168k"), "{two}");
    let without_size = |text: &str| {
        text.lines().filter(|line| !line.starts_with("size=")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(without_size(&one), without_size(&two));
    let listed = one.lines().nth(1).unwrap();
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>(), ["control", "log"], "{one}");

    bed.run("podman rm -f -t 0 one").ok();
    let left = bed.run("divvy reconcile >/dev/null; divvy claims; ls /node/state/mps").ok();
    assert_eq!((left.matches(" bound ").count(), left.lines().count()), (1, 3), "{left}");
    let two_still = pipe(&mut bed, "two");
    assert_eq!(two, two_still);
    bed.run("podman rm -f -t 0 two").ok();
    assert_all_gone(&mut bed, "both gone");
}

in_each_bed!(two_mig_devices_differ: trixie = Trixie V2 "runc", sid = Sid V1 "crun");

/// Under live injection: two containers with one profile have different devices.
fn two_mig_devices_differ(mut bed: Bed, runtime: &str) {
    site(&mut bed);
    let mut seen = Vec::new();
    for name in ["one", "two"] {
        let ran = bed.run(&format!(
            "podman --runtime {runtime} run -d --name {name} --device divvy/gpu=mig-1g.10gb --rootfs $IMAGES/busybox:O sleep 1000 >/dev/null
             podman exec {name} ls /dev/nvidia-caps"
        ));
        seen.push(ran.ok());
    }
    assert_eq!(seen[0].lines().count(), 2, "{seen:?}");
    assert!(seen[0].lines().all(|node| !seen[1].contains(node)), "{seen:?}");
    bed.run("podman rm -f -t 0 one two").ok();
    assert_all_gone(&mut bed, "both gone");
}
