//! What a call on the agent fails with: the text of the D-Bus error.

use std::fmt;

use softwarecontainer_capability::UnknownCapability;

use crate::container::{ContainerError, options::OptionsError};

/// A failed call.
#[derive(Debug)]
#[non_exhaustive]
pub enum AgentError {
    /// No container has that ID.
    NoContainer {
        /// The ID.
        id: i32,
    },
    /// The agent could not prepare what containers need.
    NotReady(String),
    /// There are as many containers as the configuration allows.
    TooMany {
        /// How many.
        limit: u32,
    },
    /// The argument of `Create` is longer than the configuration allows.
    OptionsTooLong {
        /// Its size in bytes.
        size: usize,
        /// The most bytes.
        limit: u32,
    },
    /// `Create` asks for more than the configuration allows.
    RootTreeTooLarge {
        /// The bytes asked for.
        size: u64,
        /// The most bytes.
        limit: u64,
    },
    /// The argument of `Create` is malformed.
    Options(OptionsError),
    /// No manifest has a capability of that name.
    Capability(UnknownCapability),
    /// An operation on a container failed.
    Container(ContainerError),
    /// A container could not be created on a kernel that lacks something.
    Create {
        /// Why.
        error: ContainerError,
        /// What the kernel lacks, in words.
        kernel: String,
    },
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoContainer { id } => write!(f, "there is no container with ID {id}"),
            Self::NotReady(why) => write!(f, "the agent cannot make containers: {why}"),
            Self::TooMany { limit } => write!(
                f,
                "there are {limit} containers already, as many as max-containers allows"
            ),
            Self::OptionsTooLong { size, limit } => write!(
                f,
                "the container options have {size} bytes, more than the {limit} of max-command-length"
            ),
            Self::RootTreeTooLarge { size, limit } => write!(
                f,
                "container options: temporaryFileSystemSize is {size}, more than the {limit} of max-root-tree-size"
            ),
            Self::Options(error) => error.fmt(f),
            Self::Capability(error) => error.fmt(f),
            Self::Container(error) => error.fmt(f),
            Self::Create { error, kernel } => write!(f, "{error}; {kernel}"),
        }
    }
}

impl std::error::Error for AgentError {}

impl From<OptionsError> for AgentError {
    fn from(error: OptionsError) -> Self {
        Self::Options(error)
    }
}

impl From<UnknownCapability> for AgentError {
    fn from(error: UnknownCapability) -> Self {
        Self::Capability(error)
    }
}

impl From<ContainerError> for AgentError {
    fn from(error: ContainerError) -> Self {
        Self::Container(error)
    }
}
