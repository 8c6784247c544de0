//! The errors of the Manager interface, each with a name of its own. (Those of the frozen interface
//! are all `org.freedesktop.DBus.Error.Failed`.)

use zbus::{DBusError, Message, fdo, message::Header, names::ErrorName};

use super::caller::TooManyCalls;
use crate::{
    agent::AgentError,
    container::{ContainerError, State},
    error_chain::Chain,
};

/// What the names of all errors begin with.
macro_rules! named {
    ($name:literal) => {
        concat!("com.pelagicore.SoftwareContainerAgent.Error.", $name)
    };
}

/// A failed call: the error's name, and a text for people.
#[derive(Debug)]
pub struct ManagerError {
    name: &'static str,
    text: String,
}

impl ManagerError {
    /// There is no such container, or the caller may not see it.
    pub const NO_SUCH_CONTAINER: &str = named!("NoSuchContainer");
    /// The caller has too many calls under way, or there are too many of what it asked for.
    pub const LIMIT_REACHED: &str = named!("LimitReached");
    /// An argument cannot be used.
    pub const INVALID_ARGUMENT: &str = named!("InvalidArgument");

    /// The arguments are of other types; named as zbus names it.
    pub const INVALID_TYPES: &str = "org.freedesktop.DBus.Error.InvalidArgs";

    /// An argument cannot be used.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(Self::INVALID_ARGUMENT, text)
    }

    /// With one of the names above.
    pub fn new(name: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { name, text }
    }
}

/// For properties: zbus's `GetAll` has no other errors.
impl From<ManagerError> for fdo::Error {
    fn from(error: ManagerError) -> Self {
        match error.name {
            ManagerError::NO_SUCH_CONTAINER => Self::UnknownObject(error.text),
            ManagerError::LIMIT_REACHED => Self::LimitsExceeded(error.text),
            _ => Self::Failed(error.text),
        }
    }
}

impl From<TooManyCalls> for ManagerError {
    fn from(refused: TooManyCalls) -> Self {
        Self::new(Self::LIMIT_REACHED, refused.to_string())
    }
}

impl From<AgentError> for ManagerError {
    fn from(error: AgentError) -> Self {
        Self::new(name_of(&error), text_of(&error))
    }
}

/// What is told of a failed call, and logged.
pub(super) fn text_of(error: &AgentError) -> String {
    // No string of D-Bus can hold a NUL character, and manifests can: in paths, for example.
    let text = Chain(error).to_string().replace('\0', "\\0");
    log::warn!("{text}");
    text
}

fn name_of(error: &AgentError) -> &'static str {
    match error {
        AgentError::NoContainer { .. } => ManagerError::NO_SUCH_CONTAINER,
        AgentError::UnknownCaller => named!("UnknownCaller"),
        AgentError::HostUser { .. } => named!("NotAllowed"),
        AgentError::Stopping => named!("Stopping"),
        AgentError::NotReady(_) => named!("NotReady"),
        AgentError::TooMany { .. } => ManagerError::LIMIT_REACHED,
        AgentError::OptionsTooLong { .. }
        | AgentError::RootTreeTooLarge { .. }
        | AgentError::Options(_) => ManagerError::INVALID_ARGUMENT,
        AgentError::Capability(_) => named!("NoSuchCapability"),
        AgentError::Container(error) | AgentError::Create { error, .. } => of_container(error),
    }
}

fn of_container(error: &ContainerError) -> &'static str {
    match error {
        ContainerError::State { state, .. } if *state == State::Suspended => named!("Suspended"),
        ContainerError::State { .. } => named!("WrongState"),
        ContainerError::Frozen { .. } => named!("Suspended"),
        ContainerError::Gone { .. } => named!("Ended"),
        ContainerError::Late { .. } => named!("TimedOut"),
        ContainerError::CommandLine { .. }
        | ContainerError::Nul { .. }
        | ContainerError::Variable { .. }
        | ContainerError::Stream(_)
        | ContainerError::UnknownLimit { .. }
        | ContainerError::Limit { .. }
        | ContainerError::TooLong { .. } => ManagerError::INVALID_ARGUMENT,
        ContainerError::NoProcess { .. } => named!("NoSuchProcess"),
        ContainerError::Spawn { .. } => named!("NotStarted"),
        _ => named!("Failed"),
    }
}

impl DBusError for ManagerError {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        Message::error(call, self.name()).build(&self.text)
    }

    fn name(&self) -> ErrorName<'_> {
        ErrorName::from_static_str_unchecked(self.name)
    }

    fn description(&self) -> Option<&str> {
        Some(&self.text)
    }
}
