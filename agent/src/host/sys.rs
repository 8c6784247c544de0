//! System calls that no library of ours wraps.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
    path::Path,
};

use rustix::mount::MountPropagationFlags;

/// The descriptor after standard input, output and error.
const FIRST_AFTER_STREAMS: RawFd = 3;

/// Changes the properties of the mount that `tree` stands for: mount_setattr(2) on the mount
/// itself.
///
/// `set` holds `MOUNT_ATTR_*` flags; `idmap` is a user namespace whose mapping the mount is to
/// show.
///
/// # Errors
/// The errno of the call; EINVAL when the file system does not support idmapped mounts.
pub fn mount_setattr(
    tree: BorrowedFd<'_>,
    set: u64,
    idmap: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut attributes = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        // libc's MS_PRIVATE is as wide as a long.
        propagation: u64::from(MountPropagationFlags::PRIVATE.bits()),
        userns_fd: 0,
    };
    if let Some(namespace) = idmap {
        attributes.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attributes.userns_fd = u64::from(namespace.as_raw_fd().unsigned_abs());
    }
    // SAFETY: the path is a NUL-terminated string, and the structure is initialised and of the size
    // passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Starts a process that waits in a user namespace of its own until it is killed: clone(2).
///
/// # Errors
/// The errno of the call.
pub fn wait_in_user_namespace() -> io::Result<rustix::process::Pid> {
    let flags = libc::c_long::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    // SAFETY: without CLONE_VM the child has a copy of everything, as after fork(2); it does system
    // calls only.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) };
    match i32::try_from(pid) {
        Ok(0) => loop {
            // SAFETY: a system call without pointers; it dies with the thread that made it.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            // SAFETY: a system call without arguments.
            unsafe { libc::pause() };
        },
        Ok(pid) => rustix::process::Pid::from_raw(pid).ok_or_else(io::Error::last_os_error),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Whether the kernel has Landlock, and it was not left out at boot (landlock_create_ruleset(2)).
#[must_use]
pub fn has_landlock() -> bool {
    const VERSION: libc::c_ulong = 1;
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: without attributes, the call only returns a version.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) };
    version > 0
}

/// The part of `union bpf_attr` that `BPF_PROG_QUERY` uses.
#[repr(C)]
#[derive(Default)]
struct BpfQuery {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_count: u32,
    padding: u32,
}

/// Whether the kernel can filter the use of devices in cgroups like `cgroup` by programs (bpf(2));
/// `None` when it does not tell.
#[must_use]
pub fn filters_devices(cgroup: &Path) -> Option<bool> {
    const PROG_QUERY: libc::c_ulong = 16;
    const CGROUP_DEVICE: u32 = 6;
    let cgroup = std::fs::File::open(cgroup).ok()?;
    let mut query = BpfQuery {
        target_fd: cgroup.as_fd().as_raw_fd().unsigned_abs(),
        attach_type: CGROUP_DEVICE,
        ..BpfQuery::default()
    };
    let size = size_of_val(&query);
    // SAFETY: the structure is initialised and of the size passed; the kernel writes to nothing
    // else.
    let result = unsafe { libc::syscall(libc::SYS_bpf, PROG_QUERY, &raw mut query, size) };
    if result >= 0 {
        return Some(true);
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::ENOSYS | libc::EINVAL) => Some(false),
        _ => None,
    }
}

/// Closes every descriptor but the standard streams (close_range(2)).
///
/// The calling thread must have descriptors of its own (unshare(2), `CLONE_FILES`).
///
/// # Errors
/// The system's.
pub(crate) fn close_all_but_streams() -> io::Result<()> {
    // SAFETY: takes plain integers; nothing owns the thread's copies of descriptors.
    let result = unsafe { libc::syscall(libc::SYS_close_range, FIRST_AFTER_STREAMS, u32::MAX, 0) };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() != Some(libc::ENOSYS) {
        return Err(error);
    }
    // Linux before 5.9.
    let names: Vec<_> = std::fs::read_dir("/proc/thread-self/fd")?
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    let numbers = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    for number in numbers.filter(|number| *number >= FIRST_AFTER_STREAMS) {
        // SAFETY: takes a plain integer; as above.
        unsafe { libc::close(number) };
    }
    Ok(())
}

/// Takes ownership of a descriptor that a wrapper returned as a bare number.
pub(crate) fn own(raw: RawFd) -> OwnedFd {
    // SAFETY: the callers pass a descriptor that a system call has just made for them.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

/// Addresses that a process has mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first one.
    pub start: usize,
    /// How many bytes.
    pub length: usize,
}

/// Has the kernel write the pages of `process` in `ranges` to where they belong, and take them from
/// memory: process_madvise(2) with `MADV_PAGEOUT`. Those that it cannot do that with stay: locked
/// ones, for example, or those without swap.
///
/// # Errors
/// The system's: ENOSYS before Linux 5.10.
pub fn page_out(process: BorrowedFd<'_>, mut ranges: &[Range]) -> io::Result<()> {
    while !ranges.is_empty() {
        let vectors: Vec<_> = ranges
            .iter()
            .map(|range| libc::iovec {
                iov_base: std::ptr::without_provenance_mut(range.start),
                iov_len: range.length,
            })
            .collect();
        // SAFETY: the addresses are the other process's; here only the array is read, which
        // outlives the call and has the length passed.
        let advised = unsafe {
            libc::syscall(
                libc::SYS_process_madvise,
                process.as_raw_fd(),
                vectors.as_ptr(),
                vectors.len(),
                libc::MADV_PAGEOUT,
                0_usize,
            )
        };
        let mut left = match usize::try_from(advised) {
            Ok(bytes) => bytes,
            Err(_) => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
                error if error.raw_os_error() == Some(libc::EINVAL) => 0,
                // An address that is the kernel's own spoils all of them.
                error if error.raw_os_error() == Some(libc::EFAULT) => match ranges {
                    [_] => 0,
                    _ => {
                        let (first, others) = ranges.split_at(ranges.len() / 2);
                        page_out(process, first)?;
                        ranges = others;
                        continue;
                    }
                },
                error => return Err(error),
            },
        };
        // It ends at the first range of which it can take nothing, such as the kernel's own.
        let done = ranges.iter().take_while(|range| {
            let is_done = range.length <= left;
            left = left.saturating_sub(range.length);
            is_done
        });
        let done = done.count();
        ranges = ranges.get(done + 1..).unwrap_or_default();
    }
    Ok(())
}

/// Lets all threads share one heap (mallopt(3), `M_ARENA_MAX`).
///
/// glibc otherwise gives each thread a heap of its own and keeps it: after many containers had been
/// made at once, megabytes stayed with an agent whose threads are short-lived and allocate little.
pub fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes plain integers; called before any other thread runs. A failure changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives free memory of the heap back to the system (malloc_trim(3)).
pub fn give_back_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a plain integer; the allocator locks itself.
    unsafe {
        libc::malloc_trim(0);
    }
}
