//! Which container uses how much of a GPU, by the cgroups that real engines make.

use super::site::{Road, assert_all_gone};
use super::{Bed, in_each_bed};

in_each_bed!(podman_containers_are_told_apart:
    bookworm_v1_runc = Bookworm V1 "runc", trixie_v1_crun = Trixie V1 "crun",
    trixie_v2_runc = Trixie V2 "runc", sid_v2_crun = Sid V2 "crun",
);

fn podman_containers_are_told_apart(mut bed: Bed, runtime: &str) {
    let podman = Road::Precreate.podman(&mut bed, runtime);
    let run = |name: &str, device: &str| {
        format!("{podman} run -d --name {name} {device} --rootfs $IMAGES/busybox:O sleep 1000")
    };
    let pid = |name: &str| format!("podman inspect -f '{{{{.State.Pid}}}}' {name}");
    let exec = "podman exec -d one sleep 2000";
    told_apart(&mut bed, &run, &pid, exec);
    bed.run("podman rm -f -t 0 one two other").ok();
    assert_all_gone(&mut bed, "metrics");
}

in_each_bed!(docker_containers_are_told_apart: trixie_v2 = Trixie V2, sid_v1 = Sid V1);

fn docker_containers_are_told_apart(mut bed: Bed) {
    Road::Wrapper.daemon(&mut bed, "docker");
    let run = |name: &str, device: &str| {
        let runtime = if device.is_empty() { "runc" } else { "divvy" };
        format!(
            "docker run -d --network none --name {name} --runtime {runtime} {device} localhost/debian:1 sleep 1000"
        )
    };
    let pid = |name: &str| format!("docker inspect -f '{{{{.State.Pid}}}}' {name}");
    told_apart(&mut bed, &run, &pid, "docker exec -d one sleep 2000");
    bed.run("docker rm -f one two other").ok();
    assert_all_gone(&mut bed, "metrics");
}

/// Two containers that take turns on a GPU, one of them with a second process, and a container beside them that got
/// at the GPU without divvy.
fn told_apart(
    bed: &mut Bed,
    run: &dyn Fn(&str, &str) -> String,
    pid: &dyn Fn(&str) -> String,
    exec: &str,
) {
    let mut ids = Vec::new();
    for (name, device) in [
        ("one", "--device divvy/gpu=time-slicing"),
        ("two", "--device divvy/gpu=time-slicing"),
        ("other", ""),
    ] {
        ids.push(bed.run(&run(name, device)).ok().trim().to_owned());
    }
    let mib = |n: u64| n << 20;
    bed.run(&format!(
        "set -e
         {exec}
         second=; while [ -z \"$second\" ]; do second=$(pgrep -xf 'sleep 2000' | head -n1); sleep 0.05; done
         fake-node process /node 0 add $second {}
         fake-node process /node 0 add $({}) {}
         fake-node process /node 0 add $({}) {}
         fake-node process /node 0 add $({}) {}
         fake-node process /node 0 add $$ {}",
        mib(8),
        pid("one"),
        mib(100),
        pid("two"),
        mib(200),
        pid("other"),
        mib(400),
        mib(800),
    ))
    .ok();
    let text = bed.run("divvy metrics").ok();
    let line = |family: &str, container: &str| {
        let begins = format!("{family}{{container=\"{container}\",");
        let mut lines = text.lines().filter(|line| line.starts_with(&begins));
        let found = lines.next().unwrap_or_else(|| panic!("no {begins} in\n{text}"));
        assert_eq!(lines.next(), None, "{text}");
        found.to_owned()
    };
    for (id, memory, processes, claimed) in
        [(&ids[0], 108, 2, true), (&ids[1], 200, 1, true), (&ids[2], 400, 1, false)]
    {
        let of_memory = line("divvy_container_memory_bytes", id);
        assert!(of_memory.ends_with(&format!(" {}", mib(memory))), "{of_memory}");
        assert_eq!(!of_memory.contains("claim=\"\""), claimed, "{of_memory}");
        assert!(of_memory.contains("mode=\"time-slicing\""), "{of_memory}");
        let of_processes = line("divvy_container_processes", id);
        assert!(of_processes.ends_with(&format!(" {processes}")), "{of_processes}");
    }
    assert!(text.contains(&format!("kind=\"unclaimed\"}} {}\n", mib(800))), "{text}");
    assert!(text.contains("divvy_claims{mode=\"time-slicing\",phase=\"bound\"} 2\n"), "{text}");
    bed.run("for pid in $(fake-node show /node | awk '/^  pid/ {print $2}'); do fake-node process /node 0 rm $pid; done").ok();
}
