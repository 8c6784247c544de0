//! The filtering D-Bus proxy: lets a container's messages to and from a bus pass where a rule
//! allows them.
//!
//! One process serves one container, on both buses. The agent starts it through [`client`], which
//! also gives it its sockets and rules; nothing of it runs with a capability or sees the file
//! system.
//!
//! Bytes flow one way: socket → [`sasl`] or [`flow`] → [`filter`] ([`rule`]) → [`outbox`] → other
//! socket; [`server`] moves them.

pub mod address;
pub mod args;
pub mod client;
pub mod control;
pub mod filter;
pub mod flow;
pub mod limits;
mod link;
mod outbox;
mod pace;
pub mod process;
pub mod rule;
pub mod sandbox;
pub mod sasl;
pub mod server;
mod sys;
pub mod wire;
