//! seccomp(2): the system calls of the event loop; any other one kills the process.
//!
//! The filter is built here rather than by seccompiler, which has no 32-bit ARM.

mod program;

use rustix::io::Errno;

use super::{
    error::{SandboxError, step},
    privileges::Identity,
};
use program::{Argument, Program};

/// System calls that are allowed with any arguments.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_close,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// `clock_gettime64` and `futex_time64`, which the libc crate does not name.
#[cfg(target_arch = "arm")]
const ALLOWED_HERE: &[libc::c_long] = &[403, 422, libc::SYS_send];
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[libc::c_long] = &[libc::SYS_epoll_wait];
#[cfg(not(any(target_arch = "arm", target_arch = "x86_64")))]
const ALLOWED_HERE: &[libc::c_long] = &[];

#[cfg(target_arch = "arm")]
const SETRESUID: libc::c_long = libc::SYS_setresuid32;
#[cfg(not(target_arch = "arm"))]
const SETRESUID: libc::c_long = libc::SYS_setresuid;

#[cfg(target_arch = "arm")]
const MMAP: libc::c_long = libc::SYS_mmap2;
#[cfg(not(target_arch = "arm"))]
const MMAP: libc::c_long = libc::SYS_mmap;

const STDERR: u32 = 2;
/// `-1` as the kernel sees the argument that keeps a user ID.
const KEEP: u32 = u32::MAX;

pub(super) fn install(identity: &Identity) -> Result<(), SandboxError> {
    let program = build(identity);
    step("seccomp filter", load(&program))
}

fn build(identity: &Identity) -> Vec<libc::sock_filter> {
    let mut program = Program::new();
    for &call in ALLOWED.iter().chain(ALLOWED_HERE) {
        program.allow(call);
    }
    let unix = constant(libc::AF_UNIX);
    program.allow_if(libc::SYS_socket, &[Argument::equals(0, unix)]);
    // A panic writes where nobody has to read.
    program.allow_if(libc::SYS_write, &[Argument::equals(0, STDERR)]);
    program.allow_if(libc::SYS_writev, &[Argument::equals(0, STDERR)]);
    // Rust's standard library, when compiled for debugging, looks whether what it closes is open.
    program.allow_if(
        libc::SYS_fcntl,
        &[Argument::equals(1, constant(libc::F_GETFD))],
    );
    // Memory, but neither code nor files.
    let executable = constant(libc::PROT_EXEC);
    let anonymous = constant(libc::MAP_ANONYMOUS);
    program.allow_if(
        MMAP,
        &[Argument::lacks(2, executable), Argument::has(3, anonymous)],
    );
    program.allow_if(libc::SYS_mprotect, &[Argument::lacks(2, executable)]);
    if identity.system_uid != identity.session_uid {
        for uid in [identity.system_uid, identity.session_uid] {
            let keep = [0, 2].map(|index| Argument::equals(index, KEEP));
            let [real, saved] = keep;
            program.allow_if(SETRESUID, &[real, Argument::equals(1, uid), saved]);
        }
    }
    program.finish()
}

/// Constants of libc are signed, and all of these are small and positive.
fn constant(value: libc::c_int) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn load(program: &[libc::sock_filter]) -> Result<(), Errno> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        filter: program.as_ptr().cast_mut(),
    };
    let mode = libc::c_ulong::from(libc::SECCOMP_SET_MODE_FILTER);
    let flags: libc::c_ulong = 0;
    let pointer = std::ptr::from_ref(&filter);
    // SAFETY: `filter` points to `program`, which the kernel copies.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, pointer) };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::NOSYS));
    }
    Ok(())
}
