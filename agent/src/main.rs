//! `softwarecontainer-agent`: see softwarecontainer-agent(8).

use std::{io::Write as _, process::ExitCode};

use softwarecontainer_agent::{
    cli::{self, Invocation},
    config::Config,
    container::host_ipc,
    daemon::{self, End, replace},
    error_chain::Chain,
    host::{descriptor_store::DescriptorStore, sys, user_namespace},
    logging,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == host_ipc::HELPER)
    {
        return match host_ipc::help(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&*error),
        };
    }
    // First, because it is about descriptors by their numbers.
    let store = DescriptorStore::open();
    let options = match cli::parse(std::env::args_os().skip(1)) {
        Ok(Invocation::Run(options)) => options,
        Ok(Invocation::Help) => return print(cli::HELP),
        Ok(Invocation::Version) => return print(cli::VERSION),
        Err(error) => return fail(&error),
    };
    logging::start();
    let (config, notices) = match Config::load(&options) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&error),
    };
    for notice in notices {
        log::warn!("{notice}");
    }
    if options.replace {
        return match replace::replace(config.use_session_bus) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        };
    }
    user_namespace::hide_helper();
    sys::share_one_heap();
    match daemon::run(config, store) {
        Ok(End::Stop) => ExitCode::SUCCESS,
        Ok(End::Replace) => ExitCode::from(daemon::REPLACE),
        Err(error) => fail(&error),
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("softwarecontainer-agent: {}", Chain(error));
    ExitCode::FAILURE
}
