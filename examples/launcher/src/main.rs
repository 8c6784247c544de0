//! `softwarecontainer-launcher`: an example of an OEM's launcher, on the agent's D-Bus API only.
//!
//! It runs as an unprivileged user in the group that may call the agent. See
//! `softwarecontainer-launcher(1)`.

mod agent;
mod app;
mod cli;
mod error;
mod home;
mod identity;
mod left;
mod manifest;
mod manifest_error;
mod notify;
mod output;
mod state;

use std::process::ExitCode;

use cli::{Action, Options};
use error::Error;

fn main() -> ExitCode {
    let options = match cli::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(cli::Stop::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(cli::Stop::Usage(reason)) => {
            eprintln!("softwarecontainer-launcher: {reason}\n{}", cli::USAGE);
            return ExitCode::from(2);
        }
    };
    match perform(&options) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!(
                "softwarecontainer-launcher: {}",
                softwarecontainer_client::chain(&error)
            );
            ExitCode::FAILURE
        }
    }
}

fn perform(options: &Options) -> Result<u8, Error> {
    // Before the first thread, so that every thread has the signals blocked and the descriptor gets
    // them.
    let signals = app::StopSignals::block()?;
    smol::block_on(async {
        let agent = agent::Agent::connect(options.session_bus).await?;
        let state = state::State::new(&options.state);
        match &options.action {
            Action::Run(app) => {
                let manifest = manifest::App::load(&manifest::find(&options.apps, app))?;
                app::run(&agent, &state, &manifest, &signals).await
            }
            Action::List => {
                let running = agent.list().await?;
                for entry in state.entries()? {
                    if running.contains(&entry.container) {
                        println!("{}\t{}\t{}", entry.name, entry.container, entry.pid);
                    }
                }
                Ok(0)
            }
            Action::Capabilities => {
                for name in agent.list_capabilities().await? {
                    println!("{name}");
                }
                Ok(0)
            }
            Action::Stop(name) => {
                let (entry, file) = state.find(name)?;
                app::ask_to_stop(&entry)?;
                state.wait(file, name)?;
                Ok(0)
            }
            Action::Suspend(name) => {
                agent.suspend(state.entry(name)?.container).await?;
                Ok(0)
            }
            Action::Resume(name) => {
                agent.resume(state.entry(name)?.container).await?;
                Ok(0)
            }
        }
    })
}
