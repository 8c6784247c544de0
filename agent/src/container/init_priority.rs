//! An init that comes before the apps of its container.
//!
//! All share what their container has of the processors. An app with a thousand threads would leave
//! its init a thousandth, and the start of a process, Suspend and Destroy would wait for minutes.

use std::io;

use rustix::process::{Pid, setpriority_process};

use crate::host::cgroup::{Cgroups, has_weight_of_its_own};

/// The nice value of whoever comes first (sched(7)).
const FIRST: i32 = -20;

/// Has the init come first in its container; what it starts does not (it gives its priority back
/// before the program is executed). Where the container has no share of its own, it would come
/// before everything on the host, so it stays what it is.
///
/// # Errors
/// setpriority(2)
pub(super) fn raise(init: u32, cgroups: &Cgroups) -> io::Result<()> {
    if !has_weight_of_its_own(cgroups) {
        return Ok(());
    }
    let init = i32::try_from(init).ok().and_then(Pid::from_raw);
    Ok(setpriority_process(init, FIRST)?)
}
