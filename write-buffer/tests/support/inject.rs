//! Makes the n-th system call of a piece of code fail, for real: a seccomp filter on its thread
//! hands every call that touches files to a supervising thread, which lets it go on or fail.

use std::{
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::mpsc,
};

/// What happens at the chosen call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It returns this error and has no effect.
    Errno(i32),
    /// The whole process is killed before it.
    Kill,
}

/// Calls that are counted: all that sync uses and that can fail for reasons of the file system.
const WATCHED: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_open_tree,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_symlinkat,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_readlinkat,
    libc::SYS_fchownat,
    libc::SYS_fchmodat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_getxattr,
    libc::SYS_listxattr,
    libc::SYS_removexattr,
    libc::SYS_statx,
    libc::SYS_getdents64,
    libc::SYS_ftruncate,
    libc::SYS_lseek,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_fsync,
    libc::SYS_syncfs,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
];

/// Runs `code` on a thread of its own with `fault` at its `at`-th watched call, counted from one;
/// returns its result and the number of watched calls.
pub fn run<T: Send>(at: usize, fault: Fault, code: impl FnOnce() -> T + Send) -> (T, usize) {
    run_on(WATCHED, at, fault, code)
}

/// As [`run`], with only the system calls `watched`.
pub fn run_on<T: Send>(
    watched: &'static [libc::c_long],
    at: usize,
    fault: Fault,
    code: impl FnOnce() -> T + Send,
) -> (T, usize) {
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            send.send(install_filter(watched)).unwrap();
            drop(send);
            code()
        });
        let listener = receive.recv().unwrap();
        let count = supervise(&listener, at, fault);
        (worker.join().unwrap(), count)
    })
}

fn install_filter(watched: &[libc::c_long]) -> OwnedFd {
    let statement = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt,
        jf,
        k,
    };
    // The number of the call is the first word of seccomp_data.
    let mut program = vec![statement(
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        0,
        0,
        0,
    )];
    for &call in watched {
        let jump = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        program.push(statement(jump, u32::try_from(call).unwrap(), 0, 1));
        program.push(statement(libc::BPF_RET, libc::SECCOMP_RET_USER_NOTIF, 0, 0));
    }
    program.push(statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW, 0, 0));
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap(),
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program, which outlives the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const filter,
        )
    };
    assert!(fd >= 0, "seccomp: {}", std::io::Error::last_os_error());
    // SAFETY: seccomp(2) has just returned this descriptor, and nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) }
}

/// `_IOWR('!', number, type)`.
fn notify_ioctl(number: u64, size: usize) -> libc::Ioctl {
    let request =
        (3 << 30) | (u64::try_from(size).unwrap() << 16) | (u64::from(b'!') << 8) | number;
    libc::Ioctl::try_from(request).unwrap()
}

fn supervise(listener: &OwnedFd, at: usize, fault: Fault) -> usize {
    let mut count = 0;
    loop {
        let mut poll = libc::pollfd {
            fd: listener.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd, as the length says.
        unsafe { libc::poll(&raw mut poll, 1, -1) };
        if poll.revents & libc::POLLIN == 0 {
            return count; // The thread has ended.
        }
        // SAFETY: all zeros is a valid value, and the one that the kernel demands.
        let mut request: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        let receive = notify_ioctl(0, size_of::<libc::seccomp_notif>());
        // SAFETY: the request's size is part of the ioctl's number.
        if unsafe { libc::ioctl(listener.as_raw_fd(), receive, &raw mut request) } != 0 {
            continue;
        }
        count += 1;
        let mut answer = libc::seccomp_notif_resp {
            id: request.id,
            val: 0,
            error: 0,
            flags: 1, // SECCOMP_USER_NOTIF_FLAG_CONTINUE
        };
        if count == at {
            match fault {
                Fault::Errno(errno) => {
                    answer.error = -errno;
                    answer.flags = 0;
                }
                Fault::Kill => {
                    let own = i32::try_from(std::process::id()).unwrap();
                    // SAFETY: no memory is involved.
                    unsafe { libc::kill(own, libc::SIGKILL) };
                }
            }
        }
        let send = notify_ioctl(1, size_of::<libc::seccomp_notif_resp>());
        // SAFETY: the answer's size is part of the ioctl's number.
        unsafe { libc::ioctl(listener.as_raw_fd(), send, &raw mut answer) };
    }
}
