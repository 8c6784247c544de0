//! Registers with PipeWire, by its interface `SecurityContext` (PipeWire 0.3.84 and later,
//! `pipewire/extensions/security-context.h`).

mod connection;
mod pod;

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    time::{Duration, Instant},
};

use softwarecontainer_security_context::message::Context;
use thiserror::Error;

use connection::{Connection, Event};
use pod::{Fields, Reader};

/// How long PipeWire and its session manager may take; the agent waits a little longer.
const PATIENCE: Duration = Duration::from_secs(4);
/// What the session manager's script tells of itself by.
const SCRIPT: &str = "softwarecontainer";
/// What a client is by how it came, and cannot change: no session manager grants it anything that
/// does not know it.
const ACCESS: &str = "softwarecontainer";
const PROTOCOL_VERSION: i32 = 3;
const INTERFACE_VERSION: i32 = 3;
const SECURITY_CONTEXT_TYPE: &str = "PipeWire:Interface:SecurityContext";
const METADATA_TYPE: &str = "PipeWire:Interface:Metadata";

// Objects, as this client counts them. The first two are there from the beginning.
const CORE: u32 = 0;
const CLIENT: u32 = 1;
const REGISTRY: u32 = 2;
const SECURITY_CONTEXT: u32 = 3;

const CORE_HELLO: u32 = 1;
const CORE_SYNC: u32 = 2;
const CORE_PONG: u32 = 3;
const CORE_GET_REGISTRY: u32 = 5;
const CLIENT_UPDATE_PROPERTIES: u32 = 2;
const REGISTRY_BIND: u32 = 1;
const SECURITY_CONTEXT_CREATE: u32 = 1;

const CORE_DONE: u32 = 1;
const CORE_PING: u32 = 2;
const CORE_ERROR: u32 = 3;
const REGISTRY_GLOBAL: u32 = 0;

/// The answer to the list of what there is.
const LISTED: i32 = 1;
/// The answer to the registration.
const CREATED: i32 = 2;

/// Why nothing was registered.
#[derive(Debug, Error)]
pub(crate) enum PipeWireError {
    /// The connection fails, or nothing comes in time.
    #[error("no answer from PipeWire")]
    Connection(#[from] io::Error),
    /// Nobody would keep from apps what is not for them.
    #[error(
        "the session manager does not run softwarecontainer/access.lua, which decides what apps \
         may do"
    )]
    NoScript,
    /// PipeWire refuses.
    #[error("PipeWire says: {0}")]
    Refused(String),
}

/// Tells whether PipeWire has the interface; then it listens.
pub(crate) fn register(
    context: &Context,
    media: &str,
    [server, listener, until_closed]: [OwnedFd; 3],
) -> Result<bool, PipeWireError> {
    let mut connection = Connection::over(server, Instant::now() + PATIENCE)?;
    let properties = [("application.name", "SoftwareContainer")];
    let hello = Fields::default().int(PROTOCOL_VERSION);
    connection.call(CORE, CORE_HELLO, hello)?;
    let properties = Fields::default().dictionary(&properties);
    connection.call(CLIENT, CLIENT_UPDATE_PROPERTIES, properties)?;
    let registry = Fields::default()
        .int(INTERFACE_VERSION)
        .int(number(REGISTRY));
    connection.call(CORE, CORE_GET_REGISTRY, registry)?;
    connection.call(CORE, CORE_SYNC, Fields::default().int(0).int(LISTED))?;
    let Some(interface) = find_interface(&mut connection)? else {
        return Ok(false);
    };
    let bind = Fields::default()
        .int(interface)
        .string(SECURITY_CONTEXT_TYPE)
        .int(INTERFACE_VERSION)
        .int(number(SECURITY_CONTEXT));
    connection.call(REGISTRY, REGISTRY_BIND, bind)?;
    let properties = [
        ("pipewire.access", ACCESS),
        ("pipewire.sec.engine", context.engine.as_str()),
        ("pipewire.sec.app-id", context.app.as_str()),
        ("pipewire.sec.instance-id", context.instance.as_str()),
        ("pipewire.sec.softwarecontainer.media", media),
    ];
    let create = Fields::default()
        .descriptor(0)
        .descriptor(1)
        .dictionary(&properties);
    let descriptors = [listener.as_fd(), until_closed.as_fd()];
    connection.call_with(
        SECURITY_CONTEXT,
        SECURITY_CONTEXT_CREATE,
        create,
        &descriptors,
    )?;
    connection.call(CORE, CORE_SYNC, Fields::default().int(0).int(CREATED))?;
    loop {
        let event = next(&mut connection)?;
        if done(&event) == Some(CREATED) {
            return Ok(true);
        }
    }
}

/// The interface's number, once the session manager has its script, too.
fn find_interface(connection: &mut Connection) -> Result<Option<i32>, PipeWireError> {
    let (mut interface, mut listed, mut script) = (None, false, false);
    loop {
        let event = match next(connection) {
            Err(PipeWireError::Connection(error)) if listed && has_run_out(&error) => {
                return Err(PipeWireError::NoScript);
            }
            event => event?,
        };
        if let Some(global) = Global::of(&event) {
            script |= global.is_script;
            interface = interface.or(global.interface);
        }
        listed |= done(&event) == Some(LISTED);
        match interface {
            None if listed => return Ok(None),
            Some(_) if script => return Ok(interface),
            _ => {}
        }
    }
}

/// Something that there is.
struct Global {
    interface: Option<i32>,
    is_script: bool,
}

impl Global {
    fn of(event: &Event) -> Option<Self> {
        if (event.object, event.opcode) != (REGISTRY, REGISTRY_GLOBAL) {
            return None;
        }
        let mut fields = Reader::of_message(&event.body)?;
        let (number, _permissions) = (fields.int()?, fields.int()?);
        let kind = fields.string()?;
        let _version = fields.int()?;
        Some(Self {
            interface: (kind == SECURITY_CONTEXT_TYPE).then_some(number),
            is_script: kind == METADATA_TYPE && fields.entry("metadata.name") == Some(SCRIPT),
        })
    }
}

/// The next event that is no error and wants no answer.
fn next(connection: &mut Connection) -> Result<Event, PipeWireError> {
    loop {
        let event = connection.event()?;
        if event.object != CORE {
            return Ok(event);
        }
        match event.opcode {
            CORE_PING => {
                let (id, sequence) = pair(&event).unwrap_or_default();
                let pong = Fields::default().int(id).int(sequence);
                connection.call(CORE, CORE_PONG, pong)?;
            }
            CORE_ERROR => {
                let message = Reader::of_message(&event.body).and_then(|mut fields| {
                    let _ = (fields.int()?, fields.int()?, fields.int()?);
                    fields.string()
                });
                let message = message.unwrap_or("an error without a message");
                return Err(PipeWireError::Refused(message.to_owned()));
            }
            _ => return Ok(event),
        }
    }
}

/// Whether nothing has come in time.
fn has_run_out(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

fn done(event: &Event) -> Option<i32> {
    let is_done = (event.object, event.opcode) == (CORE, CORE_DONE);
    pair(event)
        .filter(|_| is_done)
        .map(|(_, sequence)| sequence)
}

fn pair(event: &Event) -> Option<(i32, i32)> {
    let mut fields = Reader::of_message(&event.body)?;
    Some((fields.int()?, fields.int()?))
}

/// An object's number as messages carry it.
fn number(object: u32) -> i32 {
    i32::try_from(object).unwrap_or(i32::MAX)
}
