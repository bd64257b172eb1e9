//! What is left when a container has ended, whoever ended it: by each road, under each engine. Once reconcile has
//! run, no claim, no MIG device and no daemon is left of one that is gone, and all of it of one that lives.

use super::site::{Road, assert_all_gone};
use super::{Bed, in_each_bed};

in_each_bed!(podman_live:
    bookworm_runc = Bookworm V1 "runc" "mps-25", trixie_runc = Trixie V1 "runc" "mig-1g.10gb",
    trixie_crun = Trixie V2 "crun" "mps-25", sid_crun = Sid V1 "crun" "mig-1g.10gb",
    sid_runc = Sid V2 "runc" "mps-25",
);
in_each_bed!(podman_precreate:
    bookworm_runc = Bookworm V2 "runc" "mps-25", trixie_crun = Trixie V1 "crun" "mig-1g.10gb",
    sid_runc = Sid V2 "runc" "mig-3g.40gb.mps-50",
);
in_each_bed!(podman_wrapper:
    bookworm_crun = Bookworm V1 "crun" "mig-1g.10gb", trixie_runc = Trixie V2 "runc" "mps-25",
    sid_crun = Sid V2 "crun" "mig-1g.10gb",
);

fn podman_live(bed: Bed, runtime: &str, name: &str) {
    podman(bed, Road::Live, runtime, name);
}

fn podman_precreate(bed: Bed, runtime: &str, name: &str) {
    podman(bed, Road::Precreate, runtime, name);
}

fn podman_wrapper(bed: Bed, runtime: &str, name: &str) {
    podman(bed, Road::Wrapper, runtime, name);
}

/// A hook that fails after divvy's own have done their work.
const FAILING: &str = r#"cat >/etc/cdi/failing.json <<'EOF'
{"cdiVersion": "0.5.0", "kind": "failing.test/hook", "devices": [
  {"name": "createRuntime", "containerEdits": {"hooks": [{"hookName": "createRuntime", "path": "/bin/false", "args": ["false"], "env": ["A=1"]}]}},
  {"name": "createContainer", "containerEdits": {"hooks": [{"hookName": "createContainer", "path": "/bin/false", "args": ["false"], "env": ["A=1"]}]}}]}
EOF"#;

/// Opens all that a container was given: no driver answers.
const OPEN: &str = "sh -c 'for node in /dev/nvidia[01] /dev/nvidia-caps/*; do [ ! -e $node ] || cat $node; done 2>&1; { env; tr \"\\0\" \"\\n\" </proc/1/environ; } | grep ^CUDA_MPS_PIPE | head -n 1'";

#[track_caller]
fn assert_opens(what: &str, seen: &str, name: &str) {
    let nodes = if name.starts_with("mig") { 3 } else { 1 };
    assert_eq!(seen.matches("No such device or address").count(), nodes, "{what}: {seen}");
    assert!(!seen.contains("not permitted"), "{what}: {seen}");
    assert_eq!(
        seen.ends_with("CUDA_MPS_PIPE_DIRECTORY=/tmp/nvidia-mps\n"),
        name.contains("mps"),
        "{what}: {seen}"
    );
}

/// How many claims there are after a reconcile.
#[track_caller]
fn assert_held(bed: &mut Bed, what: &str) {
    let claims = bed.run("divvy reconcile >/dev/null; divvy claims").ok();
    assert_eq!(claims.matches(" bound ").count(), 1, "{what}: {claims}");
}

fn podman(mut bed: Bed, road: Road, runtime: &str, name: &str) {
    let podman = road.podman(&mut bed, runtime);
    let device = format!("--device divvy/gpu={name} --rootfs $IMAGES/busybox:O");
    let run =
        |container: &str| format!("{podman} run -d --name {container} {device} sleep 1000 && ");
    let pid = |container: &str, which: &str| {
        format!("$(podman inspect -f '{{{{.State.{which}}}}}' {container})")
    };

    bed.run(&(run("removed") + "podman rm -f -t 0 removed")).ok();
    assert_all_gone(&mut bed, "rm -f");

    let kill = format!("kill -9 {}; podman wait killed; podman rm -f killed", pid("killed", "Pid"));
    bed.run(&(run("killed") + &kill)).ok();
    assert_all_gone(&mut bed, "kill -9 of the container");

    let kill = format!("kill -9 {}", pid("unwatched", "ConmonPid"));
    bed.run(&(run("unwatched") + &format!("echo {} >/pid; {kill}", pid("unwatched", "Pid")))).ok();
    assert_held(&mut bed, "kill -9 of conmon");
    bed.run("kill -9 $(cat /pid); while [ -e /proc/$(cat /pid)/exe ]; do sleep 0.05; done").ok();
    assert_all_gone(&mut bed, "kill -9 of conmon and of the container");

    let ran =
        bed.run(&(run("again") + &format!("podman restart -t 0 again; podman exec again {OPEN}")));
    assert_opens("restart", ran.ok().split_once("again\n").unwrap().1, name);
    assert_held(&mut bed, "restart");
    bed.run("podman rm -f -t 0 again").ok();
    assert_all_gone(&mut bed, "restart and rm -f");

    bed.run(&format!("{podman} run --name ended {device} {OPEN} >/dev/null")).ok();
    assert_all_gone(&mut bed, "the end of the container");
    let ran = bed.run("podman start -a ended");
    assert_opens("start of one that had ended", &ran.ok(), name);
    assert_all_gone(&mut bed, "its second end");

    bed.run(FAILING).ok();
    for stage in ["createRuntime", "createContainer"] {
        let failing = format!("--device failing.test/hook={stage} {device}");
        let ran = bed.run(&format!("{podman} run --rm {failing} true"));
        assert_ne!(ran.code, 0, "{stage}: {ran}");
        assert_all_gone(&mut bed, &format!("a failing {stage} hook"));
    }
}

