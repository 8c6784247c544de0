//! Landlock(7): no file may be opened, no port bound or connected to, no process outside signalled.
//!
//! The three system calls are made directly: what we want is a rule set without a rule, which needs
//! nothing of the crate for it.

use rustix::io::Errno;

use super::error::{SandboxError, step};

/// `struct landlock_ruleset_attr`
#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

const VERSION: libc::c_ulong = 1;
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
const SCOPE_SIGNAL: u64 = 2;
/// Access rights to files that each version of the interface knows: 13 to begin with, then REFER,
/// TRUNCATE, IOCTL_DEV.
const FILE_RIGHTS: [(libc::c_long, u64); 4] = [(1, 13), (2, 14), (3, 15), (5, 16)];

/// `abstract_bus`: whether a bus listens in the abstract namespace.
pub(super) fn restrict(abstract_bus: bool) -> Result<(), SandboxError> {
    let null = std::ptr::null::<RulesetAttributes>();
    // SAFETY: without attributes, the call only returns a version.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, null, 0_usize, VERSION) };
    let version = step("Landlock", check(version))?;
    let rights = FILE_RIGHTS
        .iter()
        .rev()
        .find(|(since, _)| version >= *since);
    let attributes = RulesetAttributes {
        handled_access_fs: rights.map_or(0, |(_, count)| (1 << count) - 1),
        // Binding and connecting TCP sockets.
        handled_access_net: if version >= 4 { 3 } else { 0 },
        scoped: match version {
            ..6 => 0,
            _ if abstract_bus => SCOPE_SIGNAL,
            _ => SCOPE_SIGNAL | SCOPE_ABSTRACT_UNIX_SOCKET,
        },
    };
    // Older kernels take a longer structure if what they do not know is zero.
    let size = size_of::<RulesetAttributes>();
    let flags: libc::c_ulong = 0;
    let pointer = std::ptr::from_ref(&attributes);
    // SAFETY: `pointer` is valid for reads of `size` bytes.
    let ruleset = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, pointer, size, flags) };
    let ruleset = step("Landlock rule set", check(ruleset))?;
    // SAFETY: only numbers are passed.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, flags) };
    let result = check(result).map(drop);
    // SAFETY: only a number is passed, a descriptor that nobody else knows of.
    unsafe { libc::syscall(libc::SYS_close, ruleset) };
    step("Landlock restriction", result)
}

fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::NOSYS));
    }
    Ok(result)
}
