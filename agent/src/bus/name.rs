//! Taking the agent's name on the bus.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use smol::Timer;
use zbus::{Connection, fdo::RequestNameFlags};

use super::caller;

/// The agent's name on the bus.
pub const NAME: &str = "com.pelagicore.SoftwareContainerAgent";
/// The agent's object.
pub const PATH: &str = "/com/pelagicore/SoftwareContainerAgent";
/// How long the name of an agent that has ended may stay taken.
const ORPHAN_LIMIT: Duration = Duration::from_secs(5);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Takes the name, or fails at once if another agent has it.
///
/// An agent that was killed while it started a container can own its name for a moment longer: the
/// process that liblxc forks for the container's monitor has all of its descriptors, the connection
/// to the bus among them, until it closes them.
///
/// # Errors
/// zbus's; `NameTaken` if the name's owner lives.
pub async fn take(connection: &Connection) -> zbus::Result<()> {
    let deadline = Instant::now() + ORPHAN_LIMIT;
    // Not by the connection's builder, which would wait in the queue for the name.
    let flags = RequestNameFlags::DO_NOT_QUEUE;
    loop {
        match connection.request_name_with_flags(NAME, flags).await {
            Err(zbus::Error::NameTaken) if Instant::now() < deadline => {
                let owner = caller::ask(connection, NAME).await.process;
                if owner.is_some_and(lives) {
                    return Err(zbus::Error::NameTaken);
                }
                Timer::after(PAUSE).await;
            }
            outcome => return outcome.map(drop),
        }
    }
}

/// Whether a process has not ended. One that was not yet reaped has no program file any more
/// (proc_pid_exe(5)).
fn lives(pid: u32) -> bool {
    let program = fs::read_link(format!("/proc/{pid}/exe"));
    !program.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_has_ended_does_not_live_even_if_nobody_has_reaped_it() {
        assert!(lives(std::process::id()));
        let mut child = Command::new("true").spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while lives(child.id()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!lives(child.id()));
        child.wait().unwrap();
        assert!(!lives(child.id()));
    }
}
