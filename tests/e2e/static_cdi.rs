//! `divvy cdi generate` and real containers: each gets the GPU or MIG device it names, the driver's
//! libraries in a library cache that works, and nothing else.

use super::{Bed, RUNTIMES, in_each_bed, lacks_capability, with_each_daemon, with_each_podman};

/// Run in a container that names the first of two GPUs.
const LOOK_AT_GPU: &str = r#"
echo devices: /dev/nvidia[0-9]*
cat /dev/nvidia0 /dev/nvidiactl /dev/nvidia-uvm
mknod /dev/nvidia1 c 195 1; cat /dev/nvidia1
ldconfig -p | grep -o 'libcuda.so.1\|libnvidia-ml.so.1' | sort -u
perl -MDynaLoader -e 'print DynaLoader::dl_load_file("libcuda.so.1", 1) ? "loaded\n" : DynaLoader::dl_error()'
echo NVIDIA_VISIBLE_DEVICES=$NVIDIA_VISIBLE_DEVICES
"#;

/// What it sees there: its own nodes may be opened (no driver answers), the other GPU's may not.
const GPU_SEEN: [&str; 8] = [
    "devices: /dev/nvidia0\n",
    "/dev/nvidia0: No such device or address",
    "/dev/nvidiactl: No such device or address",
    "/dev/nvidia-uvm: No such device or address",
    "/dev/nvidia1: Operation not permitted",
    "libcuda.so.1\nlibnvidia-ml.so.1\n",
    "loaded\n",
    "NVIDIA_VISIBLE_DEVICES=void",
];

#[track_caller]
fn assert_seen(what: &str, wanted: &[&str], seen: &str) {
    for line in wanted {
        assert!(seen.contains(line), "{what}: no `{line}` in\n{seen}");
    }
}

/// Writes a program for containers into the folder that all engines can mount.
fn program(bed: &Bed, script: &str) {
    std::fs::write(bed.shared("look.sh"), script).unwrap();
}

/// `podman run` of the program with these devices; the container's output is the answer.
fn podman(bed: &mut Bed, runtime: &str, devices: &[&str]) -> Option<String> {
    let devices: String =
        devices.iter().map(|name| format!("--device nvidia.com/gpu={name} ")).collect();
    let ran = bed.run(&format!(
        "podman --runtime {runtime} run --rm --cap-add mknod {devices} -v /bed/look.sh:/look.sh:ro \
         --rootfs $IMAGES/debian:O bash /look.sh 2>&1"
    ));
    (!lacks_capability(&ran)).then(|| ran.ok())
}

with_each_podman!(podman_gives_the_gpu_named);

fn podman_gives_the_gpu_named(mut bed: Bed, runtime: &str) {
    bed.node("--gpu H100-80GB:2");
    bed.run("divvy cdi generate --no-additional-gids --output /etc/cdi/nvidia.json").ok();
    program(&bed, LOOK_AT_GPU);
    if let Some(seen) = podman(&mut bed, runtime, &["0"]) {
        assert_seen(runtime, &GPU_SEEN, &seen);
    }
}

