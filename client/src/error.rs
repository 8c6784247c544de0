//! What a call of the agent fails with.

use zbus::DBusError as _;

/// The names of the agent's errors begin with this.
const PREFIX: &str = "com.pelagicore.SoftwareContainerAgent.Error.";

macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A failed call. The texts are the agent's, for people.
        #[derive(Debug, thiserror::Error)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[doc = $doc])+ #[error("{0}")] $name(String),)+
            /// The bus lets this user not call the agent.
            #[error("{0} (is this user in the group softwarecontainer?)")]
            AccessDenied(String),
            /// No agent is on this bus, and the bus cannot start one.
            #[error("no agent is on the bus: {0}")]
            NotRunning(String),
            /// Another D-Bus error of the agent or the bus.
            #[error("{text}")]
            Other {
                /// Its name.
                name: String,
                /// What it says.
                text: String,
            },
            /// The bus cannot be used.
            #[error("cannot use the bus")]
            Bus(#[source] zbus::Error),
        }

        impl Error {
            /// The names of the errors of the Manager interface, without what all begin with.
            pub const NAMES: &[&str] = &[$(stringify!($name)),+];

            fn named(name: &str, text: String) -> Self {
                match name {
                    $(stringify!($name) => Self::$name(text),)+
                    _ => Self::Other { name: format!("{PREFIX}{name}"), text },
                }
            }
        }
    };
}

errors! {
    /// There is no such container, or another user created it.
    NoSuchContainer,
    /// The text says which argument, and what is wrong with it.
    InvalidArgument,
    /// No process of that ID that a launcher has started runs in the container.
    NoSuchProcess,
    /// No manifest has a capability of that name.
    NoSuchCapability,
    /// Too many containers, calls under way, or watchers.
    LimitReached,
    /// The agent cannot make containers.
    NotReady,
    /// The agent ends.
    Stopping,
    /// The bus does not tell who calls.
    UnknownCaller,
    /// Only root may do that.
    NotAllowed,
    /// The container is suspended, or frozen by somebody else.
    Suspended,
    /// A call on the container failed half way; it can only be destroyed.
    WrongState,
    /// The container's first process is gone; it can only be destroyed.
    Ended,
    /// Something took too long.
    TimedOut,
    /// The process could not be started.
    NotStarted,
    /// Anything else, and every error of the frozen interface.
    Failed,
}

impl From<zbus::Error> for Error {
    fn from(error: zbus::Error) -> Self {
        let (name, text) = match &error {
            zbus::Error::MethodError(name, text, _) => {
                (name.to_string(), text.clone().unwrap_or_default())
            }
            zbus::Error::FDO(error) => (
                error.name().to_string(),
                error.description().unwrap_or_default().to_owned(),
            ),
            _ => return Self::Bus(error),
        };
        if let Some(own) = name.strip_prefix(PREFIX) {
            return Self::named(own, text);
        }
        match name.strip_prefix("org.freedesktop.DBus.Error.") {
            Some("Failed") => Self::Failed(text),
            Some("UnknownObject") => Self::NoSuchContainer(text),
            Some("LimitsExceeded") => Self::LimitReached(text),
            Some("AccessDenied") => Self::AccessDenied(text),
            Some("ServiceUnknown" | "NameHasNoOwner") => Self::NotRunning(text),
            _ => Self::Other { name, text },
        }
    }
}

/// An error and what led to it, on one line: those of this crate do not repeat their sources.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(name: &str) -> Error {
        let name = name.to_owned().try_into().unwrap();
        let message = zbus::Message::signal("/", "org.example.Interface", "Signal");
        let message = message.build(&()).unwrap();
        zbus::Error::MethodError(name, Some("why".to_owned()), message).into()
    }

    #[test]
    fn an_error_of_the_agent_is_told_by_its_name() {
        let error = from("com.pelagicore.SoftwareContainerAgent.Error.NoSuchContainer");
        assert!(matches!(&error, Error::NoSuchContainer(text) if text == "why"));
        assert_eq!(error.to_string(), "why");
        let error = from("org.freedesktop.DBus.Error.Failed");
        assert!(matches!(error, Error::Failed(_)));
        let error = from("org.freedesktop.DBus.Error.AccessDenied");
        assert!(error.to_string().contains("group softwarecontainer"));
    }

    #[test]
    fn a_name_of_a_newer_agent_is_kept() {
        let name = "com.pelagicore.SoftwareContainerAgent.Error.New";
        let error = from(name);
        assert!(matches!(&error, Error::Other { name: known, .. } if known == name));
    }
}
