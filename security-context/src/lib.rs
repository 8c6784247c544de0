//! Registers a listening socket with a Wayland compositor or with PipeWire as that of a sandboxed
//! app, so that the server itself knows whose its clients are.
//!
//! What speaks to the server is the program `softwarecontainer-security-context`, without
//! privileges, for as long as one registration takes. It gets three sockets and answers with what
//! came of it, over a socket that is its standard input ([`message`]).

pub mod client;
pub mod message;
