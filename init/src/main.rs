//! `softwarecontainer-init`: the first process of a container.
//!
//! Usage: `softwarecontainer-init SOCKET [without-landlock]`; `-` for a socket on standard input.
//! It connects to the agent's socket, starts what the agent asks for, reaps every process that ends
//! in the container, and ends when told to and nothing else runs, or when the agent is gone.

use std::process::ExitCode;

use softwarecontainer_init::WITHOUT_LANDLOCK;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(socket) = arguments.next() else {
        eprintln!("usage: softwarecontainer-init SOCKET [{WITHOUT_LANDLOCK}]");
        return ExitCode::from(2);
    };
    let landlock = arguments.next().is_none_or(|it| it != WITHOUT_LANDLOCK);
    match softwarecontainer_init::serve(&socket, landlock) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            eprintln!(
                "softwarecontainer-init: {error}: {}",
                cause.unwrap_or_default()
            );
            ExitCode::FAILURE
        }
    }
}
