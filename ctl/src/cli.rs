//! The command line.

mod action;
mod commands;
mod error;

use std::ffi::OsString;

use lexopt::{
    Arg::{Long, Short, Value},
    Parser, ValueExt as _,
};

pub use action::{Action, Exec, Run};
use commands::end;
pub use error::UsageError;

/// What `--help` prints.
pub const USAGE: &str = "\
Usage: softwarecontainerctl [-b] COMMAND
Commands:
  list                    containers: ID, state, app, label, creator, processes, age
  inspect ID              all that is known of a container and what it uses, as JSON
  ps ID                   the processes that launchers have started in it
  status [ID]             the agent, or a container: state, what it uses of its limits
  explain ID              what a container may do, in plain words, and which manifest says so
  rules ID                the same as the manifests have it
  monitor [--json]        what happens, as it happens
  trace [--json] ID       what a container was refused, and what happens to it
  top [-n ROUNDS]         what containers use, every second
  doctor                  what is wrong with the agent and its host, and what to do
  run [OPTION]... COMMAND [ARGUMENT]...
                          run a command in a container of its own
    -c, --capability NAME with this capability
    -m, --mount HOST:CONTAINER[:ro]
                          with this file or directory of the host
        --app ID          for this app
        --write-buffer    what it writes to mounts is not on the host before it ends
    and the options of exec
  exec [OPTION]... ID COMMAND [ARGUMENT]...
                          run a command in it
    -i, --interactive     with this standard input
    -t, --tty             at this terminal
    -u, --user USER       as this user of the container (a number)
    -w, --directory DIR   in this directory of the container
    -e, --env NAME=VALUE  with this variable
  kill [-s SIGNAL] ID PROCESS
                          send a signal (15, SIGTERM) to a process of ps
  suspend ID              freeze every process
  resume ID               let them go on
  destroy ID              end every process and remove the container
  capabilities [NAME]...  what containers can be given; what the named ones open
Options:
  -b, --session-bus       the agent is on the session bus
  -h, --help              print this and exit
  -V, --version           print the version and exit
";
/// What was asked for.
#[derive(Debug, PartialEq)]
pub enum Invocation {
    /// To print something.
    Print(String),
    /// To do something.
    Do(Options),
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// Session bus instead of system bus.
    pub session_bus: bool,
    /// What to do.
    pub action: Action,
}

/// Reads the arguments (without the program's name).
///
/// # Errors
/// [`UsageError`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let mut parser = Parser::from_args(arguments);
    let mut session_bus = false;
    let command = loop {
        match parser.next()? {
            Some(Short('h') | Long("help")) => return Ok(Invocation::Print(USAGE.to_owned())),
            Some(Short('V') | Long("version")) => {
                let version = env!("CARGO_PKG_VERSION");
                return Ok(Invocation::Print(format!(
                    "softwarecontainerctl {version}\n"
                )));
            }
            Some(Short('b') | Long("session-bus")) => session_bus = true,
            Some(Value(command)) => break command.string()?,
            Some(other) => return Err(other.unexpected().into()),
            None => return Err(UsageError::NoCommand),
        }
    };
    let action = match command.as_str() {
        "exec" => Action::Exec(commands::exec(&mut parser)?),
        "run" => Action::Run(commands::run(&mut parser)?),
        "kill" => commands::kill(&mut parser)?,
        "monitor" => commands::monitor(&mut parser)?,
        "trace" => commands::trace(&mut parser)?,
        "top" => commands::top(&mut parser)?,
        "status" => commands::status(&mut parser)?,
        "capabilities" => commands::capabilities(&mut parser)?,
        "list" => end(&mut parser, Action::List)?,
        "doctor" => end(&mut parser, Action::Doctor)?,
        "inspect" | "explain" | "rules" | "ps" | "suspend" | "resume" | "destroy" => {
            let id = number(&mut parser, &command, "the ID of a container")?;
            let action = match command.as_str() {
                "inspect" => Action::Inspect(id),
                "ps" => Action::Processes(id),
                "explain" => Action::Explain(id),
                "rules" => Action::Rules(id),
                "suspend" => Action::Suspend(id),
                "resume" => Action::Resume(id),
                _ => Action::Destroy(id),
            };
            end(&mut parser, action)?
        }
        _ => return Err(UsageError::Command(command)),
    };
    Ok(Invocation::Do(Options {
        session_bus,
        action,
    }))
}

fn number<T: std::str::FromStr>(
    parser: &mut Parser,
    command: &str,
    what: &'static str,
) -> Result<T, UsageError>
where
    T::Err: Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
{
    match parser.next()? {
        Some(Value(value)) => Ok(value.parse()?),
        Some(other) => Err(other.unexpected().into()),
        None => Err(UsageError::missing(command, what)),
    }
}

#[cfg(test)]
mod tests {
    use super::{action::Mount, *};

    fn parsed(line: &str) -> Result<Invocation, UsageError> {
        parse(line.split(' ').map(OsString::from))
    }

    fn action(line: &str) -> Action {
        match parsed(line).unwrap() {
            Invocation::Do(options) => options.action,
            Invocation::Print(text) => panic!("{text}"),
        }
    }

    #[test]
    fn what_follows_the_container_is_the_commands() {
        let Action::Exec(exec) = action("exec -it -u 7 -e A=b=c 3 ls -l --all") else {
            panic!("another action");
        };
        assert!(exec.input && exec.terminal);
        assert_eq!((exec.id, exec.user), (3, Some(7)));
        assert_eq!(exec.environment, [("A".to_owned(), "b=c".to_owned())]);
        assert_eq!(exec.command, ["ls", "-l", "--all"]);
    }

    #[test]
    fn a_container_for_one_command_has_mounts_and_capabilities() {
        let line = "run -i -c a.b --capability c -m /srv/a:b:/a:ro -m d:/d -- ls -l";
        let Action::Run(run) = action(line) else {
            panic!("another action");
        };
        assert!(run.exec.input && !run.exec.terminal);
        assert_eq!(run.capabilities, ["a.b", "c"]);
        let mount = |host: &str, container: &str, read_only| Mount {
            host: host.to_owned(),
            container: container.to_owned(),
            read_only,
        };
        assert_eq!(
            run.mounts,
            [mount("/srv/a:b", "/a", true), mount("d", "/d", false)]
        );
        assert_eq!(run.exec.command, ["ls", "-l"]);
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for text in ["9", "KILL", "SIGKILL"] {
            let expected = Action::Kill {
                id: 0,
                process: 77,
                signal: 9,
            };
            assert_eq!(action(&format!("kill -s {text} 0 77")), expected);
        }
        let error = parsed("kill -s NO 0 77").unwrap_err().to_string();
        assert!(error.contains("NO"), "{error}");
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        for (line, part) in [
            ("lst", "\"lst\""),
            ("inspect", "the ID of a container"),
            ("inspect x", "x"),
            ("list 1", "1"),
            ("exec 1", "the command"),
            ("exec -e A 1 true", "NAME=VALUE"),
            ("suspend --all 1", "--all"),
            ("run -m /a true", "/a"),
            ("run -m /a:b true", "absolute path"),
            ("run -c a", "the command"),
            ("explain", "the ID of a container"),
            ("trace --json", "the ID of a container"),
            ("monitor --xml", "--xml"),
            ("top -n many", "many"),
        ] {
            let error = parsed(line).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
