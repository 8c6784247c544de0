//! `softwarecontainer-dbus-proxy`: filters the D-Bus messages of one container.

use std::process::ExitCode;

use softwarecontainer_dbus_proxy::args::{self, Action};
use softwarecontainer_dbus_proxy::process;

fn main() -> ExitCode {
    let arguments = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned());
    match args::parse(arguments) {
        Ok(Action::Help) => print!("{}", args::USAGE),
        Ok(Action::Version) => {
            println!("softwarecontainer-dbus-proxy {}", env!("CARGO_PKG_VERSION"))
        }
        Ok(Action::Serve(arguments)) => {
            if let Err(error) = process::serve(arguments) {
                eprintln!("softwarecontainer-dbus-proxy: {error}");
                return ExitCode::FAILURE;
            }
        }
        Err(error) => {
            eprint!("softwarecontainer-dbus-proxy: {error}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
