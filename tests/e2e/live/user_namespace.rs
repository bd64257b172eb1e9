//! Containers with user namespaces of their own: nodes that are made there can't be opened, so that the host's are
//! mounted; the static work is done by the container's own root.

use super::{assert_all_gone, assert_mps, look, site};
use crate::e2e::{Bed, Suite, in_each_bed};
use crate::support::skip;

in_each_bed!(a_user_namespace_gets_the_hosts_nodes:
    bookworm_v1_crun = Bookworm V1 "crun", bookworm_v2_runc = Bookworm V2 "runc",
    trixie_v1_runc = Trixie V1 "runc", trixie_v2_crun = Trixie V2 "crun",
    sid_v1_runc = Sid V1 "runc", sid_v2_crun = Sid V2 "crun",
);

fn a_user_namespace_gets_the_hosts_nodes(mut bed: Bed, runtime: &str) {
    site(&mut bed);
    look(&bed);
    bed.run(
        "tar -C $IMAGES/debian -c . | podman import -q - localhost/debian:1
         echo containers:100000:655360 | tee /etc/subuid >/etc/subgid",
    )
    .ok();
    if runtime == "crun" && bed.suite() == Suite::Trixie {
        return crun_starts_no_hook(&mut bed);
    }
    // Debian sid's podman finds no subordinate ids in the file.
    let automatic =
        if bed.suite() == Suite::Sid { "--uidmap=0:200000:65536" } else { "--userns=auto" };
    for (namespace, name, mig) in [
        (automatic, "time-slicing", false),
        ("--uidmap=0:100000:65536", "mig-1g.10gb", true),
        ("--uidmap=0:100000:65536", "mps-25", false),
    ] {
        let ran = bed.run(&format!(
            "podman --runtime {runtime} run --rm --cap-add mknod {namespace} --device divvy/gpu={name} \
             -v /bed/look.sh:/look.sh:ro localhost/debian:1 sh -c 'bash /look.sh; ls /dev/dri/by-path; true' 2>&1"
        ));
        let seen = ran.ok();
        let count = |text: &str| seen.matches(text).count();
        assert_eq!(count("node: "), if mig { 3 } else { 1 }, "{name}:\n{seen}");
        assert_eq!(count("No such device or address"), count("node: "), "{name}:\n{seen}");
        assert_eq!(count("Operation not permitted"), 1, "the other GPU's node:\n{seen}");
        assert_eq!(count("libcuda.so.1 \n"), 1, "{name}:\n{seen}");
        assert_eq!(count("-render\n"), usize::from(!mig), "{name}:\n{seen}");
        if name == "mps-25" {
            assert_mps(name, &seen, Some(25));
        }
        assert_all_gone(&mut bed, name);
    }
}

/// crun 1.21 can't enter the bundle as the container's root, where it starts hooks: the container fails.
fn crun_starts_no_hook(bed: &mut Bed) {
    let ran = bed.run(
        "podman --runtime crun run --rm --uidmap=0:100000:65536 --device divvy/gpu=mig-1g.10gb localhost/debian:1 true 2>&1",
    );
    assert_ne!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("error executing hook"), "{ran}");
    assert_all_gone(bed, "a container that failed");
    skip(
        "crun 1.21 starts no createContainer hook in a user namespace of podman's: the container fails",
    );
}
