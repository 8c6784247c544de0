//! Hearing of system calls and answering them: seccomp_unotify(2).

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::check;
use crate::calls::Call;

/// `SECCOMP_IOCTL_NOTIF_RECV` and `SECCOMP_IOCTL_NOTIF_SEND` (linux/seccomp.h).
const RECEIVE: u32 = 0xc050_2100;
const SEND: u32 = 0xc018_2101;
/// Room for `struct seccomp_notif`, 80 bytes, and what later kernels add to it.
const NOTIFICATION: usize = 64;
/// The bit of an `AUDIT_ARCH_*` constant that every 64-bit instruction set has (linux/audit.h).
const IS_64_BIT: u32 = 0x8000_0000;

/// What a listener heard.
pub(crate) enum Heard {
    /// A process waits for an answer to a call.
    Call { id: u64, call: Call },
    /// Whoever waited has been ended.
    Nothing,
    /// Nobody is left.
    End,
}

/// Hears of a call, without waiting.
pub(crate) fn hear(listener: &OwnedFd) -> Heard {
    let mut entries = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let events = match poll(&mut entries, PollTimeout::ZERO) {
        Ok(_) => entries[0].revents().unwrap_or(PollFlags::empty()),
        Err(_) => return Heard::Nothing,
    };
    if !events.contains(PollFlags::POLLIN) {
        return if events.is_empty() {
            Heard::Nothing
        } else {
            Heard::End
        };
    }
    // The kernel takes a structure of zeros only.
    let mut notification = [0_u64; NOTIFICATION];
    // SAFETY: the buffer is larger than the structure of any kernel, aligned for it, and outlives
    // the call.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            RECEIVE as _,
            notification.as_mut_ptr(),
        )
    };
    if check(result).is_err() {
        return Heard::Nothing;
    }
    // struct seccomp_notif: id; process and flags; then struct seccomp_data: number and
    // architecture, instruction, arguments.
    let [id, _, data, ..] = notification;
    let words = data.to_ne_bytes();
    let word = |at: usize| {
        let bytes = words.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    };
    let (number, architecture) = (word(0), word(4));
    Heard::Call {
        id,
        call: Call::new(number, architecture & IS_64_BIT == 0),
    }
}

/// Has a call fail with `errno`.
pub(crate) fn answer(listener: &OwnedFd, id: u64, errno: i32) {
    // struct seccomp_notif_resp: id, value, error and flags.
    let error = (-errno).to_ne_bytes();
    let [a, b, c, d] = error;
    let mut response = [id, 0, u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0])];
    // SAFETY: the buffer is laid out as the structure and outlives the call. Fails only when nobody
    // waits any more.
    unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, response.as_mut_ptr()) };
}

/// Loads a filter that leaves calls to a listener; the listener.
pub(super) fn install(program: &libc::sock_fprog) -> io::Result<OwnedFd> {
    let (operation, flags) = (
        libc::SECCOMP_SET_MODE_FILTER,
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
    );
    let program = std::ptr::from_ref(program);
    // SAFETY: the program points to as many instructions as it says, which outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, program) };
    let raw = i32::try_from(result).map_err(|_| io::ErrorKind::InvalidData)?;
    super::own(check(raw)?)
}
