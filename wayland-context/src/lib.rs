//! Registers a listening socket with a Wayland compositor as that of a sandboxed app, by the
//! protocol security-context-v1.
//!
//! What speaks to the compositor is the program `softwarecontainer-wayland-context`, without
//! privileges, for as long as one registration takes. It gets three sockets and answers with what
//! came of it, over a socket that is its standard input ([`message`]).

pub mod client;
pub mod message;
