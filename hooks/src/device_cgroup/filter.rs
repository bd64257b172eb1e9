//! cgroup version 2: the BPF program that decides on opening devices, replaced by one that allows more.
//!
//! Several programs of a cgroup must all agree, so adding one that allows a device helps nothing. The program
//! that is there is read back from the kernel, a few instructions are put in front of it that say yes to just
//! the devices wanted, and the result takes its place. Whatever else it decided, it still decides.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::{CgroupError, DeviceRule};
use crate::sys;

/// `BPF_F_ALLOW_MULTI` and `BPF_F_REPLACE`.
const ALLOW_MULTI: u32 = 2;
const REPLACE: u32 = 4;

/// Lets the processes of a cgroup open these devices as well.
pub(super) fn allow(cgroup: BorrowedFd<'_>, rules: &[DeviceRule]) -> Result<(), CgroupError> {
    let failed = |action| move |source| CgroupError::Bpf { action, source };
    let programs = sys::device_programs(cgroup).map_err(failed("list"))?;
    // Without a program, nothing is decided here.
    for id in programs.ids {
        let old = sys::program(id).map_err(failed("open"))?;
        let known = sys::instructions(old.as_fd()).map_err(failed("read"))?;
        let known = known.ok_or(CgroupError::Hidden)?;
        let instructions: Vec<u64> =
            rules.iter().flat_map(|rule| rule.instructions()).chain(known).collect();
        let new = sys::load_device_program(&instructions).map_err(failed("load"))?;
        replace(cgroup, &old, &new, programs.flags).map_err(failed("replace"))?;
    }
    Ok(())
}

/// At no moment is nothing decided: where the kernel can't replace one program by another (before Linux 5.6),
/// both decide for a moment, and that denies more.
fn replace(cgroup: BorrowedFd<'_>, old: &OwnedFd, new: &OwnedFd, flags: u32) -> Result<(), Errno> {
    if flags & ALLOW_MULTI == 0 {
        // The one program that there can be is replaced by attaching another.
        return sys::attach_device_program(cgroup, new.as_fd(), flags, None);
    }
    match sys::attach_device_program(cgroup, new.as_fd(), flags | REPLACE, Some(old.as_fd())) {
        Err(Errno::INVAL) => {
            sys::attach_device_program(cgroup, new.as_fd(), flags, None)?;
            sys::detach_device_program(cgroup, old.as_fd())
        }
        replaced => replaced,
    }
}

/// Instruction codes of BPF, as far as they are needed.
mod code {
    pub(super) const LOAD_WORD: u8 = 0x61;
    pub(super) const AND_WORD: u8 = 0x54;
    pub(super) const JUMP_UNLESS_EQUAL: u8 = 0x55;
    pub(super) const MOVE: u8 = 0xb7;
    pub(super) const EXIT: u8 = 0x95;
}

/// `BPF_DEVCG_DEV_BLOCK` and `BPF_DEVCG_DEV_CHAR`.
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;

impl DeviceRule {
    /// Ends with yes where the question is whether this device may be used; else changes nothing that the
    /// instructions behind it could rely on: a program begins with its context in register 1 and no more.
    ///
    /// The context is the kernel's struct bpf_cgroup_dev_ctx: kind and access in the halves of one word,
    /// major, minor.
    fn instructions(&self) -> [u64; 9] {
        let kind = if self.block { BLOCK } else { CHARACTER };
        [
            instruction(code::LOAD_WORD, (2, 1), 0, 0),
            instruction(code::AND_WORD, (2, 0), 0, 0xffff),
            instruction(code::LOAD_WORD, (3, 1), 4, 0),
            instruction(code::LOAD_WORD, (4, 1), 8, 0),
            instruction(code::JUMP_UNLESS_EQUAL, (2, 0), 4, kind),
            instruction(code::JUMP_UNLESS_EQUAL, (3, 0), 3, self.major.cast_signed()),
            instruction(code::JUMP_UNLESS_EQUAL, (4, 0), 2, self.minor.cast_signed()),
            instruction(code::MOVE, (0, 0), 0, 1),
            instruction(code::EXIT, (0, 0), 0, 0),
        ]
    }
}

/// One instruction, as a little-endian machine has it in memory: code, registers, offset, number.
fn instruction(code: u8, (to, from): (u8, u8), offset: i16, number: i32) -> u64 {
    u64::from(code)
        | u64::from(to | from << 4) << 8
        | u64::from(offset.cast_unsigned()) << 16
        | u64::from(number.cast_unsigned()) << 32
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A program that allows these devices and nothing else.
    pub(in crate::device_cgroup) fn allowing(rules: &[DeviceRule]) -> Vec<u64> {
        let no = [instruction(code::MOVE, (0, 0), 0, 0), instruction(code::EXIT, (0, 0), 0, 0)];
        rules.iter().flat_map(DeviceRule::instructions).chain(no).collect()
    }
}
