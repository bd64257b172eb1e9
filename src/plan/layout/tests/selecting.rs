//! Which GPUs a layout is for.

use super::entries;
use crate::inventory::{Inventory, PciIds, Unusable};
use crate::plan::layout::select;
use crate::plan::tests::boards;

const A100: u32 = 0x20B0_10DE;
const H100: u32 = 0x2330_10DE;

/// GPU 0 and 1 are H100s, GPU 2 is an A100, GPU 3 an A30, GPU 4 an L4, which can't do MIG.
fn mixed() -> Inventory {
    let mut inventory = boards::mixed();
    let devices = [H100, H100, A100, 0x20B7_10DE, 0x27B8_10DE];
    for (gpu, device) in inventory.gpus.iter_mut().zip(devices) {
        gpu.pci_ids = PciIds { device, subsystem: 0x1 };
    }
    inventory
}

fn chosen(list: &str) -> Result<Vec<u32>, String> {
    let inventory = mixed();
    let entries = entries(list);
    let selection = select(&entries, &inventory).map_err(|error| error.to_string())?;
    Ok(selection.targets.iter().map(|target| target.gpu.index).collect())
}

#[test]
fn filters_and_indices_choose() {
    let off = "mig-enabled: false";
    for (list, gpus) in [
        (format!("[{{devices: all, {off}}}]"), vec![0, 1, 2, 3]),
        (format!("[{{devices: [3, 1], {off}}}]"), vec![1, 3]),
        (format!("[{{device-filter: '0x20B010DE', devices: all, {off}}}]"), vec![2]),
        (
            format!("[{{device-filter: ['0x20B010DE', '0x233010DE'], devices: all, {off}}}]"),
            vec![0, 1, 2],
        ),
        (format!("[{{device-filter: '0x233010DE:0x00000001', devices: [1], {off}}}]"), vec![1]),
        // Of boards that are not here, beside one that is.
        (
            format!(
                "[{{device-filter: '0x11110001', devices: [7], {off}}}, {{devices: [0], {off}}}]"
            ),
            vec![0],
        ),
        // Twice the same.
        (format!("[{{devices: all, {off}}}, {{devices: [0], {off}}}]"), vec![0, 1, 2, 3]),
        // What can't do MIG is whole already.
        (format!("[{{devices: [4], {off}}}]"), vec![]),
        ("[{devices: all, mig-enabled: true, mig-devices: {}}]".to_owned(), vec![0, 1, 2, 3]),
    ] {
        assert_eq!(chosen(&list).unwrap(), gpus, "{list}");
    }
}

#[test]
fn what_chooses_nothing_is_an_error() {
    let on = "mig-enabled: true, mig-devices: {}";
    for (list, part) in [
        (
            "[{devices: [9], mig-enabled: false}]".to_owned(),
            "there is no GPU 9: this node has GPUs 0 to 4",
        ),
        (
            "[{device-filter: '0x11110001', devices: all, mig-enabled: false}]".to_owned(),
            "for no GPU of this node",
        ),
        (
            "[{device-filter: '0x233010DE', devices: [0, 2], mig-enabled: false}]".to_owned(),
            "GPU 2 is 0x20B010DE",
        ),
        (format!("[{{devices: [4], {on}}}]"), "GPU 4 (NVIDIA L4) can't do MIG"),
        (
            format!("[{{devices: all, {on}}}, {{devices: [1], mig-enabled: false}}]"),
            "GPU 1 is to be two things at once",
        ),
    ] {
        let said = chosen(&list).unwrap_err();
        assert!(said.contains(part), "{said}");
    }
    let entries = entries("[{devices: all, mig-enabled: false}]");
    let none = Inventory::default();
    assert!(select(&entries, &none).unwrap_err().to_string().contains("no GPU that answers"));
}

#[test]
fn what_is_left_out_is_said() {
    let mut inventory = mixed();
    inventory.unusable.push(Unusable { index: 5, says: "it is lost".into() });
    let all = entries("[{devices: all, mig-enabled: true, mig-devices: {}}]");
    let notes = select(&all, &inventory).unwrap().notes;
    let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        ["GPU 5 is left out: it is lost", "GPU 4 (NVIDIA L4) can't do MIG and is left out"]
    );
    let named = entries("[{devices: [5], mig-enabled: false}]");
    let said = select(&named, &inventory).unwrap_err().to_string();
    assert_eq!(said, "GPU 5 can't be used: it is lost");
}