in_each_bed!(docker_live: trixie = Trixie V1 "runc" "mps-25", sid = Sid V2 "crun" "mig-1g.10gb");
in_each_bed!(docker_wrapper: trixie = Trixie V2 "divvy" "mig-1g.10gb", sid = Sid V1 "divvy" "mps-25");

fn docker_live(bed: Bed, runtime: &str, name: &str) {
    docker(bed, Road::Live, runtime, name);
}

fn docker_wrapper(bed: Bed, runtime: &str, name: &str) {
    docker(bed, Road::Wrapper, runtime, name);
}

/// Kills what watches the process in the file /pid, and lets the engine notice.
const KILL_SHIM: &str = "kill -9 $(awk '{ print $4 }' /proc/$(cat /pid)/stat); for try in $(seq 100); do [ -e /proc/$(cat /pid)/exe ] || break; sleep 0.05; done";

fn docker(mut bed: Bed, road: Road, runtime: &str, name: &str) {
    road.daemon(&mut bed, "docker");
    let device = format!("--network none --runtime {runtime} --device divvy/gpu={name}");
    let image = "localhost/busybox:1";
    let run = |container: &str| {
        format!("docker run -d --name {container} {device} {image} sleep 1000 && ")
    };
    let pid = |container: &str| format!("$(docker inspect -f '{{{{.State.Pid}}}}' {container})");

    bed.run(&(run("removed") + "docker rm -f removed")).ok();
    assert_all_gone(&mut bed, "rm -f");

    let kill = format!("kill -9 {}; docker wait killed", pid("killed"));
    bed.run(&(run("killed") + &kill)).ok();
    assert_all_gone(&mut bed, "kill -9 of the container");

    bed.run(&(run("unwatched") + &format!("echo {} >/pid; {KILL_SHIM}", pid("unwatched")))).ok();
    bed.run("docker rm -f unwatched").ok();
    assert_all_gone(&mut bed, "kill -9 of the shim");

    let again = format!("docker restart -t 0 again; docker exec again {OPEN}");
    let ran = bed.run(&(run("again") + &again));
    assert_opens("restart", ran.ok().split_once("again\n").unwrap().1, name);
    assert_held(&mut bed, "restart");
    bed.run("docker rm -f again").ok();
    assert_all_gone(&mut bed, "restart and rm -f");

    bed.run(FAILING).ok();
    for stage in ["createRuntime", "createContainer"] {
        let failing = format!("{device} --device failing.test/hook={stage}");
        let ran = bed.run(&format!("docker run --rm {failing} {image} true"));
        assert_ne!(ran.code, 0, "{stage}: {ran}");
        assert_all_gone(&mut bed, &format!("a failing {stage} hook"));
    }
}

in_each_bed!(containerd_live: trixie = Trixie V1 "crun" "mig-1g.10gb", sid = Sid V2 "runc" "mps-25");
in_each_bed!(containerd_wrapper: trixie = Trixie V2 "divvy" "mps-25", sid = Sid V1 "divvy" "mig-1g.10gb");

fn containerd_live(bed: Bed, handler: &str, name: &str) {
    containerd(bed, Road::Live, handler, name);
}

fn containerd_wrapper(bed: Bed, handler: &str, name: &str) {
    containerd(bed, Road::Wrapper, handler, name);
}

fn containerd(mut bed: Bed, road: Road, handler: &str, name: &str) {
    road.daemon(&mut bed, "containerd");
    let device = format!("--handler {handler} --device divvy/gpu={name}");
    let start = format!("ids=$(cri start {device} localhost/busybox:1 sleep 1000) && ");
    let pid =
        "ctr -n k8s.io tasks ls | awk -v id=${ids#* } '$1 == id { print $2 }' >/pid; test -s /pid";

    let ran = bed.run(&format!("{start} cri exec ${{ids#* }} {OPEN}; cri stop ${{ids% *}}"));
    assert_opens("a pod", &ran.ok(), name);
    assert_all_gone(&mut bed, "the end of the pod");

    // The shim may end while it is asked to stop what is dead: then it is asked again.
    let stop = "{ cri stop ${ids% *} || cri stop ${ids% *}; }";
    bed.run(&format!("{start} {pid} && kill -9 $(cat /pid); {stop}")).ok();
    assert_all_gone(&mut bed, "kill -9 of the container");

    bed.run(&format!("{start} {pid} && {KILL_SHIM}")).ok();
    assert_all_gone(&mut bed, "kill -9 of the shim");

    bed.run(FAILING).ok();
    for stage in ["createRuntime", "createContainer"] {
        let failing = format!("{device} --device failing.test/hook={stage}");
        let ran = bed.run(&format!("cri start {failing} localhost/busybox:1 true"));
        assert_ne!(ran.code, 0, "{stage}: {ran}");
        assert_all_gone(&mut bed, &format!("a failing {stage} hook"));
    }
}
