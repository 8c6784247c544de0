//! The agent for programs without an executor: each call returns when its reply is there. zbus
//! keeps the connection alive in a thread of its own.

mod proxies;

use std::pin::Pin;

use smol::stream::{Stream, StreamExt as _};

pub use proxies::*;

use crate::{Bus, Error};

/// A connection to the agent.
#[derive(Debug, Clone)]
pub struct Client(crate::Client);

impl Client {
    /// As [`crate::Client::connect`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn connect(bus: Bus) -> Result<Self, Error> {
        Ok(Self(wait(crate::Client::connect(bus))?))
    }

    /// As [`crate::Client::agent`].
    pub fn agent(&self) -> AgentProxy {
        AgentProxy(self.0.agent().clone())
    }

    /// As [`crate::Client::manager`].
    pub fn manager(&self) -> ManagerProxy {
        ManagerProxy(self.0.manager().clone())
    }

    /// As [`crate::Client::container`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn container(&self, id: i32) -> Result<ContainerProxy, Error> {
        Ok(ContainerProxy(wait(self.0.container(id))?))
    }

    /// As [`crate::Client::containers`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn containers(&self) -> Result<Vec<i32>, Error> {
        wait(self.0.containers())
    }
}

/// Signals, one after the other; each is waited for.
#[derive(Debug)]
pub struct Signals<S>(S);

impl<S: Stream + Unpin> Iterator for Signals<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        wait(Pin::new(&mut self.0).next())
    }
}

fn wait<T>(call: impl Future<Output = T>) -> T {
    smol::block_on(call)
}
