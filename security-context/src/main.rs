//! `softwarecontainer-security-context`: registers one listening socket with a Wayland compositor
//! or with PipeWire, without privileges.

#[cfg(feature = "pipewire")]
mod pipewire;
#[cfg(feature = "wayland")]
mod wayland;

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    process::ExitCode,
};

use rustix::{
    process::{DumpableBehavior, Gid, Resource, Rlimit, Uid},
    thread::{CapabilitySet, CapabilitySets},
};
use softwarecontainer_security_context::message::{self, Answer, Context};
/// User and group that nothing belongs to (`overflowuid` in proc_sys_kernel(5)).
const NOBODY: u32 = 65534;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Does what the message at standard input asks for.
fn run() -> io::Result<()> {
    let input = io::stdin();
    let control = input.as_fd();
    let answer = match give_up_privileges() {
        Err(error) => Answer::Failed(format!("privileges stay: {error}")),
        Ok(()) => {
            let (context, sockets) = message::receive_request(control)?;
            register(&context, sockets)
        }
    };
    message::send_answer(control, &answer)
}

/// Keeps nothing but open descriptors.
fn give_up_privileges() -> rustix::io::Result<()> {
    for (resource, most) in [
        (Resource::Nproc, 0),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 64),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        rustix::process::setrlimit(resource, limit)?;
    }
    if rustix::process::getuid().is_root() {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(group, group, group)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none)?;
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

fn register(context: &Context, sockets: [OwnedFd; 3]) -> Answer {
    match &context.server {
        #[cfg(feature = "wayland")]
        message::Server::Compositor => answer(wayland::register(context, sockets)),
        #[cfg(feature = "pipewire")]
        message::Server::PipeWire { media } => answer(pipewire::register(context, media, sockets)),
        #[allow(unreachable_patterns, reason = "where all are built")]
        _ => {
            drop(sockets);
            Answer::Failed("the program is built without it".to_owned())
        }
    }
}

#[allow(dead_code, reason = "where none is built")]
fn answer<E: std::error::Error>(registered: Result<bool, E>) -> Answer {
    match registered {
        Ok(true) => Answer::Registered,
        Ok(false) => Answer::NotOffered,
        Err(error) => Answer::Failed(chain(&error)),
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
