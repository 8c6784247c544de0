//! Signal: a signal (signal(7)) for a process that a launcher has started.

use super::{Container, ContainerError, INIT_LIMIT};

impl Container {
    /// Has the init send a signal to a process, so that it cannot reach another one that has got
    /// its number meanwhile.
    ///
    /// # Errors
    /// [`ContainerError`]: it does not run, or no launcher has started it.
    pub fn signal(&mut self, process: u32, signal: i32) -> Result<(), ContainerError> {
        self.require_ready("send a signal")?;
        let second = self.host_ipc.as_ref().map(|it| &it.link);
        for link in std::iter::once(&self.link).chain(second) {
            let sent = link.signal(process, signal, INIT_LIMIT);
            let unreachable = |source| ContainerError::Unreachable {
                id: self.id,
                source,
            };
            if sent.map_err(unreachable)? {
                return Ok(());
            }
        }
        Err(ContainerError::NoProcess {
            id: self.id,
            process,
        })
    }
}
