//! `softwarecontainer-validate`: finds mistakes in service manifests where they are made, before
//! they reach a car.
//!
//! It needs neither LXC nor root, so that the build of an image can run it on the build machine.

mod check;
mod cli;

use std::{error::Error as _, io::Write, process::ExitCode};

/// Exit status when a manifest has a mistake.
const MISTAKES: u8 = 1;
/// Exit status when the command line is wrong or a path cannot be read.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let options = match cli::parse(std::env::args_os().skip(1)) {
        Ok(cli::Invocation::Check(options)) => options,
        Ok(cli::Invocation::Print(text)) => return print(text),
        Err(error) => {
            eprintln!("softwarecontainer-validate: {error}");
            return ExitCode::from(TROUBLE);
        }
    };
    let report = match check::check(&options.paths, &options.default_paths) {
        Ok(report) => report,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}"));
            eprintln!(
                "softwarecontainer-validate: {error}{}",
                cause.unwrap_or_default()
            );
            return ExitCode::from(TROUBLE);
        }
    };
    for finding in &report.findings {
        eprintln!("{finding}");
    }
    if report.has_errors() || (options.strict && !report.findings.is_empty()) {
        return ExitCode::from(MISTAKES);
    }
    if options.quiet {
        return ExitCode::SUCCESS;
    }
    print(&format!(
        "{} manifests, {} capabilities: no mistakes\n",
        report.manifests, report.capabilities
    ))
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(TROUBLE),
    }
}
