//! Gives up everything that the proxy does not need, before it reads a byte from anybody.
//!
//! In this order: a file system that holds only the sockets of the buses (`root`); limits; user,
//! groups and capabilities (`privileges`); Landlock; seccomp. A step that the kernel does not
//! know is left out and reported, except privileges and seccomp, without which the proxy does not
//! start.

mod error;
mod landlock;
mod privileges;
mod root;
mod seccomp;

pub use error::SandboxError;
pub use privileges::Identity;
pub use root::Sockets;

use rustix::process::{Resource, Rlimit};

use crate::{address::SocketAddress, error_chain::error_chain, limits};
use error::step;

/// What came of it.
#[derive(Debug)]
pub struct Sandbox {
    /// Where the buses are now.
    pub sockets: Sockets,
    /// Layers that could not be put up, in words.
    pub missing: Vec<String>,
}

/// Enters the sandbox, for good. Call it with one thread.
///
/// # Errors
/// [`SandboxError`] when privileges could not be dropped or system calls not be filtered.
pub fn enter(sockets: Sockets, identity: &Identity) -> Result<Sandbox, SandboxError> {
    let mut missing = Vec::new();
    let sockets = root::enter(&sockets).unwrap_or_else(|error| {
        missing.push(error_chain(&error));
        sockets
    });
    set_limits()?;
    privileges::drop(identity)?;
    let abstract_bus = sockets
        .iter()
        .flatten()
        .any(|address| matches!(address, SocketAddress::Abstract(_)));
    if let Err(error) = landlock::restrict(abstract_bus) {
        missing.push(error_chain(&error));
    }
    seccomp::install(identity)?;
    Ok(Sandbox { sockets, missing })
}

fn set_limits() -> Result<(), SandboxError> {
    let limits = [
        (Resource::Nofile, limits::OPEN_FILES),
        (Resource::Data, limits::MEMORY),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nproc, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
    ];
    for (resource, value) in limits {
        let allowed = rustix::process::getrlimit(resource)
            .maximum
            .unwrap_or(u64::MAX);
        let value = Some(value.min(allowed));
        let limit = Rlimit {
            current: value,
            maximum: value,
        };
        step(
            "resource limits",
            rustix::process::setrlimit(resource, limit),
        )?;
    }
    Ok(())
}
