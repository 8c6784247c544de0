//! What a call is to the bus driver.

use crate::wire::{Header, Kind};

/// The name of the bus driver.
pub const DRIVER: &str = "org.freedesktop.DBus";

/// What a call is to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DriverCall {
    /// It goes to somebody else.
    No,
    /// It concerns the connection only.
    Own,
    /// It adds a match rule, which must not ask for messages to others.
    AddMatch,
    /// It asks about the name that is its first argument.
    Question,
    /// It asks for a list of names.
    Names,
    /// It starts the service with the name that is its first argument.
    Start,
    /// It needs a rule, as a call to anybody else does.
    ByRule,
    /// It needs a rule that names interface and method in full, because it steers the bus for
    /// everybody.
    ByFullName,
    /// It is never allowed.
    Forbidden,
}

/// Members are looked at without regard to interface, path or argument types: buses differ in how
/// much of these they insist on, and the driver has no harmless methods of the same names.
pub(super) fn classify(header: &Header<'_>) -> DriverCall {
    let at_driver = header.destination == Some(DRIVER);
    // A bus may take a call to nobody as one to itself. That needs a rule in any case, and what is
    // checked besides is checked there, too.
    if !at_driver && header.destination.is_some() {
        return DriverCall::No;
    }
    let call = match header.member.unwrap_or_default() {
        "BecomeMonitor" => return DriverCall::Forbidden,
        "AddMatch" => return DriverCall::AddMatch,
        "UpdateActivationEnvironment" | "ReloadConfig" | "EnableVerbose" | "DisableVerbose" => {
            return DriverCall::ByFullName;
        }
        "Hello" | "RemoveMatch" | "GetId" => DriverCall::Own,
        "GetNameOwner"
        | "NameHasOwner"
        | "ListQueuedOwners"
        | "GetConnectionUnixUser"
        | "GetConnectionUnixProcessID"
        | "GetConnectionCredentials"
        | "GetConnectionSELinuxSecurityContext"
        | "GetAdtAuditSessionData" => DriverCall::Question,
        "ListNames" | "ListActivatableNames" => DriverCall::Names,
        "StartServiceByName" => DriverCall::Start,
        _ => DriverCall::ByRule,
    };
    if at_driver { call } else { DriverCall::No }
}

/// Whether the verdict on this outgoing message depends on its body.
pub(super) fn needs_body(header: &Header<'_>) -> bool {
    header.kind == Kind::Call
        && matches!(
            classify(header),
            DriverCall::AddMatch | DriverCall::Question | DriverCall::Start
        )
}
