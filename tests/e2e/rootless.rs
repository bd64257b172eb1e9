//! Podman of a user who isn't root: what exists is served, what had to be made is refused with a remedy.

use super::site::site;
use super::{Bed, in_each_bed};

/// The user `somebody`, who can run podman; `somebody_runs COMMAND` does it.
const USER: &str = r#"set -e
echo 'somebody:x:1500:1500::/home/somebody:/bin/sh' >>/etc/passwd; echo 'somebody:x:1500:' >>/etc/group
echo somebody:200000:65536 | tee /etc/subuid >/etc/subgid
# An overlay can't lie on another.
mkdir -p /home/somebody && mount -t tmpfs tmpfs /home/somebody
mkdir -p /home/somebody/.config/containers /run/user/1500
cp /etc/containers/containers.conf /etc/containers/policy.json /home/somebody/.config/containers/
chown -R 1500:1500 /home/somebody /run/user/1500
mount --make-rshared /
cat >/usr/local/bin/somebody_runs <<'EOF'
#!/bin/sh
cd /home/somebody
exec setpriv --reuid 1500 --regid 1500 --init-groups --reset-env env PATH="$PATH" HOME=/home/somebody \
  XDG_RUNTIME_DIR=/run/user/1500 PODMAN_IGNORE_CGROUPSV1_WARNING=1 "$@"
EOF
chmod 755 /usr/local/bin/somebody_runs
tar -C $IMAGES/busybox --exclude='./dev/*' -c . | somebody_runs podman import -q - localhost/busybox:1
"#;

in_each_bed!(what_exists_is_served:
    bookworm_runc = Bookworm V1 "runc", trixie_crun = Trixie V1 "crun", trixie_runc = Trixie V2 "runc",
);

fn what_exists_is_served(mut bed: Bed, runtime: &str) {
    site(&mut bed);
    bed.run(USER).ok();
    bed.run(
        "set -e
         divvy cdi generate --no-additional-gids --output /etc/cdi/nvidia.json
         divvy prepare --claim clients --uid 1500 mps:threads=25
         divvy prepare --claim slice --uid 1500 mig:1g.10gb
         cp -a /node/dev/. /dev/",
    )
    .ok();
    let run = |device: &str| {
        format!(
            "somebody_runs podman --runtime {runtime} run --rm --device {device} localhost/busybox:1 \
             sh -c 'exec 2>&1; for node in /dev/nvidia[01] /dev/nvidia-caps/*; do [ ! -e $node ] || cat $node; done; env | grep ^CUDA; ls -x /tmp/nvidia-mps; true' 2>&1"
        )
    };
    for (device, nodes) in
        [("nvidia.com/gpu=0", 1), ("divvy/claim=clients", 1), ("divvy/claim=slice", 3)]
    {
        let seen = bed.run(&run(device)).ok();
        let count = seen.matches("No such device or address").count();
        assert_eq!(count, nodes, "{device}: {seen}");
        let client = "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=25\nCUDA_MPS_PIPE_DIRECTORY=/tmp/nvidia-mps\ncontrol  log\n";
        assert_eq!(seen.contains(client), device.ends_with("clients"), "{device}: {seen}");
    }
    let refused = bed.run(&run("divvy/gpu=exclusive"));
    assert_ne!(refused.code, 0, "{refused}");
    if runtime == "runc" {
        assert!(
            refused.stdout.contains("let root make the claim with `divvy prepare`"),
            "{refused}"
        );
    }
    let left = bed.run("divvy release clients slice && divvy claims").ok();
    assert!(left.ends_with("no claims\n"), "{left}");
}
