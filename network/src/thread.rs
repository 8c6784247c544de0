//! Threads of their own for work that changes what belongs to a thread, such as its namespaces.

use std::{io, thread};

/// Why a piece of work was not done in a thread of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThreadError {
    /// No thread could be started for it.
    #[error("cannot start a thread")]
    Start(#[source] io::Error),
    /// The work panicked.
    #[error("the work in a thread of its own panicked")]
    Panicked,
}

/// Does `work` in a thread called `name`, and waits for it. The thread ends afterwards, so that no
/// other work can land in the namespaces that it has entered.
///
/// # Errors
/// Those of the work, and [`ThreadError`].
pub fn in_own<T, E, F>(name: &str, work: F) -> Result<T, E>
where
    T: Send,
    E: From<ThreadError> + Send,
    F: FnOnce() -> Result<T, E> + Send,
{
    thread::scope(|scope| {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, work)
            .map_err(|source| E::from(ThreadError::Start(source)))?
            .join()
            .unwrap_or_else(|_| Err(ThreadError::Panicked.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_done_in_a_thread_that_has_the_name() {
        let name = || Ok(thread::current().name().map(str::to_owned));
        let done: Result<_, ThreadError> = in_own("mine", name);
        assert_eq!(done.unwrap().as_deref(), Some("mine"));
    }

    #[test]
    fn work_that_panics_is_an_error() {
        let done: Result<(), ThreadError> = in_own("mine", || panic!("meant to be seen"));
        assert!(matches!(done, Err(ThreadError::Panicked)));
    }
}
