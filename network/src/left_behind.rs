//! A system call that the end of this process does not wait for: a thread that the kernel keeps
//! busy keeps its process, too.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
};

use nix::{
    sys::wait::waitpid,
    unistd::{ForkResult, fork},
};

/// Sends `message` on `socket` from a process that is nobody's child and has nothing else of this
/// one. Returns when it has been started.
///
/// # Errors
/// From fork(2), or the kernel lacks close_range(2): the process would keep the connections of this
/// one open.
pub(crate) fn send_in_process(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    let last = libc::c_uint::MAX;
    // The last number is no descriptor's.
    close_range(last, last)?;
    // SAFETY: until they end, the new processes make system calls only, on what was there before.
    match unsafe { fork() }? {
        ForkResult::Child => {
            // SAFETY: as above.
            if let Ok(ForkResult::Child) = unsafe { fork() } {
                send_alone(socket.as_raw_fd(), message);
            }
            exit()
        }
        ForkResult::Parent { child } => {
            waitpid(child, None)?;
            Ok(())
        }
    }
}

fn send_alone(socket: RawFd, message: &[u8]) {
    let number = socket.unsigned_abs();
    let others = [
        (0, number.checked_sub(1)),
        (number + 1, Some(libc::c_uint::MAX)),
    ];
    for (first, last) in others {
        if last.is_some_and(|last| close_range(first, last).is_err()) {
            return;
        }
    }
    // SAFETY: the bytes are borrowed for the call.
    unsafe { libc::send(socket, message.as_ptr().cast(), message.len(), 0) };
}

/// close_range(2).
fn close_range(first: libc::c_uint, last: libc::c_uint) -> io::Result<()> {
    // SAFETY: in a process that ends without using what it closes, or where there is none.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends a process without anything that another one has prepared for its end.
fn exit() -> ! {
    // SAFETY: a system call without pointers.
    unsafe { libc::_exit(0) }
}
