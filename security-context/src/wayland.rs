//! Registers with a Wayland compositor, by the protocol security-context-v1.

use std::os::{
    fd::{AsFd as _, OwnedFd},
    unix::net::UnixStream,
};

use softwarecontainer_security_context::message::Context;
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

/// Why nothing was registered.
#[derive(Debug, Error)]
pub(crate) enum WaylandError {
    /// It is no compositor.
    #[error("the connection cannot be used")]
    Connect(#[from] ConnectError),
    /// It does not say what it has.
    #[error("no list of what it offers")]
    Globals(#[from] GlobalError),
    /// It does not let the protocol be used.
    #[error("wp_security_context_manager_v1 cannot be used")]
    Bind(#[source] BindError),
    /// It refuses, or is gone.
    #[error("the registration is not answered")]
    Commit(#[from] DispatchError),
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
pub(crate) fn register(
    context: &Context,
    [compositor, listener, until_closed]: [OwnedFd; 3],
) -> Result<bool, WaylandError> {
    let connection = Connection::from_socket(UnixStream::from(compositor))?;
    let (globals, mut queue) = registry_queue_init::<Registration>(&connection)?;
    let handle = queue.handle();
    let manager: WpSecurityContextManagerV1 = match globals.bind(&handle, 1..=1, ()) {
        Ok(manager) => manager,
        Err(BindError::NotPresent) => return Ok(false),
        Err(error) => return Err(WaylandError::Bind(error)),
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
