//! The filtering D-Bus proxy: lets a container's messages to and from a bus pass where a rule
//! allows them.
//!
//! # How filtering works
//!
//! An app's D-Bus library connects to a socket in `/gateways` as if a bus were there. The agent
//! listens on it; one proxy process per container accepts, and makes a connection of its own to the
//! bus for each one it accepts. The bus thus sees ordinary clients, with unique names of their own,
//! and needs no configuration; an app sees a bus on which little is allowed. Such a pair of
//! connections is a *link* (`link`).
//!
//! **Authentication** ([`sasl`]) ends at the proxy on both sides. Who reaches the socket may use
//! it, since only the container's processes can; towards the bus the proxy authenticates as the
//! user that the agent has named, so a user ID that an app claims means nothing.
//!
//! **Messages** are cut out of the stream by their headers ([`flow`], [`wire`]), which are the only
//! part of a message that is held, parsed and judged; bodies are passed on or skipped as they come.
//! The parser is stricter than the specification wherever two readers could understand the same
//! bytes differently, because the bus reads them a second time. Bytes that are no message close
//! their link, never the proxy.
//!
//! **The verdict** on a message ([`filter`]) depends on its type:
//!
//! * A *call* or *signal* needs a rule ([`rule`]) that matches its direction, interface, object
//!   path and member. A rule does not name a destination: who is allowed to call a method may call
//!   it on whoever has it. A call without an interface, which the receiver may take for one of any
//!   interface, matches only rules that allow them all.
//! * A *reply* or *error* needs no rule, but a call that passed in the other direction, was not
//!   answered yet, and was addressed to the sender. That is what the filter remembers, in tables
//!   of bounded size.
//! * *Calls to the bus itself* ask about others or steer it. Without a rule, a connection may do
//!   what concerns only itself, and ask about names that some rule is about ([`rule`]) or that it
//!   exchanged messages with. Other names do not exist for it: questions are answered as if nobody
//!   had them, lists and signals leave them out. That is the one place where bodies are read, and
//!   where a message is not passed on as it came.
//!
//! A call that is refused is answered with an error in the name of the receiver, so that nobody
//! waits for a time-out; anything else that may not pass disappears. Both are logged, at a limited
//! rate, by way of the agent. Arguments, introspection data and file descriptors pass unseen with
//! their message.
//!
//! **Memory** is bounded by reading only where the bytes can go: a side that does not read is not
//! read for, and an app that does not read is not read from either, so that the bus does not hold
//! its answers. A message whose header is too long to be held is skipped ([`limits`] has every
//! bound).
//!
//! **The process** ([`sandbox`]) has no capability, sees no file but the sockets of the buses, and
//! may use the system calls of its event loop, for it is what parses an app's bytes. It takes rules
//! and listening sockets over a private socket ([`control`]) from the agent, whose side is
//! [`client`]: that starts the process, and starts it again if it dies. Rules may change at any
//! time and count from the next message on.
//!
//! Bytes flow one way: socket → [`sasl`] or [`flow`] → [`filter`] ([`rule`]) → outbox → the other
//! socket; the event loop moves them.

pub mod address;
mod args;
pub mod client;
pub mod control;
mod error_chain;
pub mod filter;
pub mod flow;
pub mod limits;
mod link;
mod log_rate;
mod outbox;
mod process;
pub mod rule;
pub mod sandbox;
pub mod sasl;
mod server;
mod sys;
pub mod wire;

use std::{ffi::OsString, process::ExitCode};

pub use error_chain::error_chain;

use args::Action;

/// The program, with the arguments that follow its name.
pub fn run<A>(arguments: A) -> ExitCode
where
    A: IntoIterator<Item: Into<OsString>, IntoIter: 'static>,
{
    match args::parse(arguments) {
        Ok(Action::Help) => print!("{}", args::USAGE),
        Ok(Action::Version) => {
            println!("softwarecontainer-dbus-proxy {}", env!("CARGO_PKG_VERSION"));
        }
        Ok(Action::Serve(arguments)) => {
            if let Err(error) = process::serve(arguments) {
                eprintln!("softwarecontainer-dbus-proxy: {}", error_chain(&error));
                return ExitCode::FAILURE;
            }
        }
        Err(error) => {
            eprint!("softwarecontainer-dbus-proxy: {error}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
