//! Priorities at the processors (sched(7)).

use std::io;

use super::check;

/// The system call gives the nice values 19 to -20 as 1 to 40, so that none is an error
/// (getpriority(2)).
const ABOVE_ALL: libc::c_long = 20;

/// The nice value of this process.
pub(crate) fn nice() -> io::Result<i32> {
    // SAFETY: takes plain integers.
    let raw = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(ABOVE_ALL - raw).map_err(io::Error::other)
}

/// Gives this process another one. To become nicer is always allowed.
pub(crate) fn set_nice(nice: i32) -> io::Result<()> {
    // SAFETY: takes plain integers.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }).map(drop)
}
