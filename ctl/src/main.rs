//! `softwarecontainerctl`: looks into containers of the agent, and works on them, from a shell. It
//! needs no privileges but those of any launcher. See `softwarecontainerctl(1)`.

mod cli;
mod doctor;
mod error;
mod exec;
mod explain;
mod json;
mod monitor;
mod output;
mod run;
mod show;
mod signals;
mod statistics;
mod status;
mod terminal;
mod top;
mod units;
mod words;

use std::process::ExitCode;

use softwarecontainer_client::{Bus, Client};

use cli::{Action, Options};
use error::Error;

/// Exit status when something failed.
const FAILED: u8 = 1;
/// Exit status when the command line is wrong.
const USAGE: u8 = 2;
/// Exit status of `exec` when the command was not run.
const NOT_RUN: u8 = 125;

fn main() -> ExitCode {
    let options = match cli::parse(std::env::args_os().skip(1)) {
        Ok(cli::Invocation::Do(options)) => options,
        Ok(cli::Invocation::Print(text)) => {
            return ExitCode::from(output::print(&text).map_or(FAILED, |()| 0));
        }
        Err(error) => {
            eprintln!("softwarecontainerctl: {error} (--help lists the commands)");
            return ExitCode::from(USAGE);
        }
    };
    let failed = match options.action {
        Action::Exec(_) | Action::Run(_) => NOT_RUN,
        _ => FAILED,
    };
    match smol::block_on(perform(options)) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!(
                "softwarecontainerctl: {}",
                softwarecontainer_client::chain(&error)
            );
            ExitCode::from(failed)
        }
    }
}

async fn perform(options: Options) -> Result<u8, Error> {
    // Before the first thread, so that every thread has the signals blocked.
    let signals = match &options.action {
        Action::Exec(_) | Action::Run(_) => Some(signals::Signals::block()?),
        _ => None,
    };
    let bus = match options.session_bus {
        true => Bus::Session,
        false => Bus::System,
    };
    if options.action == Action::Doctor {
        return doctor::doctor(bus).await;
    }
    let client = Client::connect(bus).await?;
    let agent = client.agent();
    match options.action {
        Action::List => output::print(&show::list(&client).await?)?,
        Action::Inspect(id) => output::print(&show::inspect(&client, id).await?)?,
        Action::Processes(id) => output::print(&show::processes(&client, id).await?)?,
        Action::Capabilities(names) if names.is_empty() => {
            output::print(&explain::capabilities(&client).await?)?;
        }
        Action::Capabilities(names) => output::print(&explain::named(&client, &names).await?)?,
        Action::Explain(id) => output::print(&explain::container(&client, id).await?)?,
        Action::Rules(id) => output::print(&explain::rules(&client, id).await?)?,
        Action::Status(None) => output::print(&status::agent(&client).await?)?,
        Action::Status(Some(id)) => output::print(&status::container(&client, id).await?)?,
        Action::Monitor { json } => monitor::monitor(&client, json, None).await?,
        Action::Trace { id, json } => monitor::trace(&client, id, json).await?,
        Action::Top(rounds) => top::top(&client, rounds).await?,
        Action::Run(run) => {
            return match signals {
                Some(signals) => run::run(&client, run, &signals).await,
                None => Ok(NOT_RUN),
            };
        }
        Action::Doctor => return doctor::doctor(bus).await,
        Action::Kill {
            id,
            process,
            signal,
        } => client.manager().signal(id, process, signal).await?,
        Action::Suspend(id) => agent.suspend(id).await?,
        Action::Resume(id) => agent.resume(id).await?,
        Action::Destroy(id) => agent.destroy(id).await?,
        Action::Exec(exec) => {
            return match signals {
                Some(signals) => exec::exec(&client, &exec, &signals).await,
                None => Ok(NOT_RUN),
            };
        }
    }
    Ok(0)
}
