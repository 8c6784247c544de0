//! What the next agent needs to go on with a container's proxy: the proxy's control socket and the
//! listening sockets, and which process it is.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use softwarecontainer_dbus_proxy::{
    client::{Left, Present, Proxy, SocketIdentity},
    control::{self, Bus},
};

use super::super::{contract, error::Cause};
use crate::host::{cgroup::members::pidfd, descriptor_store::Shelf, process::SameProcess};

/// The control socket's name on the shelf.
const CONTROL: &str = "dbus";

/// What is written down of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The version of what it says.
    version: u32,
    process: SameProcess,
    /// The buses' sockets that it can see.
    sockets: [Option<(u64, u64, i64, i64)>; 2],
}

/// What is on the shelf.
#[derive(Debug, Default)]
pub(super) struct Shelved {
    listeners: [bool; 2],
    proxy: Option<Kept>,
}

impl Shelved {
    /// Puts what has changed on the shelf, and says what is to be written down.
    pub(super) fn keep(
        &mut self,
        shelf: &Shelf<'_>,
        listeners: &[Option<Arc<OwnedFd>>; 2],
        proxy: Option<&Proxy>,
    ) -> Option<Value> {
        for ((bus, shelved), listener) in
            Bus::ALL.into_iter().zip(&mut self.listeners).zip(listeners)
        {
            match listener {
                Some(listener) if !*shelved => {
                    *shelved = put(shelf, listener_item(bus), listener);
                }
                None if std::mem::take(shelved) => shelf.forget(listener_item(bus)),
                _ => {}
            }
        }
        let now = proxy.and_then(Proxy::pid);
        if now != self.proxy.map(|kept| kept.process.pid) {
            self.keep_proxy(shelf, proxy);
        }
        serde_json::to_value(self.proxy).ok()
    }

    fn keep_proxy(&mut self, shelf: &Shelf<'_>, proxy: Option<&Proxy>) {
        let present = proxy.and_then(|proxy| proxy.present().ok().flatten());
        match present.and_then(|it| Some((Kept::of(&it)?, it.control))) {
            Some((kept, control)) => {
                self.proxy = put(shelf, CONTROL, &control).then_some(kept);
            }
            None => {
                self.proxy = None;
                shelf.forget(CONTROL);
            }
        }
    }

    /// The listening socket of a bus.
    pub(super) fn take_listener(&mut self, shelf: &Shelf<'_>, bus: Bus) -> Option<Arc<OwnedFd>> {
        let taken = shelf.take(listener_item(bus))?;
        if !rustix::net::sockopt::socket_acceptconn(&taken).unwrap_or(false) {
            return None;
        }
        if let Some(shelved) = self.listeners.get_mut(bus.index()) {
            *shelved = true;
        }
        Some(Arc::new(taken))
    }

    /// The proxy that is written down in `kept`. One that has ended is `None`; so is one that says
    /// something else than what this agent understands, which ends with its control socket.
    ///
    /// # Errors
    /// [`Cause::Kept`]
    pub(super) fn take_proxy(
        &mut self,
        shelf: &Shelf<'_>,
        kept: &Value,
    ) -> Result<Option<Left>, Cause> {
        let control = shelf.take(CONTROL);
        let kept: Option<Kept> = contract::read(kept)?;
        let left = control.and_then(|control| Some((kept?.left(control)?, kept)));
        let Some((left, kept)) = left else {
            shelf.forget(CONTROL);
            return Ok(None);
        };
        self.proxy = kept;
        Ok(Some(left))
    }
}

impl Kept {
    fn of(present: &Present) -> Option<Self> {
        Some(Self {
            version: control::VERSION,
            process: SameProcess::now(present.pid)?,
            sockets: present.sockets.map(|SocketIdentity(identity)| identity),
        })
    }

    fn left(self, control: OwnedFd) -> Option<Left> {
        if self.version != control::VERSION {
            return None;
        }
        let process = pidfd(self.process.pid).ok()?;
        // The descriptor is of the very process, if that has its number still.
        self.process.runs().then(|| Left {
            pid: self.process.pid,
            process,
            control,
            sockets: self.sockets.map(SocketIdentity),
        })
    }
}

fn listener_item(bus: Bus) -> &'static str {
    match bus {
        Bus::Session => "dbus-session",
        Bus::System => "dbus-system",
    }
}

/// Whether it could be kept.
fn put(shelf: &Shelf<'_>, item: &str, descriptor: &OwnedFd) -> bool {
    let kept = shelf.keep(item, descriptor.as_fd());
    kept.inspect_err(|error| log::warn!("D-Bus of an app would not outlive the agent: {error}"))
        .is_ok()
}