/// Run in a container that names the first of two MIG devices on GPU 0.
const LOOK_AT_MIG: &str = r#"
echo devices: /dev/nvidia[0-9]* caps: /dev/nvidia-caps/*
cat /dev/nvidia0 /dev/nvidia-caps/*
# Every capability node of the other MIG device, made by hand.
while read -r node major minor; do mknod "/dev/$node" c "$major" "$minor"; cat "/dev/$node"; done </others
true
"#;

with_each_podman!(podman_gives_the_mig_device_named);

fn podman_gives_the_mig_device_named(mut bed: Bed, runtime: &str) {
    bed.node("--gpu H100-80GB:1 --mig on");
    bed.run("fake-node mig /node 0 create 3g.40gb && fake-node mig /node 0 create 1g.10gb && fake-node caps /node").ok();
    bed.run("divvy cdi generate --no-additional-gids --format json --output /etc/cdi/nvidia.json")
        .ok();
    let nodes = |bed: &mut Bed, name: &str| {
        bed.run(&format!(
            "podman --runtime runc run --rm --device nvidia.com/gpu={name} --rootfs $IMAGES/busybox:O \
             sh -c 'cd /dev/nvidia-caps && for node in *; do stat -c \"%n %t %T\" $node; done'"
        ))
        .ok()
    };
    let (own, other) = (nodes(&mut bed, "0:0"), nodes(&mut bed, "0:1"));
    assert_eq!((own.lines().count(), other.lines().count()), (2, 2), "{own}{other}");
    assert!(own.lines().all(|node| !other.contains(node)), "{own}{other}");

    let others: String = other
        .lines()
        .map(|node| {
            let words: Vec<&str> = node.split(' ').collect();
            let number = |word: &str| u32::from_str_radix(word, 16).unwrap();
            format!("other-{} {} {}\n", words[0], number(words[1]), number(words[2]))
        })
        .collect();
    program(&bed, &LOOK_AT_MIG.replace("</others", &format!("<<'EOF'\n{others}EOF\n")));
    if let Some(seen) = podman(&mut bed, runtime, &["0:0"]) {
        let count = |text: &str| seen.matches(text).count();
        assert!(seen.contains("devices: /dev/nvidia0 caps:"), "{seen}");
        assert_eq!(
            count("No such device or address"),
            3,
            "the GPU's node and two of its own:\n{seen}"
        );
        assert_eq!(count("Operation not permitted"), 2, "two of the other:\n{seen}");
    }
}

with_each_daemon!(containerd_gives_the_gpu_named);

fn containerd_gives_the_gpu_named(mut bed: Bed) {
    bed.node("--gpu H100-80GB:2");
    bed.run("divvy cdi generate --output /etc/cdi/nvidia.json").ok();
    program(&bed, LOOK_AT_GPU);
    bed.engines();
    bed.run("containerd_up").ok();
    for runtime in RUNTIMES {
        let ran = bed.run(&format!(
            "set -e; ids=$(cri start --handler {runtime} --device nvidia.com/gpu=0 --mount /bed/look.sh:/look.sh \
             localhost/debian:1 sleep 1000); cri exec ${{ids#* }} bash /look.sh 2>&1; cri stop ${{ids% *}}"
        ));
        assert_seen(runtime, &GPU_SEEN, &ran.ok());
    }
}

with_each_daemon!(docker_gives_the_gpu_named);

fn docker_gives_the_gpu_named(mut bed: Bed) {
    bed.node("--gpu H100-80GB:2");
    bed.run("divvy cdi generate --output /etc/cdi/nvidia.json").ok();
    program(&bed, LOOK_AT_GPU);
    bed.engines();
    bed.run("docker_up").ok();
    for runtime in RUNTIMES {
        let ran = bed.run(&format!(
            "docker run --rm --network none --runtime {runtime} --device nvidia.com/gpu=0 \
             -v /bed/look.sh:/look.sh:ro localhost/debian:1 bash /look.sh 2>&1"
        ));
        assert_seen(runtime, &GPU_SEEN, &ran.ok());
    }
}

/// Nodes of many kinds, each as a script that leaves one at `/node`.
const NODES: [&str; 3] = [
    // Every board that the simulation knows, with MIG and without.
    "fake-node create /node $(fake-node models | sed 's/^/--gpu /') >/dev/null",
    // A GPU full of the smallest MIG devices beside one with two unequal ones.
    "fake-node create /node --gpu A100-40GB --gpu H100-80GB --mig on >/dev/null
     for start in 0 1 2 3 4 5 6; do fake-node mig /node 0 create 1g.5gb@$start; done
     fake-node mig /node 1 create 3g.40gb; fake-node mig /node 1 create 1g.10gb; fake-node caps /node",
    // A GPU that has fallen off the bus costs the others nothing.
    "fake-node create /node --gpu L4:3 >/dev/null; fake-node lose /node 1",
];

/// Generates the spec of a node with names of every strategy, and answers all of them.
fn names(bed: &mut Bed, node: &str, options: &str) -> Vec<String> {
    bed.run(&format!("set -e; rm -rf /node; {node}")).ok();
    let list = bed
        .run(&format!(
            "eval \"$(fake-node env /node)\"; unset DIVVY_CDI_DIR; mkdir -p /etc/cdi
             divvy cdi generate {options} --device-name-strategy index --device-name-strategy uuid \
               --device-name-strategy type-index --format json --output /etc/cdi/nvidia.json || exit 1
             divvy cdi list | awk 'NR > 1 {{ print $1 }}'"
        ))
        .ok();
    let names: Vec<String> = list.lines().map(String::from).collect();
    assert!(names.len() >= 7, "{list}");
    names
}

in_each_bed!(podman_resolves_every_name: bookworm = Bookworm Own "--no-additional-gids", trixie = Trixie Own "", sid = Sid Own "");

fn podman_resolves_every_name(mut bed: Bed, options: &str) {
    for node in NODES {
        let devices = names(&mut bed, node, options).join(" --device ");
        bed.run(&format!(
            "podman --runtime runc run --rm --device {devices} --rootfs $IMAGES/busybox:O true"
        ))
        .ok();
    }
}

in_each_bed!(containerd_resolves_every_name: trixie = Trixie Own, sid = Sid Own);

fn containerd_resolves_every_name(mut bed: Bed) {
    bed.engines();
    bed.run("containerd_up").ok();
    for node in NODES {
        let devices = names(&mut bed, node, "").join(" --device ");
        let start = format!("cri start --device {devices} localhost/busybox:1 sleep 1000");
        bed.run(&format!("ids=$({start}) && cri stop ${{ids% *}}")).ok();
    }
}
