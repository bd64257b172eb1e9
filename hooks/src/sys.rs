//! The system calls that `rustix` does not have. Nothing else in this crate is unsafe.
#![allow(unsafe_code)] // Raw system calls; each states why it is sound.

use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

/// Mount attributes and propagation, as `mount_setattr(2)` takes them.
pub(crate) struct MountAttributes {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
}

/// Removes every variable of the environment.
pub(crate) fn clear_environment() -> Result<(), Errno> {
    // SAFETY: the hook has one thread, so nobody reads the environment meanwhile.
    match unsafe { libc::clearenv() } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// While this lives, files are looked up and made as somebody else; then as root again.
#[derive(Debug)]
pub(crate) struct ActingAs(());

/// Becomes this uid and gid for files. The kernel takes root's rights over files away meanwhile.
pub(crate) fn act_as((uid, gid): (u32, u32)) -> ActingAs {
    // SAFETY: both take an integer and touch no memory. They report nothing: what then can't be made says so.
    unsafe {
        libc::setfsgid(gid);
        libc::setfsuid(uid);
    }
    ActingAs(())
}

impl Drop for ActingAs {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            libc::setfsuid(0);
            libc::setfsgid(0);
        }
    }
}

/// Closes every file descriptor from `first` on. To be called before any of them has an owner here.
pub(crate) fn close_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: takes three integers; nothing in this process owns one of the descriptors yet.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, RawFd::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// Changes the mount that `fd` is the root of, with `recursive` also those below.
pub(crate) fn mount_setattr(
    fd: BorrowedFd<'_>,
    recursive: bool,
    attributes: &MountAttributes,
) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // The kernel's struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
    let attr = [attributes.set, attributes.clear, attributes.propagation, 0];
    // SAFETY: the path is an empty C string, `attr` has the layout and the size that are given, and
    // both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            attr.as_ptr(),
            size_of_val(&attr),
        )
    };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// Becomes the program behind `fd`, with an empty environment. Returns only when it can't.
pub(crate) fn exec(fd: BorrowedFd<'_>, args: &[&CStr]) -> Errno {
    let mut argv: Vec<*const c_char> = args.iter().map(|arg| arg.as_ptr()).collect();
    argv.push(std::ptr::null());
    let envp: [*const c_char; 1] = [std::ptr::null()];
    // SAFETY: path, arguments and environment are C strings and arrays that end in null, and they
    // outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    last_error()
}

/// The kernel's numbers for `bpf(2)`.
mod bpf_command {
    pub(super) const PROG_LOAD: libc::c_int = 5;
    pub(super) const PROG_ATTACH: libc::c_int = 8;
    pub(super) const PROG_DETACH: libc::c_int = 9;
    pub(super) const PROG_GET_FD_BY_ID: libc::c_int = 13;
    pub(super) const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
    pub(super) const PROG_QUERY: libc::c_int = 16;
}

/// `BPF_PROG_TYPE_CGROUP_DEVICE` and `BPF_CGROUP_DEVICE`: programs that decide on opening devices.
const DEVICE_PROGRAM: u32 = 15;
const DEVICE_HOOK: u32 = 6;
/// The most programs that the kernel lets a cgroup have.
const MAX_PROGRAMS: usize = 64;
/// The most instructions that the kernel loads of a program.
const MAX_INSTRUCTIONS: u32 = 1_000_000;

/// The programs of one cgroup.
#[derive(Debug)]
pub(crate) struct DevicePrograms {
    pub(crate) ids: Vec<u32>,
    /// With what flags they were attached.
    pub(crate) flags: u32,
}

/// Which device programs are attached to a cgroup itself.
pub(crate) fn device_programs(cgroup: BorrowedFd<'_>) -> Result<DevicePrograms, Errno> {
    #[repr(C)]
    struct Query {
        target: u32,
        hook: u32,
        query_flags: u32,
        attach_flags: u32,
        ids: u64,
        count: u32,
        padding: u32,
    }
    let mut ids = [0_u32; MAX_PROGRAMS];
    let mut query = Query {
        target: descriptor(cgroup),
        hook: DEVICE_HOOK,
        query_flags: 0,
        attach_flags: 0,
        ids: address(ids.as_mut_ptr()),
        count: u32::try_from(MAX_PROGRAMS).map_err(|_| Errno::INVAL)?,
        padding: 0,
    };
    // SAFETY: the layout is the kernel's for this command, and `ids` has room for `count` numbers and
    // outlives the call.
    unsafe { bpf(bpf_command::PROG_QUERY, &mut query)? };
    let found = usize::try_from(query.count).map_err(|_| Errno::INVAL)?;
    let ids = ids.get(..found).ok_or(Errno::NOSPC)?.to_vec();
    Ok(DevicePrograms { ids, flags: query.attach_flags })
}

