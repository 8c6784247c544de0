//! The commands that take more than a container.

use lexopt::{
    Arg::{Long, Short, Value},
    Parser, ValueExt as _,
};

use super::{
    action::{Action, Exec, Mount, Run},
    error::UsageError,
};

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

/// `kill`.
pub(super) fn kill(parser: &mut Parser) -> Result<Action, UsageError> {
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
                let what = "the ID of a container or a process";
                return Err(UsageError::missing("kill", what));
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

/// An option of a command that is started.
#[derive(Clone, Copy)]
enum Flag {
    Input,
    Terminal,
    User,
    Directory,
    Variable,
}

impl Flag {
    fn of(argument: lexopt::Arg<'_>) -> Result<Self, UsageError> {
        match argument {
            Short('i') | Long("interactive") => Ok(Self::Input),
            Short('t') | Long("tty") => Ok(Self::Terminal),
            Short('u') | Long("user") => Ok(Self::User),
            Short('w') | Long("directory") => Ok(Self::Directory),
            Short('e') | Long("env") => Ok(Self::Variable),
            other => Err(other.unexpected().into()),
        }
    }

    fn take(self, exec: &mut Exec, parser: &mut Parser) -> Result<(), UsageError> {
        match self {
            Self::Input => exec.input = true,
            Self::Terminal => exec.terminal = true,
            Self::User => exec.user = Some(parser.value()?.parse()?),
            Self::Directory => exec.directory = parser.value()?.string()?,
            Self::Variable => {
                let text = parser.value()?.string()?;
                let pair = text.split_once('=');
                let (name, value) = pair.ok_or_else(|| UsageError::Variable(text.clone()))?;
                exec.environment.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(())
    }
}

/// `exec`.
pub(super) fn exec(parser: &mut Parser) -> Result<Exec, UsageError> {
    let mut exec = Exec::default();
    loop {
        match parser.next()? {
            Some(Value(value)) => {
                exec.id = value.parse()?;
                break;
            }
            Some(option) => {
                let flag = Flag::of(option)?;
                flag.take(&mut exec, parser)?;
            }
            None => return Err(UsageError::missing("exec", "the ID of a container")),
        }
    }
    exec.command = words(parser, "exec")?;
    Ok(exec)
}

/// `run`.
pub(super) fn run(parser: &mut Parser) -> Result<Run, UsageError> {
    let mut run = Run::default();
    loop {
        match parser.next()? {
            Some(Short('c') | Long("capability")) => {
                run.capabilities.push(parser.value()?.string()?);
            }
            Some(Short('m') | Long("mount")) => {
                let text = parser.value()?.string()?;
                let mount = Mount::parse(&text).ok_or(UsageError::Mount(text))?;
                run.mounts.push(mount);
            }
            Some(Long("app")) => run.app = parser.value()?.string()?,
            Some(Long("write-buffer")) => run.write_buffer = true,
            Some(Value(first)) => {
                run.exec.command.push(first.string()?);
                break;
            }
            Some(option) => {
                let flag = Flag::of(option)?;
                flag.take(&mut run.exec, parser)?;
            }
            None => return Err(UsageError::missing("run", "the command")),
        }
    }
    // What follows is the command's, options included.
    for argument in parser.raw_args()? {
        run.exec.command.push(argument.string()?);
    }
    Ok(run)
}

/// `monitor`.
pub(super) fn monitor(parser: &mut Parser) -> Result<Action, UsageError> {
    let mut json = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") => json = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Action::Monitor { json })
}

/// `trace`.
pub(super) fn trace(parser: &mut Parser) -> Result<Action, UsageError> {
    let (mut id, mut json) = (None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") => json = true,
            Value(value) if id.is_none() => id = Some(value.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let id = id.ok_or_else(|| UsageError::missing("trace", "the ID of a container"))?;
    Ok(Action::Trace { id, json })
}

/// `top`.
pub(super) fn top(parser: &mut Parser) -> Result<Action, UsageError> {
    let mut rounds = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('n') | Long("rounds") => rounds = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Action::Top(rounds))
}

/// `status`.
pub(super) fn status(parser: &mut Parser) -> Result<Action, UsageError> {
    match parser.next()? {
        None => Ok(Action::Status(None)),
        Some(Value(id)) => {
            let action = Action::Status(Some(id.parse()?));
            end(parser, action)
        }
        Some(other) => Err(other.unexpected().into()),
    }
}

/// `capabilities`.
pub(super) fn capabilities(parser: &mut Parser) -> Result<Action, UsageError> {
    let mut names = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(name) => names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Action::Capabilities(names))
}

/// Nothing may follow.
pub(super) fn end(parser: &mut Parser, action: Action) -> Result<Action, UsageError> {
    match parser.next()? {
        Some(argument) => Err(argument.unexpected().into()),
        None => Ok(action),
    }
}

/// What follows is the command's, options included.
fn words(parser: &mut Parser, command: &str) -> Result<Vec<String>, UsageError> {
    let mut words = Vec::new();
    for argument in parser.raw_args()? {
        words.push(argument.string()?);
    }
    if words.first().is_some_and(|first| first == "--") {
        words.remove(0);
    }
    match words.is_empty() {
        true => Err(UsageError::missing(command, "the command")),
        false => Ok(words),
    }
}
