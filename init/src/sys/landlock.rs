//! Landlock(7): what nothing in a container may do, as a second layer beneath the filters of system
//! calls. It sees what io_uring does as well.
//!
//! The init enters the one domain of its container, so that its apps are not kept from each other,
//! and no start of an app takes longer. A rule of Landlock gives rights to a directory and all that
//! is below it, and takes none away further down; mounts may come anywhere in a container at any
//! time, and what is written there is up to them. So rights to write are not handled here.

use std::{io, os::fd::AsRawFd as _};

use nix::sys::prctl;

use super::{check, own};

/// Answers the version of the interface, instead of a rule set (landlock_create_ruleset(2)).
const VERSION: libc::c_ulong = 1;
/// The first version that can let files be moved between directories.
const FIRST: libc::c_long = 2;
/// The first version with scopes.
const WITH_SCOPES: libc::c_long = 6;
const MAKE_CHARACTER_DEVICE: u64 = 1 << 6;
const MAKE_BLOCK_DEVICE: u64 = 1 << 11;
/// To move and link files between directories; whatever is not given is refused.
const REFER: u64 = 1 << 13;
/// Sockets with abstract names (unix(7)) outside of the domain are not connected to.
const ABSTRACT_SOCKETS: u64 = 1;
/// The type of a rule for what is beneath a path.
const PATH_BENEATH: libc::c_ulong = 1;
/// The argument that all calls have for later.
const NO_FLAGS: libc::c_ulong = 0;

/// `struct landlock_ruleset_attr`
#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// Keeps this process and all that descend from it from making device nodes, from mounting and
/// unmounting anything, from tracing processes outside and, if `alone`, from abstract sockets
/// outside. Where the kernel has no Landlock, or privileges may be gained by executing files, which
/// Landlock does not go with, nothing happens.
///
/// `alone` is who makes the first domain of a container.
pub(crate) fn restrict(alone: bool) -> io::Result<()> {
    let null = std::ptr::null::<RulesetAttributes>();
    // SAFETY: without attributes, the call only returns a version.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, null, 0_usize, VERSION) };
    if version < FIRST || !prctl::get_no_new_privs()? {
        return Ok(());
    }
    let attributes = RulesetAttributes {
        handled_access_fs: MAKE_CHARACTER_DEVICE | MAKE_BLOCK_DEVICE | REFER,
        handled_access_net: 0,
        scoped: if alone && version >= WITH_SCOPES {
            ABSTRACT_SOCKETS
        } else {
            0
        },
    };
    let (pointer, size) = (&raw const attributes, size_of::<RulesetAttributes>());
    // SAFETY: `pointer` is valid for reads of `size` bytes. Older kernels take a longer structure
    // if what they do not know is zero.
    let ruleset =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, pointer, size, NO_FLAGS) };
    let ruleset = own(number(ruleset)?)?;
    let root = std::fs::File::open("/")?;
    let rule = PathBeneath {
        allowed_access: REFER,
        parent_fd: root.as_raw_fd(),
    };
    let raw = ruleset.as_raw_fd();
    // SAFETY: the rule is laid out as the structure and outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            raw,
            PATH_BENEATH,
            &raw const rule,
            NO_FLAGS,
        )
    };
    number(result)?;
    // SAFETY: only numbers are passed.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, raw, NO_FLAGS) };
    number(result).map(drop)
}

fn number(result: libc::c_long) -> io::Result<i32> {
    check(i32::try_from(result).unwrap_or(-1))
}
