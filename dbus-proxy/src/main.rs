//! `softwarecontainer-dbus-proxy`: filters the D-Bus messages of one container.

use std::process::ExitCode;

fn main() -> ExitCode {
    softwarecontainer_dbus_proxy::run(std::env::args_os().skip(1))
}
