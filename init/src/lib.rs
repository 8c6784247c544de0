//! The first process of a container, and what it and the agent say to each other.

mod calls;
mod confinement;
mod error;
mod listeners;
mod missing;
mod protocol;
mod serve;
mod spawn;
mod sys;

pub use calls::{Answer, Call, CallFilter};
pub use confinement::{Confinement, Limit};
pub use error::InitError;
pub use protocol::{Command, INIT_PATH, Kind, Message, TERMINAL, WITHOUT_LANDLOCK};
pub use serve::serve;
