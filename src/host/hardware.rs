//! What the kernel says of the machine and its PCI devices.

use super::Host;
use std::fs;

impl Host {
    /// The machine's product name, as its firmware gives it (`/sys/class/dmi/id/product_name`). `None` where
    /// there is none to read: few machines without x86's firmware have one.
    pub fn machine(&self) -> Option<String> {
        let text = fs::read_to_string(self.sys_root.join("class/dmi/id/product_name")).ok()?;
        let name = text.trim();
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// The class of a PCI device, 0x030200 for a 3D controller, by its address as sysfs writes it.
    pub fn pci_class(&self, address: &str) -> Option<u32> {
        let file = self.sys_root.join("bus/pci/devices").join(address).join("class");
        let text = fs::read_to_string(file).ok()?;
        u32::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_says_nothing_has_no_name() {
        let root = tempfile::tempdir().unwrap();
        let host = Host { sys_root: root.path().to_owned(), ..Host::default() };
        assert_eq!((host.machine(), host.pci_class("0000:1a:00.0")), (None, None));
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("class/dmi/id/product_name", " \n");
        assert_eq!(host.machine(), None);
        write("class/dmi/id/product_name", "PowerEdge R750xa\n");
        assert_eq!(host.machine().as_deref(), Some("PowerEdge R750xa"));
        write("bus/pci/devices/0000:1a:00.0/class", "0x030200\n");
        assert_eq!(host.pci_class("0000:1a:00.0"), Some(0x03_0200));
        write("bus/pci/devices/0000:1a:00.0/class", "compute\n");
        assert_eq!(host.pci_class("0000:1a:00.0"), None);
    }
}
