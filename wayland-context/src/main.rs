//! `softwarecontainer-wayland-context`: registers one listening socket with a Wayland compositor,
//! without privileges.

use std::{
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    process::ExitCode,
};

use rustix::{
    process::{DumpableBehavior, Gid, Resource, Rlimit, Uid},
    thread::{CapabilitySet, CapabilitySets},
};
use softwarecontainer_wayland_context::message::{self, Answer, Context};
use thiserror::Error;
use wayland_client::{
    ConnectError, Connection, Dispatch, DispatchError, QueueHandle, delegate_noop,
    globals::{BindError, GlobalError, GlobalListContents, registry_queue_init},
    protocol::wl_registry::{self, WlRegistry},
};
use wayland_protocols::wp::security_context::v1::client::{
    wp_security_context_manager_v1::WpSecurityContextManagerV1,
    wp_security_context_v1::WpSecurityContextV1,
};

/// User and group that nothing belongs to (`overflowuid` in proc_sys_kernel(5)).
const NOBODY: u32 = 65534;

#[derive(Debug, Error)]
enum RegistrationError {
    #[error("the connection cannot be used")]
    Connect(#[from] ConnectError),
    #[error("no list of what it offers")]
    Globals(#[from] GlobalError),
    #[error("wp_security_context_manager_v1 cannot be used")]
    Bind(#[source] BindError),
    #[error("the registration is not answered")]
    Commit(#[from] DispatchError),
}

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
            match register(&context, sockets) {
                Ok(true) => Answer::Registered,
                Ok(false) => Answer::NotOffered,
                Err(error) => Answer::Failed(chain(&error)),
            }
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

/// Takes part in no conversation with the compositor beyond this one.
struct Registration;

impl Dispatch<WlRegistry, GlobalListContents> for Registration {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

delegate_noop!(Registration: WpSecurityContextManagerV1);
delegate_noop!(Registration: WpSecurityContextV1);

/// Tells whether the compositor has the protocol; then it listens.
fn register(
    context: &Context,
    [compositor, listener, until_closed]: [OwnedFd; 3],
) -> Result<bool, RegistrationError> {
    let connection = Connection::from_socket(UnixStream::from(compositor))?;
    let (globals, mut queue) = registry_queue_init::<Registration>(&connection)?;
    let handle = queue.handle();
    let manager: WpSecurityContextManagerV1 = match globals.bind(&handle, 1..=1, ()) {
        Ok(manager) => manager,
        Err(BindError::NotPresent) => return Ok(false),
        Err(error) => return Err(RegistrationError::Bind(error)),
    };
    let registered = manager.create_listener(listener.as_fd(), until_closed.as_fd(), &handle, ());
    registered.set_sandbox_engine(context.engine.clone());
    registered.set_app_id(context.app.clone());
    registered.set_instance_id(context.instance.clone());
    registered.commit();
    // An error of the protocol comes before the answer to this.
    queue.roundtrip(&mut Registration)?;
    Ok(true)
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
