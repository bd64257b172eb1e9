//! `divvy runtime configure` and the real engines: they accept what it writes, run containers by it, keep all that
//! was configured before, and are as before after `--remove`.
//!
//! CRI-O is in none of the suites: its drop-in is held to snapshots alone, and the test here says so.

use super::{Bed, in_each_bed};
use crate::support::skip;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const DIVVY: &str = "divvy runtime configure --runtime-path /bed/runtime --hook-path /bed/hook";

/// Stands where divvy-runtime does: keeps the configurations that it sees and runs runc.
const RUNTIME: &str = r#"#!/bin/sh
for word; do
  [ "$last" != --bundle ] || cp "$word/config.json" "/bed/seen-$(basename "$word").json"
  last=$word
done
exec runc "$@"
"#;

/// Stands where divvy-hook does: passes the configuration through, and says that it was called.
const HOOK: &str = "#!/bin/sh\necho \"$*\" >>/bed/hooked\nexec cat\n";

const SPEC: &str = r#"
mkdir -p /etc/cdi
echo '{"cdiVersion": "0.5.0", "kind": "configured.test/gpu", "devices": [{"name": "0", "containerEdits": {"env": ["CONFIGURED=1"]}}]}' >/etc/cdi/test.json
"#;

fn programs(bed: &Bed) {
    for (name, script) in [("runtime", RUNTIME), ("hook", HOOK)] {
        let path = bed.shared(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

in_each_bed!(containerd_serves_a_configured_handler: trixie = Trixie V1, sid = Sid V1);

fn containerd_serves_a_configured_handler(mut bed: Bed) {
    programs(&bed);
    bed.engines();
    bed.run(SPEC).ok();
    bed.run("containerd_up && sed -i /enable_cdi/d /etc/containerd/config.toml && cp /etc/containerd/config.toml /was").ok();
    let configured = bed.run(&format!("{DIVVY} --runtime containerd")).ok();
    assert!(configured.ends_with("To take effect: systemctl restart containerd\n"), "{configured}");
    bed.run(
        "kill $(pidof containerd)
         while pidof containerd; do sleep 0.05; done
         containerd >/var/log/containerd.log 2>&1 </dev/null &
         await containerd /var/log/containerd.log ctr version",
    )
    .ok();
    let pod = "--device configured.test/gpu=0 --annotation divvy.request/test=mps \
               --pod-annotation divvy.request=exclusive --pod-annotation other=1 localhost/debian:1";
    let said = bed.run(&format!(
        "set -e; ids=$(cri start --handler divvy {pod} sleep 1000)
         cri exec ${{ids#* }} sh -c 'echo CONFIGURED=$CONFIGURED'
         grep -o '\"divvy.request[^,]*\\|\"other\":' /bed/seen-${{ids#* }}.json; cri stop ${{ids% *}}
         ids=$(cri start --handler crun {pod} sleep 1000); cri stop ${{ids% *}}
         ids=$(cri start {pod} sleep 1000); cri stop ${{ids% *}}"
    ));
    let said = said.ok();
    let mut lines: Vec<&str> = said.lines().map(|line| line.trim_end_matches('}')).collect();
    lines.sort_unstable();
    let wanted =
        ["\"divvy.request\":\"exclusive\"", "\"divvy.request/test\":\"mps\"", "CONFIGURED=1"];
    assert_eq!(lines, wanted);
    bed.run(&format!("{DIVVY} --runtime containerd --remove")).ok();
    bed.run("cmp /was /etc/containerd/config.toml && [ ! -e /etc/containerd/conf.d ]").ok();
}

/// What containerd makes of a configuration, before and after: nothing is lost.
const DUMPED: &str = r#"
# Without what the change is about, and without what says nothing; 1.7 fills an empty sandbox_mode in when it starts.
dumped() { containerd config dump 2>/dev/null | grep -v '^imports\|enable_cdi\|sandbox_mode\| = \(""\|0\|false\|\[\]\)$' ; }
set -e
dumped >/before
divvy runtime configure --runtime containerd --runtime-path /bed/runtime >/dev/null
dumped >/after
cp -r /etc/containerd /configured
divvy runtime configure --runtime containerd --runtime-path /bed/runtime
diff -r /etc/containerd /configured
echo "lost: $(diff /before /after | grep -c '^<')"
containerd config dump 2>/dev/null | grep -c 'enable_cdi = true'
containerd config dump 2>/dev/null | grep -o 'BinaryName = .*divvy-runtime\|BinaryName = .*/bed/runtime.'
divvy runtime configure --runtime containerd --remove >/dev/null
dumped | diff /before -
rm -r /configured
"#;

in_each_bed!(containerd_keeps_what_was_configured: trixie = Trixie V1, sid = Sid V1);

fn containerd_keeps_what_was_configured(mut bed: Bed) {
    programs(&bed);
    bed.engines();
    let configurations = [
        // The package's own, which names no runtime: runc is built in, and must not get lost.
        "true",
        "containerd_config_2 >/etc/containerd/config.toml",
        // As nvidia-ctk leaves it, before containerd 2.1 with divvy's file last.
        "mkdir -p /etc/containerd/conf.d
         { echo 'imports = [\"/etc/containerd/conf.d/*.toml\"]'; containerd_config_2; } >/etc/containerd/config.toml
         { containerd_config_2; echo '[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.nvidia]'
           echo 'runtime_type = \"io.containerd.runc.v2\"'; } >/etc/containerd/conf.d/10-nvidia.toml",
    ];
    for configuration in configurations {
        let said = bed.run(&format!("{configuration}\n{DUMPED}")).ok();
        let lines: Vec<&str> = said.lines().collect();
        let [again, lost, cdi, program] = lines[..] else { panic!("{configuration}:\n{said}") };
        assert_eq!((again, lost, cdi), ("containerd: nothing to change", "lost: 0", "1"), "{said}");
        assert!(program.contains("/bed/runtime"), "{said}");
    }
}

in_each_bed!(docker_serves_a_configured_runtime: trixie = Trixie V1, sid = Sid V1);

fn docker_serves_a_configured_runtime(mut bed: Bed) {
    programs(&bed);
    bed.engines();
    bed.run(SPEC).ok();
    bed.run("docker_up && cp /etc/docker/daemon.json /was").ok();
    let configured = bed.run(&format!("{DIVVY} --runtime docker")).ok();
    assert!(configured.ends_with("To take effect: systemctl reload docker\n"), "{configured}");
    let reload = "dockerd --validate && kill -HUP $(pidof dockerd)
                  informed() { docker info --format '{{json .Runtimes}} default={{.DefaultRuntime}}' | grep -q \"$1\"; }";
    bed.run(&format!("{reload}\nawait dockerd /var/log/dockerd.log informed '\"divvy\"'")).ok();
    let ran = bed.run(
        "docker run --rm --network none --runtime divvy --device configured.test/gpu=0 localhost/debian:1 \
         sh -c 'echo CONFIGURED=$CONFIGURED'; ls /bed | grep -c '^seen-'",
    );
    assert_eq!(ran.ok(), "CONFIGURED=1\n1\n");
    bed.run(&format!("{DIVVY} --runtime docker --set-as-default")).ok();
    bed.run(&format!("{reload}\nawait dockerd /var/log/dockerd.log informed default=divvy")).ok();
    let removed = bed.run(&format!("{DIVVY} --runtime docker --remove")).ok();
    assert!(removed.contains("systemctl restart docker"), "{removed}");
    bed.run("cmp /was /etc/docker/daemon.json && dockerd --validate").ok();
}

in_each_bed!(podman_runs_the_configured_hook_and_runtime:
    bookworm = Bookworm V1, trixie = Trixie V1, sid = Sid V1);

fn podman_runs_the_configured_hook_and_runtime(mut bed: Bed) {
    programs(&bed);
    let run = "podman run --rm --rootfs $IMAGES/busybox:O true";
    let runtime = "podman info --format '{{.Host.OCIRuntime.Name}}'";
    let before = bed.run(&format!("{run} && {runtime}; ls -R /etc/containers >/was")).ok();
    let configured = bed.run(&format!("{DIVVY} --runtime podman")).ok();
    assert!(
        configured.ends_with("To take effect: nothing, the next container sees it\n"),
        "{configured}"
    );
    assert_eq!(
        bed.run(&format!("{run} && cat /bed/hooked && {runtime}")).ok(),
        format!("precreate\n{before}")
    );
    let by_name = run.replace("podman", "podman --runtime divvy");
    assert_eq!(bed.run(&format!("{by_name} && ls /bed | grep -c '^seen-'")).ok(), "1\n");
    bed.run(&format!("{DIVVY} --runtime podman --set-as-default")).ok();
    assert_eq!(bed.run(runtime).ok(), "divvy\n");
    bed.run(&format!("{DIVVY} --runtime podman --remove && rm /bed/hooked")).ok();
    assert_eq!(
        bed.run(&format!("{run} && {runtime}; ls -R /etc/containers | diff /was -")).ok(),
        before
    );
    assert!(!bed.shared("hooked").exists());
}

#[test]
#[ignore = "needs the engines: make test-engines"]
fn crio_is_not_run() {
    skip(
        "CRI-O is packaged in no Debian suite: what runtime configure writes for it is only compared, not run",
    );
}

#[test]
#[ignore = "needs the engines: make test-engines"]
fn units_are_not_run() {
    skip(
        "systemd units and the udev rule are verified, not run: that needs a machine whose first process is systemd",
    );
}
