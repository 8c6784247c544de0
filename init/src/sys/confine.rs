//! Taking away from a new process, for good, what it is to be without.

use std::{io, os::fd::OwnedFd, ptr};

use nix::{
    sys::prctl,
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};

use super::{check, listen};
use crate::confinement::{Confinement, Limit};

/// `_LINUX_CAPABILITY_VERSION_3` (capget(2)): 64 capabilities in two halves.
const VERSION: u32 = 0x2008_0522;

/// An argument of prctl(2) that some operations want to be 0 in its whole width.
const UNUSED: libc::c_ulong = 0;

/// Takes from the calling process what `confinement` says; an exec gives nothing of it back.
///
/// A listener of its calls is handed over to `init`, if that waits for one.
pub(crate) fn confine(confinement: &Confinement, init: Option<&OwnedFd>) -> io::Result<()> {
    for limit in &confinement.limits {
        set_limit(*limit)?;
    }
    if confinement.drop != 0 {
        // In this order: dropping from the bounding set takes a capability that may be among those
        // to go.
        for capability in 0..u64::BITS {
            if confinement.drop & 1 << capability != 0 {
                drop_from_bounding_set(capability)?;
            }
        }
        drop_capabilities(confinement.drop)?;
    }
    if confinement.user != 0 {
        become_user(confinement.user, confinement.keep)?;
    }
    let calls = &confinement.calls;
    if !(calls.program.is_empty() && confinement.arguments.is_empty()) {
        // Without this the kernel takes no filter from a process without CAP_SYS_ADMIN.
        prctl::set_no_new_privs()?;
    }
    if !confinement.arguments.is_empty() {
        install_filter(&confinement.arguments, false)?;
    }
    if !calls.program.is_empty() {
        // Where nobody listens, the kernel answers what most calls get, ENOSYS.
        let listener = install_filter(&calls.program, init.is_some())?;
        if let (Some(listener), Some(init)) = (listener, init) {
            super::hand_over(init, &listener)?;
        }
    }
    Ok(())
}

/// Becomes user and group `id` with no kernel capabilities but `keep`, which an exec leaves it
/// (capabilities(7), "Effect of user ID changes on capabilities" and "Ambient set").
fn become_user(id: u32, keep: u64) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    prctl::set_keepcaps(keep != 0)?;
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    if keep == 0 {
        return Ok(());
    }
    change_capabilities(|_| keep)?;
    for capability in (0..u64::BITS).filter(|bit| keep & 1 << bit != 0) {
        let (raise, capability) = (libc::PR_CAP_AMBIENT_RAISE, libc::c_ulong::from(capability));
        // SAFETY: takes plain integers.
        check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, raise, capability, UNUSED, UNUSED) })?;
    }
    Ok(())
}

/// prlimit(2), by number: in some C libraries setrlimit(2) has 32 bits.
fn set_limit(limit: Limit) -> io::Result<()> {
    let value = [limit.soft, limit.hard];
    let none = ptr::null_mut::<u64>();
    // SAFETY: the two numbers are laid out like struct rlimit64, outlive the call, and the old
    // limit is not asked for.
    let result =
        unsafe { libc::syscall(libc::SYS_prlimit64, 0, limit.resource, value.as_ptr(), none) };
    check(if result < 0 { -1 } else { 0 }).map(drop)
}

/// A capability that is not there, or that the kernel does not know, is none to drop.
fn drop_from_bounding_set(capability: u32) -> io::Result<()> {
    let capability = libc::c_ulong::from(capability);
    // SAFETY: takes plain integers.
    if unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, UNUSED, UNUSED, UNUSED) } != 1 {
        return Ok(());
    }
    // SAFETY: takes plain integers.
    check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, UNUSED, UNUSED, UNUSED) })
        .map(drop)
}

/// Takes from the calling process every capability that its bounding set lacks, as an exec would.
pub(crate) fn keep_bounding_set() -> io::Result<()> {
    let lacks = |capability: &u32| {
        let capability = libc::c_ulong::from(*capability);
        // SAFETY: takes plain integers.
        let read =
            unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, UNUSED, UNUSED, UNUSED) };
        read != 1
    };
    let lacking = (0..u64::BITS).filter(lacks);
    drop_capabilities(lacking.fold(0, |all, one| all | 1 << one))
}

/// What leaves the permitted and inheritable sets leaves the effective and ambient ones, too.
fn drop_capabilities(capabilities: u64) -> io::Result<()> {
    change_capabilities(|set| set & !capabilities)
}

/// capset(2): each set becomes what `change` makes of it.
fn change_capabilities(change: impl Fn(u64) -> u64) -> io::Result<()> {
    // struct __user_cap_header_struct: version, process (0: this one).
    let mut header = [VERSION, 0];
    // struct __user_cap_data_struct, twice: effective, permitted, inheritable.
    let mut data = [[0_u32; 3]; 2];
    // SAFETY: both are laid out as capget(2) has them and outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) };
    check(if result < 0 { -1 } else { 0 })?;
    let [low, high] = &mut data;
    for (low, high) in low.iter_mut().zip(high) {
        let changed = change(u64::from(*high) << 32 | u64::from(*low));
        (*low, *high) = halves(changed);
    }
    // SAFETY: as above; capset(2) only reads.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), data.as_ptr()) };
    check(if result < 0 { -1 } else { 0 }).map(drop)
}

/// The lower and the upper 32 bits.
fn halves(bits: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = bits.to_le_bytes();
    let number = |bytes| u32::from_le_bytes(bytes);
    (number([a, b, c, d]), number([e, f, g, h]))
}

/// Loads a filter; the listener, if it is to have one.
fn install_filter(program: &[u8], listen: bool) -> io::Result<Option<OwnedFd>> {
    // The kernel takes no address that is not aligned for an instruction.
    let mut instructions: Vec<u64> = program
        .chunks_exact(8)
        .filter_map(|bytes| bytes.first_chunk().copied().map(u64::from_ne_bytes))
        .collect();
    let length =
        u16::try_from(instructions.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let program = libc::sock_fprog {
        len: length,
        filter: instructions.as_mut_ptr().cast(),
    };
    if listen {
        return listen::install(&program).map(Some);
    }
    let (operation, flags) = (libc::SECCOMP_SET_MODE_FILTER, 0);
    // SAFETY: the program points to as many instructions as it says, which outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) };
    check(if result < 0 { -1 } else { 0 })?;
    Ok(None)
}
