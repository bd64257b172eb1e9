//! NVIDIA's own MPS control daemon, of two drivers, in a bed: it runs without a GPU.

use super::site::Road;
use super::{Bed, in_each_bed};

in_each_bed!(the_real_daemon_answers: driver_535 = Trixie Own "535", driver_550 = Trixie Own "550");

fn the_real_daemon_answers(mut bed: Bed, driver: &str) {
    bed.mps(driver);
    let answer = bed.run(
        "nvidia-cuda-mps-control -d && ask() { echo \"$1\" | nvidia-cuda-mps-control; }
         ask get_default_active_thread_percentage; ask 'set_default_active_thread_percentage 25'
         ask get_default_active_thread_percentage; ask quit",
    );
    assert_eq!(answer.ok().lines().collect::<Vec<_>>(), ["100.0", "25.0", "25.0"]);
}

in_each_bed!(clients_leave_before_they_are_killed: v1_runc = Trixie V1 "runc", v2_crun = Trixie V2 "crun");

/// A client needs a GPU: a stand-in before NVIDIA's daemon names the container's process, and one of the machine's.
/// As a CUDA program does, the process ends when it is no client any more, maybe before it is killed.
fn clients_leave_before_they_are_killed(mut bed: Bed, runtime: &str) {
    let podman = Road::Wrapper.podman(&mut bed, runtime);
    bed.run(
        r#"cat >/stand-in <<'EOF'
#!/bin/sh
read order
case $order in
  get_client_list*) cat /clients 2>/dev/null || true ;;
  terminate_client*) echo "$order" >>/orders; [ ! -e /ends ] || { kill -9 $(head -n 1 /clients); sleep 0.3; }; rm /clients ;;
  *) echo "$order" | /real ;;
esac
EOF
         chmod 755 /stand-in; cp /node/driver/usr/bin/nvidia-cuda-mps-control /real"#,
    )
    .ok();
    for (ends, kill) in [
        ("rm -f /ends", "rm -f -t 0 one"),
        ("touch /ends", "rm -f -t 0 one"),
        ("touch /ends", "kill one && podman rm one"),
    ] {
        let said = bed.run(&format!(
            r#"set -e; exec 2>&1; {ends}; rm -f /orders
             {podman} run -d --name one --device divvy/gpu=mps-25 --rootfs $IMAGES/busybox:O sleep 1000 >/dev/null
             printf '%s\n' $(podman inspect --format '{{{{.State.Pid}}}}' one) 1 >/clients
             cp /stand-in /node/driver/usr/bin/nvidia-cuda-mps-control.new
             cd /node/driver/usr/bin; mv nvidia-cuda-mps-control.new nvidia-cuda-mps-control
             pid=$(head -n 1 /clients); {{ {podman} {kill}; }} >/dev/null
             cp /real nvidia-cuda-mps-control.new; mv nvidia-cuda-mps-control.new nvidia-cuda-mps-control
             sed "s/ $pid$/ PID/; s/client [0-9]*/client SERVER/" /orders; divvy claims"#
        ));
        let said = said.ok();
        assert_eq!(said, "terminate_client SERVER PID\nno claims\n", "{ends}, {kill}");
    }
}
