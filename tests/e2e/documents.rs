//! The commands of the engines' pages, run as they stand there: the `sh` blocks of a page one after the other, on a
//! node as `make install` leaves it. Only the image is another one, and there is no network: nothing can be pulled here.

use super::site::{Road, assert_all_gone, site};
use super::{Bed, in_each_bed};
use crate::documents::{Ground, compare, sessions};
use std::fs;
use std::path::{Path, PathBuf};

fn path(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(page)
}

/// The `sh` blocks of a page.
fn commands(page: &str) -> Vec<String> {
    let text = fs::read_to_string(path(page)).unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).filter(|line| !line.trim().is_empty());
    lines.map(str::to_owned).collect()
}

/// Runs a page's commands, each of which must succeed, and sees what the first ones print.
#[track_caller]
fn run(bed: &mut Bed, page: &str, image: &str) {
    let commands = commands(page);
    assert!(commands.len() > 8, "{page}: {commands:?}");
    for command in commands {
        let typed = command.replace(" debian ", &format!(" {image} "));
        let typed = typed.replace("docker run ", "docker run --network none ");
        let ran = bed.run(&typed).ok();
        if command.contains("ls /dev/nvidia-caps") {
            let nodes = ran.lines().filter(|line| line.starts_with("nvidia-cap"));
            assert_eq!(nodes.count(), 2, "{ran}");
        }
        if command.contains("CUDA_MPS_PIPE_DIRECTORY") {
            assert_eq!(ran, "/tmp/nvidia-mps\n", "{command}");
        }
    }
    assert_all_gone(bed, page);
}

in_each_bed!(the_page_of_podman: trixie = Trixie V1, sid = Sid V2, bookworm = Bookworm V1);

fn the_page_of_podman(mut bed: Bed) {
    site(&mut bed);
    bed.run("rm /etc/cdi/divvy-requests.json").ok();
    run(&mut bed, "docs/podman.md", "--rootfs $IMAGES/debian:O");
}

in_each_bed!(the_page_of_docker: trixie = Trixie V1);

fn the_page_of_docker(mut bed: Bed) {
    // Set up and started again, as the page says.
    Road::Wrapper.daemon(&mut bed, "docker");
    bed.run("rm /etc/cdi/divvy-requests.json").ok();
    run(&mut bed, "docs/docker.md", "localhost/debian:1");
}

/// A machine as a new user has it: Debian with podman and an image, and a driver. Nothing of divvy's is on it but the
/// clone in which the package was built; commands are typed there.
fn machine(bed: &mut Bed) {
    bed.run(
        "set -e
         # Where a simulated driver is can't be found by itself; the modes of its GPUs stay nobody's to change.
         fake-node create /node --gpu H100-80GB:2 --managed >/dev/null
         mkdir -p /etc/divvy; sed -n '/^host:/,$p' /node/config.yaml | grep -v state-dir >/etc/divvy/config.yaml
         cp -a /node/dev/. /dev/
         $DIVVY_REPOSITORY/tests/e2e/docker-archive.py $IMAGES/debian localhost/debian:latest | podman load --quiet >/dev/null",
    )
    .ok();
}

in_each_bed!(the_first_steps: trixie = Trixie Own);

/// `UPDATE_PAGES=1` (`tools/transcript`) writes the page anew.
fn the_first_steps(mut bed: Bed) {
    const PAGE: &str = "docs/first-steps.md";
    let text = fs::read_to_string(path(PAGE)).unwrap();
    let sessions = sessions(&text);
    let [session] = sessions.as_slice() else {
        panic!("one machine, and here are {}", sessions.len())
    };
    assert_eq!(session.ground, Ground::Package);
    // As printed, from the README alone.
    let typed: Vec<&str> = session.shown.iter().map(|shown| shown.command.as_str()).collect();
    let readme = commands("README.md");
    assert!(readme.len() > 3, "{readme:?}");
    let mut steps = typed.iter();
    for command in &readme {
        assert!(steps.any(|step| step == command), "{PAGE} lacks {command}, or has it elsewhere");
    }
    machine(&mut bed);
    let printed = typed.iter().map(|command| {
        let ran = bed.run(&format!(
            "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin COLUMNS=120
             cd $DIVVY_REPOSITORY; exec 2>&1 </dev/null\n{command}"
        ));
        ran.stdout.lines().map(|line| line.trim_end().to_owned()).collect()
    });
    let wrong = compare(&path(PAGE), session.shown.iter().zip(printed));
    assert!(wrong.is_empty(), "these print something else than is shown:\n{}", wrong.join("\n"));
}

in_each_bed!(the_unit_of_quadlet: trixie = Trixie V1, sid = Sid V1);

fn the_unit_of_quadlet(mut bed: Bed) {
    let said = bed.run(
        "QUADLET_UNIT_DIRS=$DIVVY_REPOSITORY/examples/quadlet /usr/lib/systemd/system-generators/podman-system-generator --dryrun",
    );
    let unit = said.ok();
    assert!(unit.contains("--device divvy/gpu=mig-1g.10gb"), "{unit}");
}

in_each_bed!(the_file_of_compose: trixie = Trixie V1);

fn the_file_of_compose(mut bed: Bed) {
    Road::Wrapper.daemon(&mut bed, "docker");
    let example = "$DIVVY_REPOSITORY/examples/compose/compose.yaml";
    let compose = "$DIVVY_TEST_CACHE/compose/usr/libexec/docker/cli-plugins/docker-compose";
    bed.run(&format!(
        "sed -e 's|image: debian|image: localhost/debian:1\\n    network_mode: none|' {example} >/compose.yaml
         cd / && {compose} --project-name example up --detach"
    ))
    .ok();
    let status = bed.run("divvy status").ok();
    assert!(status.contains("3g.40gb at") && status.contains("1g.10gb at"), "{status}");
    bed.run(&format!("cd / && {compose} --project-name example down --timeout 0")).ok();
    assert_all_gone(&mut bed, "down");
}
