//! Running a function in the namespaces of a running container.

use std::{
    ffi::{CStr, c_int, c_void},
    ptr,
};

use crate::{bindings, ffi::Handle};

/// Standard input, output and error of the new process are the caller's.
const STREAMS: [c_int; 3] = [0, 1, 2];
/// `LXC_ATTACH_NO_NEW_PRIVS`: not among the defaults, and nothing that a container does may gain
/// privileges.
const NO_NEW_PRIVS: c_int = 0x0004_0000;
/// `LXC_ATTACH_DEFAULT`: the container's cgroup, capabilities, personality, and its seccomp
/// profile, without `LXC_ATTACH_LSM_EXEC`: the new process executes no program.
const DEFAULT: c_int = 0xffff & !0x8;
/// `LXC_ATTACH_LSM_NOW`: the container's LSM label.
const LSM_NOW: c_int = 0x0002_0000;
/// `LXC_ATTACH_CLEAR_ENV`.
const CLEAR_ENVIRONMENT: u32 = 1;

/// Runs in the new process; without this, descriptors of liblxc's and the caller's would stay open
/// in it.
extern "C" fn run(payload: *mut c_void) -> c_int {
    // SAFETY: takes plain integers; nothing that runs from here on uses a descriptor that it has
    // not opened.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    // SAFETY: the payload is the function pointer that `call` passes, copied with the rest of the
    // process.
    let function = unsafe { *payload.cast::<fn() -> i32>() };
    function()
}

/// Calls `function` in a new process in the container; its process ID. It ends with what the
/// function returns.
pub(crate) fn call(handle: &Handle, mut function: fn() -> i32, namespaces: c_int) -> Option<i32> {
    let mut options = bindings::lxc_attach_options_t {
        attach_flags: DEFAULT | LSM_NOW | NO_NEW_PRIVS,
        namespaces,
        // LXC_ATTACH_DETECT_PERSONALITY
        personality: -1,
        initial_cwd: CStr::as_ptr(c"/").cast_mut(),
        // That of the container's init.
        uid: u32::MAX,
        gid: u32::MAX,
        env_policy: CLEAR_ENVIRONMENT,
        extra_env_vars: ptr::null_mut(),
        extra_keep_env: ptr::null_mut(),
        stdin_fd: STREAMS[0],
        stdout_fd: STREAMS[1],
        stderr_fd: STREAMS[2],
        log_fd: -libc::EBADF,
        lsm_label: ptr::null_mut(),
        groups: bindings::lxc_groups_t {
            size: 0,
            list: ptr::null_mut(),
        },
    };
    handle.attach(Some(run), (&raw mut function).cast(), &mut options)
}
