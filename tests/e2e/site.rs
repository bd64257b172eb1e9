//! A node with divvy in place as `make install` leaves it, and what containers on it see.

use super::Bed;

/// Two H100s that divvy manages, NVIDIA's MPS control daemon with a stand-in server, the configuration where hooks
/// look for it, and the CDI devices of requests where engines do.
///
/// The nodes lie in the bed's own /dev, too: in a user namespace an OCI runtime mounts those.
pub(super) fn site(bed: &mut Bed) {
    bed.node("--gpu H100-80GB:2 --managed");
    bed.run(
        "set -e
         cp -L $DIVVY_TEST_CACHE/nvidia-550/usr/bin/nvidia-cuda-mps-control /node/driver/usr/bin/
         rm -f /node/driver/usr/bin/nvidia-cuda-mps-server
         cp $DIVVY_REPOSITORY/target/debug/nvidia-cuda-mps-server /node/driver/usr/bin/
         # The server runs as the client's user, and the stand-in writes beside itself.
         chmod 755 /node; chmod 777 /node/driver/usr/bin
         mkdir -p /etc/divvy; cp /node/config.yaml /etc/divvy/
         cp -a /node/dev/. /dev/
         divvy cdi generate --requests --format json --output /etc/cdi/divvy-requests.json",
    )
    .ok();
}

/// Run in a container: which nodes there are, what opening each says, and another GPU's made by hand, where that is
/// allowed at all.
const LOOK: &str = r#"exec 2>&1
for node in /dev/nvidia[0-9]* /dev/nvidia-caps/*; do [ -e $node ] && echo node: $node && cat $node; done
for minor in 0 1; do [ -e /dev/nvidia$minor ] || { mknod /dev/nvidia$minor c 195 $minor && cat /dev/nvidia$minor; }; done
ldconfig -p | grep -o 'libcuda.so.1 ' | sort -u
grep -o ' /tmp/nvidia-mps ro' /proc/self/mountinfo
# In a pod the first process is another's; podman and Docker start others without what CDI sets.
{ env; tr '\0' '\n' </proc/1/environ; } | sort -u >/tmp/env
grep ^CUDA_MPS /tmp/env
grep -c ^NVIDIA_VISIBLE_DEVICES=void /tmp/env
"#;

/// Puts `LOOK` where all engines can mount it.
pub(super) fn look(bed: &Bed) {
    std::fs::write(bed.shared("look.sh"), LOOK).unwrap();
}

/// Checks what `LOOK` saw of one GPU, or of one MIG device of it.
#[track_caller]
pub(super) fn assert_one_device(what: &str, seen: &str, mig: bool) {
    let count = |text: &str| seen.matches(text).count();
    assert_eq!(
        count("node: /dev/nvidia-caps/nvidia-cap"),
        if mig { 2 } else { 0 },
        "{what}:\n{seen}"
    );
    assert_eq!(count("node: /dev/nvidia0\n") + count("node: /dev/nvidia1\n"), 1, "{what}:\n{seen}");
    assert_eq!(count("No such device or address"), if mig { 3 } else { 1 }, "{what}:\n{seen}");
    assert_eq!(count("Operation not permitted"), 1, "{what}:\n{seen}");
    assert!(seen.contains("libcuda.so.1") && seen.ends_with("\n1\n"), "{what}:\n{seen}");
}

/// Checks what `LOOK` saw of a client of MPS: the directory, read-only, and its variables.
#[track_caller]
pub(super) fn assert_mps(what: &str, seen: &str, threads: Option<u8>) {
    let percentage =
        threads.map(|n| format!("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE={n}\n")).unwrap_or_default();
    let wanted =
        format!(" /tmp/nvidia-mps ro\n{percentage}CUDA_MPS_PIPE_DIRECTORY=/tmp/nvidia-mps\n");
    assert!(seen.contains(&wanted), "{what}: no\n{wanted}in\n{seen}");
}

/// What is left on the node when the containers are gone: no claim, no MIG device, no daemon, the modes that were.
#[track_caller]
pub(super) fn assert_all_gone(bed: &mut Bed, what: &str) {
    bed.run("divvy reconcile").ok();
    let left = bed
        .run("divvy claims; ls -A /node/state/mps; fake-node show /node | grep -e ' gi ' -e 'MIG on' -e 'compute mode'")
        .stdout;
    assert_eq!(left, "no claims\n", "{what}");
}

/// How a container on a site gets what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Road {
    /// The CDI device's hook alone.
    Live,
    /// podman's filter.
    Precreate,
    /// `divvy-runtime`.
    Wrapper,
}

impl Road {
    /// Sets podman up; answers how containers are run on this road with this OCI runtime.
    pub(super) fn podman(self, bed: &mut Bed, runtime: &str) -> String {
        site(bed);
        if self != Road::Live {
            bed.run("divvy runtime configure --runtime podman").ok();
        }
        if self != Road::Wrapper {
            return format!("podman --runtime {runtime}");
        }
        bed.run(&format!(
            "rm /etc/containers/oci/hooks.d/divvy.json; echo 'runtime: {runtime}' >>/etc/divvy/config.yaml"
        ))
        .ok();
        "podman --runtime divvy".to_owned()
    }

    /// Starts containerd or Docker, set up for this road.
    pub(super) fn daemon(self, bed: &mut Bed, engine: &str) {
        bed.engines();
        bed.run(&format!("{engine}_up")).ok();
        site(bed);
        if self == Road::Live {
            return;
        }
        let (daemon, client) = match engine {
            "docker" => ("dockerd", "docker version"),
            _ => ("containerd", "ctr version"),
        };
        bed.run(&format!(
            "divvy runtime configure --runtime {engine}
             kill $(pidof {daemon}); while pidof {daemon}; do sleep 0.05; done
             {daemon} >/var/log/{daemon}.log 2>&1 </dev/null & await {daemon} /var/log/{daemon}.log {client}"
        ))
        .ok();
    }
}