/// Opens the program with this id.
pub(crate) fn program(id: u32) -> Result<OwnedFd, Errno> {
    // id, next_id, open_flags
    let mut attr = [id, 0, 0];
    // SAFETY: the layout is the kernel's for this command, which takes no pointers.
    owned(unsafe { bpf(bpf_command::PROG_GET_FD_BY_ID, &mut attr)? })
}

/// The instructions of a program; `None` where the kernel keeps them to itself.
pub(crate) fn instructions(program: BorrowedFd<'_>) -> Result<Option<Vec<u64>>, Errno> {
    let length = program_info(program, &mut [])?.xlated_length;
    if length == 0 || length > MAX_INSTRUCTIONS * 8 || !length.is_multiple_of(8) {
        return Ok(None);
    }
    let mut found = vec![0_u64; usize::try_from(length / 8).map_err(|_| Errno::INVAL)?];
    let info = program_info(program, &mut found)?;
    // It answers with no address where it has not copied them.
    Ok((info.xlated != 0 && info.xlated_length == length).then_some(found))
}

/// The beginning of the kernel's struct bpf_prog_info.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_length: u32,
    xlated_length: u32,
    jited: u64,
    xlated: u64,
}

fn program_info(program: BorrowedFd<'_>, room: &mut [u64]) -> Result<ProgramInfo, Errno> {
    #[repr(C)]
    struct Get {
        program: u32,
        length: u32,
        info: u64,
    }
    let mut info = ProgramInfo {
        xlated_length: u32::try_from(size_of_val(room)).map_err(|_| Errno::INVAL)?,
        xlated: if room.is_empty() { 0 } else { address(room.as_mut_ptr()) },
        ..ProgramInfo::default()
    };
    let mut get = Get {
        program: descriptor(program),
        length: u32::try_from(size_of::<ProgramInfo>()).map_err(|_| Errno::INVAL)?,
        info: address(&raw mut info),
    };
    // SAFETY: the layouts are the kernel's for this command; it writes at most `length` bytes to `info` and
    // `xlated_length` bytes to `room`, and both outlive the call.
    unsafe { bpf(bpf_command::OBJ_GET_INFO_BY_FD, &mut get)? };
    Ok(info)
}

/// Loads a program that decides on opening devices.
pub(crate) fn load_device_program(instructions: &[u64]) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
        name: [u8; 16],
        interface: u32,
        hook: u32,
    }
    let mut load = Load {
        kind: DEVICE_PROGRAM,
        count: u32::try_from(instructions.len()).map_err(|_| Errno::INVAL)?,
        instructions: address(instructions.as_ptr()),
        license: address(c"Apache".as_ptr()),
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"divvy_devices\0\0\0",
        interface: 0,
        hook: DEVICE_HOOK,
    };
    // SAFETY: the layout is the kernel's for this command; it reads `count` instructions and a C string,
    // which outlive the call. What they do is the kernel's verifier to judge.
    owned(unsafe { bpf(bpf_command::PROG_LOAD, &mut load)? })
}

/// Attaches a device program to a cgroup; in the place of `old`, where that is given.
pub(crate) fn attach_device_program(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    flags: u32,
    old: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    // target, program, hook, flags, program to replace
    let mut attr =
        [descriptor(cgroup), descriptor(program), DEVICE_HOOK, flags, old.map_or(0, descriptor)];
    // SAFETY: the layout is the kernel's for this command, which takes no pointers.
    unsafe { bpf(bpf_command::PROG_ATTACH, &mut attr) }.map(drop)
}

/// Takes a device program away from a cgroup.
pub(crate) fn detach_device_program(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let mut attr = [descriptor(cgroup), descriptor(program), DEVICE_HOOK, 0, 0];
    // SAFETY: the layout is the kernel's for this command, which takes no pointers.
    unsafe { bpf(bpf_command::PROG_DETACH, &mut attr) }.map(drop)
}

/// Calls `bpf(2)`.
///
/// # Safety
/// `attr` must have the kernel's layout for the command, and its addresses must be good for what the command
/// does with them.
unsafe fn bpf<T>(command: libc::c_int, attr: &mut T) -> Result<i64, Errno> {
    // SAFETY: `attr` is writable for the size that is given; the rest is the caller's to see to.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 { Err(last_error()) } else { Ok(result) }
}

fn owned(descriptor: i64) -> Result<OwnedFd, Errno> {
    let descriptor = RawFd::try_from(descriptor).map_err(|_| Errno::INVAL)?;
    // SAFETY: the kernel has just given this descriptor to the caller, close-on-exec, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn descriptor(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}
