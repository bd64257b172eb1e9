//! The commands of the engines' pages, run as they stand there: the `sh` blocks of a page one after the other, on a
//! node as `make install` leaves it. Only the image is another one, and there is no network: nothing can be pulled here.

use super::site::{Road, assert_all_gone, site};
use super::{Bed, in_each_bed};
use std::fs;
use std::path::Path;

/// The `sh` blocks of a page.
fn commands(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = fs::read_to_string(path).unwrap();
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
            assert_eq!(ran, "/run/nvidia-mps\n", "{command}");
        }
    }
    assert_all_gone(bed, page);
}

in_each_bed!(the_page_of_podman: trixie = Trixie V1, sid = Sid V2, bookworm = Bookworm V1);

fn the_page_of_podman(mut bed: Bed) {
    site(&mut bed);
    bed.run("rm /etc/cdi/divvy-requests.json").ok();
    run(&mut bed, "podman.md", "--rootfs $IMAGES/debian:O");
}

in_each_bed!(the_page_of_docker: trixie = Trixie V1);

fn the_page_of_docker(mut bed: Bed) {
    // Set up and started again, as the page says.
    Road::Wrapper.daemon(&mut bed, "docker");
    bed.run("rm /etc/cdi/divvy-requests.json").ok();
    run(&mut bed, "docker.md", "localhost/debian:1");
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
