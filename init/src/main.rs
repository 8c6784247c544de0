//! `softwarecontainer-init`: the first process of a container.
//!
//! Usage: `softwarecontainer-init SOCKET`; with `-` the socket is standard input. It connects to
//! the agent's socket, starts what the agent asks for, reaps every process that ends in the
//! container, and ends when told to and nothing else runs, or when the agent is gone.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(socket) = std::env::args_os().nth(1) else {
        eprintln!("usage: softwarecontainer-init SOCKET");
        return ExitCode::from(2);
    };
    match softwarecontainer_init::serve(&socket) {
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
