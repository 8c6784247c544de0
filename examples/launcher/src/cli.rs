//! The command line.

use std::{ffi::OsString, path::PathBuf};

/// What `--help` prints.
pub const USAGE: &str = "\
Usage: softwarecontainer-launcher [OPTION]... COMMAND
Commands:
  run APP        start an app in a container of its own, and stay until it ends
  list           running apps: name, container, process
  stop APP       end an app and remove its container
  suspend APP    freeze every process of an app
  resume APP     let a suspended app go on
  capabilities   what apps may ask for
APP is a name, or for `run` also the path of an app manifest.
Options:
  -a, --apps DIR      where the app manifests are (/etc/softwarecontainer/apps)
  -s, --state DIR     where running apps are noted ($RUNTIME_DIRECTORY, or /run/softwarecontainer-launcher)
  -b, --session-bus   the agent is on the session bus
  -h, --help          print this and exit
  -V, --version       print the version and exit
";

/// What was asked for.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// Directory of the app manifests.
    pub apps: PathBuf,
    /// Directory that notes the running apps.
    pub state: PathBuf,
    /// Session bus instead of system bus.
    pub session_bus: bool,
    /// What to do.
    pub action: Action,
}

/// The commands.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Run an app, by name or manifest path.
    Run(String),
    /// List the running apps.
    List,
    /// Destroy the container of an app.
    Stop(String),
    /// Suspend the container of an app.
    Suspend(String),
    /// Resume the container of an app.
    Resume(String),
    /// List what the agent's manifests offer.
    Capabilities,
}

/// Why there is nothing to do.
#[derive(Debug, PartialEq)]
pub enum Stop {
    /// Help or version was asked for.
    Print(String),
    /// The command line is wrong: the reason.
    Usage(String),
}

/// Reads the arguments (without the program's name).
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, Stop> {
    let mut apps = PathBuf::from("/etc/softwarecontainer/apps");
    let mut state = std::env::var_os("RUNTIME_DIRECTORY").map_or_else(
        || PathBuf::from("/run/softwarecontainer-launcher"),
        PathBuf::from,
    );
    let mut session_bus = false;
    let mut words = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument
            .into_string()
            .map_err(|bytes| Stop::Usage(format!("{} is not UTF-8", bytes.display())))?;
        match text.as_str() {
            "-h" | "--help" => return Err(Stop::Print(USAGE.to_owned())),
            "-V" | "--version" => {
                return Err(Stop::Print(format!(
                    "softwarecontainer-launcher {}\n",
                    env!("CARGO_PKG_VERSION")
                )));
            }
            "-b" | "--session-bus" => session_bus = true,
            "-a" | "--apps" => apps = value(&text, &mut arguments)?,
            "-s" | "--state" => state = value(&text, &mut arguments)?,
            option if option.starts_with('-') => {
                return Err(Stop::Usage(format!("unknown option {option}")));
            }
            _ => words.push(text),
        }
    }
    let mut words = words.into_iter();
    let verb = words
        .next()
        .ok_or_else(|| Stop::Usage("a command is missing".to_owned()))?;
    let mut app = || {
        words
            .next()
            .ok_or_else(|| Stop::Usage(format!("{verb}: which app?")))
    };
    let action = match verb.as_str() {
        "run" => Action::Run(app()?),
        "stop" => Action::Stop(app()?),
        "suspend" => Action::Suspend(app()?),
        "resume" => Action::Resume(app()?),
        "list" => Action::List,
        "capabilities" => Action::Capabilities,
        other => return Err(Stop::Usage(format!("unknown command {other}"))),
    };
    match words.next() {
        Some(extra) => Err(Stop::Usage(format!("{verb}: {extra} is too much"))),
        None => Ok(Options {
            apps,
            state,
            session_bus,
            action,
        }),
    }
}

fn value(option: &str, arguments: &mut impl Iterator<Item = OsString>) -> Result<PathBuf, Stop> {
    arguments
        .next()
        .map(PathBuf::from)
        .ok_or_else(|| Stop::Usage(format!("{option} needs a directory")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Options, Stop> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn options_may_stand_before_and_after_the_command() {
        let options = parse_words(&["-b", "run", "navigation", "--apps", "/apps"]).unwrap();
        assert!(options.session_bus);
        assert_eq!(options.apps, PathBuf::from("/apps"));
        assert_eq!(options.action, Action::Run("navigation".to_owned()));
    }

    #[test]
    fn a_command_without_its_app_is_refused() {
        for verb in ["run", "stop", "suspend", "resume"] {
            let Err(Stop::Usage(reason)) = parse_words(&[verb]) else {
                panic!("{verb} was accepted without an app")
            };
            assert!(reason.contains(verb), "{reason}");
        }
    }

    #[test]
    fn words_too_many_unknown_options_and_commands_are_refused() {
        for words in [
            &["list", "all"][..],
            &["fly"],
            &["--quick", "list"],
            &[],
            &["list", "--apps"],
        ] {
            assert!(
                matches!(parse_words(words), Err(Stop::Usage(_))),
                "{words:?}"
            );
        }
    }
}
