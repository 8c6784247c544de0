//! The signal of the frozen interface: a process has ended.

use std::sync::Arc;

use smol::{Executor, Task, channel::Receiver};
use zbus::{Connection, object_server::SignalEmitter};

use super::{frozen::Interface, name::PATH};
use crate::{
    agent::Agent,
    container::processes::{Ended, Report},
    runtime::unblock,
};

/// Sends `ProcessStateChanged` for every process that ends, and tells the agent, until no more ends
/// are reported.
pub async fn tell_ends(
    connection: Connection,
    reports: Receiver<Report>,
    agent: Arc<Agent>,
    executor: Arc<Executor<'static>>,
) {
    let emitter = match SignalEmitter::new(&connection, PATH) {
        Ok(emitter) => emitter,
        Err(error) => {
            log::error!("no signals can be sent: {error}");
            return;
        }
    };
    let mut noting: Vec<Task<()>> = Vec::new();
    while let Ok(report) = reports.recv().await {
        let Ended {
            container,
            pid,
            status,
        } = report.ended;
        log::info!("container {container}: process {pid} {}", in_words(status));
        let status = status.cast_unsigned();
        let sent = Interface::process_state_changed(&emitter, container, pid, false, status).await;
        match sent {
            // Not waited for here: the reply of a Destroy comes after every end.
            Ok(()) => {
                noting.retain(|it| !it.is_finished());
                noting.push(executor.spawn(unblock(move || report.told())));
            }
            // The next agent tells it.
            Err(error) => log::error!(
                "container {container}: end of process {pid} could not be told: {error}"
            ),
        }
        let agent = agent.clone();
        // It may destroy the container, which other ends do not wait for.
        let work = async move { agent.process_ended(container).await };
        executor.spawn(work).detach();
    }
    for noted in noting {
        noted.await;
    }
}

/// How a process has ended, by its wait status (waitpid(2)).
fn in_words(status: i32) -> String {
    match libc::WIFSIGNALED(status) {
        true => {
            let core = if libc::WCOREDUMP(status) {
                ", with a core dump"
            } else {
                ""
            };
            format!("was ended by signal {}{core}", libc::WTERMSIG(status))
        }
        false => format!("ended with status {}", libc::WEXITSTATUS(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_status_is_told_in_words() {
        assert_eq!(in_words(3 << 8), "ended with status 3");
        assert_eq!(in_words(9), "was ended by signal 9");
        assert_eq!(
            in_words(11 | 0x80),
            "was ended by signal 11, with a core dump"
        );
    }
}
