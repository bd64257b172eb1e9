//! The application profile that limits EGL and Vulkan to the container's GPUs.
//!
//! The driver's `EGLVisibleDGPUDevices` is a mask of 64 bits, one per device minor. Without it, EGL
//! lists every GPU of the host and fails on those whose node is missing.

use std::ffi::CStr;

use rustix::fs::{AtFlags, Dir, FileType};

use super::unless_kept;
use crate::container::Container;
use crate::error::Error;
use crate::tell;

/// The folder that the driver reads, and the file that NVIDIA's own hook writes there: whichever
/// hook comes last, there is one.
const FOLDER: &str = "/etc/nvidia/nvidia-application-profiles-rc.d";
const FILE: &str = "10-container.conf";

/// Writes the profile if the container has GPUs.
pub(super) fn write(container: &Container) -> Result<(), Error> {
    let mask = mask(container)?;
    if mask == 0 {
        return Ok(());
    }
    let content = content(mask);
    unless_kept(
        container
            .folder(FOLDER)
            .and_then(|folder| folder.put_file(FILE, content.as_bytes(), 0o444)),
    )
}

fn content(mask: u64) -> String {
    format!(
        r#"{{"profiles":[{{"name":"_container_","settings":["EGLVisibleDGPUDevices",{mask:#x}]}}],"rules":[{{"pattern":[],"profile":"_container_"}}]}}"#
    )
}

/// A bit for each `/dev/nvidia<number>` of the container, by the node's minor.
fn mask(container: &Container) -> Result<u64, Error> {
    let Some(dev) = container.open_folder("/dev")? else { return Ok(0) };
    let read = Error::system("list the container's", "/dev");
    let entries = Dir::read_from(&dev).map_err(read)?;
    let mut mask = 0;
    for entry in entries {
        let entry = entry.map_err(Error::system("list the container's", "/dev"))?;
        if !is_gpu(entry.file_name()) {
            continue;
        }
        let stat = rustix::fs::statat(&dev, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(Error::system("look at the container's nodes in", "/dev"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice {
            continue;
        }
        match 1_u64.checked_shl(rustix::fs::minor(stat.st_rdev)) {
            Some(bit) => mask |= bit,
            None => tell(&format!(
                "warning: {} has no place in the application profile, which ends at minor 63",
                entry.file_name().to_string_lossy()
            )),
        }
    }
    Ok(mask)
}

fn is_gpu(name: &CStr) -> bool {
    name.to_bytes()
        .strip_prefix(b"nvidia")
        .is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_gpus_have_a_number() {
        assert!(is_gpu(c"nvidia0") && is_gpu(c"nvidia12"));
        assert!(
            !is_gpu(c"nvidia")
                && !is_gpu(c"nvidiactl")
                && !is_gpu(c"nvidia-uvm")
                && !is_gpu(c"xnvidia0")
        );
    }

    #[test]
    fn the_profile_is_json_but_for_its_hexadecimal_number() {
        let text = content(1 << 63 | 5).replace("0x8000000000000005", "1");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["profiles"][0]["name"], value["rules"][0]["profile"]);
    }
}
