//! The fragments of `/proc` and `/sys` that tell of GPUs.

use super::devices::drm;
use super::files::{at, file, folder};
use crate::capabilities;
use crate::node::{Gpu, Node};
use crate::state::State;
use std::fs;

const PARAMS: &str = "\
ResmanDebugLevel: 4294967295
ModifyDeviceFiles: 1
DeviceFileUID: 0
DeviceFileGID: 0
DeviceFileMode: 438
EnableMSI: 1
InitializeSystemMemoryAllocations: 1
EnableStreamMemOPs: 0
EnableResizableBar: 0
";

const DEVICES: &str = "\
Character devices:
  1 mem
  5 /dev/tty
195 nvidia
195 nvidia-modeset
195 nvidiactl
226 drm
509 nvidia-caps-imex-channels
510 nvidia-uvm
511 nvidia-caps

Block devices:
  7 loop
259 blkext
";

const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "aarch64" } else { "x86_64" };

/// Writes the fragments of `/proc`.
pub(super) fn write_proc(node: &Node, state: &State) -> Result<(), String> {
    let driver = node.path("proc/driver/nvidia");
    let version = &node.file.driver_version;
    let version = format!("NVRM version: NVIDIA UNIX {ARCHITECTURE} Kernel Module  {version}\n");
    file(&driver.join("version"), version)?;
    file(&driver.join("params"), PARAMS)?;
    file(&node.path("proc/devices"), DEVICES)?;
    let minors = node.path("proc/driver/nvidia-caps/mig-minors");
    file(&minors, capabilities::mig_minors(node))?;
    let management = driver.join("capabilities/mig");
    file(&management.join("config"), capabilities::access(1, 0o400))?;
    file(&management.join("monitor"), capabilities::access(2, 0o444))?;
    for (index, gpu) in node.file.gpus.iter().enumerate() {
        let text = information(node, gpu, node.product(index));
        file(&driver.join("gpus").join(&gpu.pci).join("information"), text)?;
    }
    write_boot_id(node, state)?;
    capabilities::publish(node, state, None)
}

/// Writes the boot id that the state holds.
pub fn write_boot_id(node: &Node, state: &State) -> Result<(), String> {
    file(&node.path("proc/sys/kernel/random/boot_id"), format!("{}\n", state.boot_id))
}

fn information(node: &Node, gpu: &Gpu, product: &str) -> String {
    let rows = [
        ("Model:", product),
        ("IRQ:", "100"),
        ("GPU UUID:", &gpu.uuid),
        ("Video BIOS:", "96.00.00.00.00"),
        ("Bus Type:", "PCIe"),
        ("DMA Size:", "52 bits"),
        ("DMA Mask:", "0xfffffffffffff"),
        ("Bus Location:", &gpu.pci),
        ("Device Minor:", &gpu.minor.to_string()),
        ("GPU Firmware:", &node.file.driver_version),
        ("GPU Excluded:", "No"),
    ];
    rows.iter().map(|(name, value)| format!("{name}\t {value}\n")).collect()
}

/// Makes the module's folder in `/sys` anew: its inode tells one load of the driver from another.
pub fn load_driver(node: &Node) -> Result<(), String> {
    let modules = node.path("sys/module");
    let (module, next) = (modules.join("nvidia"), modules.join("nvidia.next"));
    file(&next.join("version"), format!("{}\n", node.file.driver_version))?;
    // The old one goes last, so that the new one can't be given its inode.
    let old = modules.join("nvidia.old");
    if module.exists() {
        at(&module, fs::rename(&module, &old))?;
    }
    at(&next, fs::rename(&next, &module))?;
    if old.exists() { at(&old, fs::remove_dir_all(&old)) } else { Ok(()) }
}

/// Writes the fragments of `/sys`.
pub(super) fn write_sys(node: &Node) -> Result<(), String> {
    load_driver(node)?;
    file(&node.path("sys/class/dmi/id/product_name"), "Simulated Node 7\n")?;
    for (index, (gpu, board)) in (0..).zip(node.file.gpus.iter().zip(&node.boards)) {
        let pci = node.path("sys/bus/pci/devices").join(&gpu.pci);
        file(&pci.join("vendor"), format!("{:#06x}\n", board.pci_device & 0xffff))?;
        file(&pci.join("device"), format!("{:#06x}\n", board.pci_device >> 16))?;
        file(&pci.join("class"), "0x030200\n")?;
        file(&pci.join("numa_node"), "0\n")?;
        // Writing 1 to it would reset the GPU; a guest may lack it.
        file(&pci.join("reset"), "")?;
        let (card, render) = drm(index);
        folder(&pci.join(format!("drm/card{card}")))?;
        folder(&pci.join(format!("drm/renderD{render}")))?;
    }
    Ok(())
}
