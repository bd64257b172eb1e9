use super::*;

const ONE: &str = "gpus:\n- {board: A30-24GB, uuid: GPU-1, minor: 0, pci: 0000:10:00.0";

fn read(text: &str) -> Result<Node, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), text).unwrap();
    Node::read(dir.path())
}

fn refusal(text: &str) -> String {
    read(text).unwrap_err()
}

#[test]
fn what_is_not_said_has_its_default() {
    let node = read(&format!("{ONE}}}\n")).unwrap();
    assert_eq!(node.file.driver_version, "550.163.01");
    assert!(node.file.nvml.needs_root && !node.file.gpus[0].mig);
    assert_eq!(node.product(0), "NVIDIA A30");
}

#[test]
fn what_is_written_is_read_again() {
    let node =
        read(&format!("{ONE}, mig: true, mig-devices: [{{profile: 1g.6gb, gi: 3}}]}}\n")).unwrap();
    let text = serde_saphyr::to_string(&node.file).unwrap();
    assert_eq!(read(&text).unwrap().file, node.file);
}

#[test]
fn a_mistake_is_named_with_its_line() {
    let why = refusal(&format!("{ONE}}}\nnvml:\n  init-ms: soon\n"));
    assert!(why.contains("node.yaml: line 4"), "{why}");
    let why = refusal("gpus: []\ngpu: []\n");
    assert!(why.contains("line 2") && why.contains("gpu"), "{why}");
}

#[test]
fn what_no_gpu_can_be_is_refused() {
    let of = |rest: &str| refusal(&format!("{ONE}{rest}}}\n"));
    assert!(of(", mig-devices: [{profile: 1g.6gb}]").contains("`mig: true`"));
    assert!(
        refusal("gpus: [{board: T4, uuid: GPU-1, minor: 0, pci: 0000:10:00.0, mig: true}]")
            .contains("no MIG")
    );
    assert!(refusal("gpus: [{board: T4, uuid: X, minor: 0, pci: 0000:10:00.0}]").contains("GPU-"));
    assert!(
        refusal("gpus: [{board: T4, uuid: GPU-1, minor: 0, pci: \"10\"}]").contains("0000:1a:00.0")
    );
    assert!(
        refusal("gpus: [{board: V100, uuid: GPU-1, minor: 0, pci: 0000:10:00.0}]")
            .contains("GPU 0")
    );
}

#[test]
fn a_node_has_64_gpus_at_most() {
    let of = |count: usize| {
        let gpu = |index| {
            format!(
                "- {{board: T4, uuid: GPU-{index}, minor: {index}, pci: 0000:{index:02x}:00.0}}\n"
            )
        };
        format!("gpus:\n{}", (0..count).map(gpu).collect::<String>())
    };
    assert_eq!(read(&of(64)).unwrap().boards.len(), 64);
    assert!(refusal(&of(65)).contains("64 at most"));
}

#[test]
fn two_gpus_may_claim_one_minor() {
    // No node should, and programs have to notice: so a simulated one can.
    assert!(
        read(&format!("{ONE}}}\n- {{board: T4, uuid: GPU-2, minor: 0, pci: 0000:12:00.0}}\n"))
            .is_ok()
    );
}

#[test]
fn the_nearest_folder_above_is_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("driver/lib");
    fs::create_dir_all(&inner).unwrap();
    assert_eq!(above(&inner.join("x.so")), None);
    fs::write(dir.path().join(FILE), "").unwrap();
    assert_eq!(above(&inner.join("x.so")), Some(dir.path()));
}
