//! The command line.

use std::ffi::OsString;

use lexopt::{
    Arg::{Long, Short, Value},
    Parser, ValueExt as _,
};

/// What `--help` prints.
pub const USAGE: &str = "\
Usage: softwarecontainerctl [-b] COMMAND
Commands:
  list                    containers: ID, state, app, label, creator, processes, age
  inspect ID              all that is known of a container and what it uses, as JSON
  ps ID                   the processes that launchers have started in it
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
  capabilities            what containers can be given
Options:
  -b, --session-bus       the agent is on the session bus
  -h, --help              print this and exit
  -V, --version           print the version and exit
";
/// SIGTERM.
const TERMINATE: i32 = 15;
/// The names that people use of signals (signal(7)).
const SIGNALS: [(&str, i32); 8] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("TERM", 15),
    ("CONT", 18),
];

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

/// The commands.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// All containers.
    List,
    /// All that is known of one.
    Inspect(i32),
    /// What runs in one.
    Processes(i32),
    /// Run a command in one.
    Exec(Exec),
    /// Send a signal.
    Kill {
        /// The container.
        id: i32,
        /// The process.
        process: u32,
        /// The signal's number.
        signal: i32,
    },
    /// Freeze one.
    Suspend(i32),
    /// Thaw one.
    Resume(i32),
    /// Remove one.
    Destroy(i32),
    /// What containers can be given.
    Capabilities,
}

/// A command for a container.
#[derive(Debug, Default, PartialEq)]
pub struct Exec {
    /// With this program's standard input.
    pub input: bool,
    /// At this program's terminal.
    pub terminal: bool,
    /// As another user of the container.
    pub user: Option<u32>,
    /// In this directory; the root if it is empty.
    pub directory: String,
    /// With these variables.
    pub environment: Vec<(String, String)>,
    /// The container.
    pub id: i32,
    /// Program and arguments.
    pub command: Vec<String>,
}

/// A command line that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// An option or a value.
    #[error(transparent)]
    Option(#[from] lexopt::Error),
    /// There is no command.
    #[error("a command is missing")]
    NoCommand,
    /// There is no such command.
    #[error("there is no command {0:?}")]
    Command(String),
    /// An argument is missing.
    #[error("{command}: {what} is missing")]
    Missing {
        /// The command.
        command: String,
        /// What is missing, with its article.
        what: &'static str,
    },
    /// There is no such signal.
    #[error("there is no signal {0:?}")]
    Signal(String),
    /// A variable has no value.
    #[error("variable {0:?} must be NAME=VALUE")]
    Variable(String),
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
        "exec" => Action::Exec(exec(&mut parser)?),
        "kill" => kill(&mut parser)?,
        "list" => end(&mut parser, Action::List)?,
        "capabilities" => end(&mut parser, Action::Capabilities)?,
        "inspect" | "ps" | "suspend" | "resume" | "destroy" => {
            let id = number(&mut parser, &command, "the ID of a container")?;
            let action = match command.as_str() {
                "inspect" => Action::Inspect(id),
                "ps" => Action::Processes(id),
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

fn end(parser: &mut Parser, action: Action) -> Result<Action, UsageError> {
    match parser.next()? {
        Some(argument) => Err(argument.unexpected().into()),
        None => Ok(action),
    }
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
        None => Err(UsageError::Missing {
            command: command.to_owned(),
            what,
        }),
    }
}

fn kill(parser: &mut Parser) -> Result<Action, UsageError> {
    let (mut signal, mut id) = (TERMINATE, None);
    loop {
        match parser.next()? {
            Some(Short('s') | Long("signal")) => signal = named(&parser.value()?.string()?)?,
            Some(Value(value)) => match id {
                None => id = Some(value.parse()?),
                Some(id) => {
                    let process = value.parse()?;
                    let action = Action::Kill {
                        id,
                        process,
                        signal,
                    };
                    return end(parser, action);
                }
            },
            Some(other) => return Err(other.unexpected().into()),
            None => {
                return Err(UsageError::Missing {
                    command: "kill".to_owned(),
                    what: "the ID of a container or a process",
                });
            }
        }
    }
}

fn named(text: &str) -> Result<i32, UsageError> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let known = SIGNALS.iter().find(|(known, _)| *known == name);
    let number = known.map(|(_, number)| *number);
    number
        .or_else(|| text.parse().ok())
        .ok_or_else(|| UsageError::Signal(text.to_owned()))
}

fn exec(parser: &mut Parser) -> Result<Exec, UsageError> {
    let mut exec = Exec::default();
    loop {
        match parser.next()? {
            Some(Short('i') | Long("interactive")) => exec.input = true,
            Some(Short('t') | Long("tty")) => exec.terminal = true,
            Some(Short('u') | Long("user")) => exec.user = Some(parser.value()?.parse()?),
            Some(Short('w') | Long("directory")) => exec.directory = parser.value()?.string()?,
            Some(Short('e') | Long("env")) => {
                let text = parser.value()?.string()?;
                let pair = text.split_once('=');
                let (name, value) = pair.ok_or_else(|| UsageError::Variable(text.clone()))?;
                exec.environment.push((name.to_owned(), value.to_owned()));
            }
            Some(Value(value)) => {
                exec.id = value.parse()?;
                break;
            }
            Some(other) => return Err(other.unexpected().into()),
            None => {
                return Err(UsageError::Missing {
                    command: "exec".to_owned(),
                    what: "the ID of a container",
                });
            }
        }
    }
    // What follows is the command's, options included.
    for argument in parser.raw_args()? {
        exec.command.push(argument.string()?);
    }
    if exec.command.first().is_some_and(|first| first == "--") {
        exec.command.remove(0);
    }
    match exec.command.is_empty() {
        true => Err(UsageError::Missing {
            command: "exec".to_owned(),
            what: "the command",
        }),
        false => Ok(exec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            let error = parsed(line).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
