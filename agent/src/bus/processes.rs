//! The calls of the Manager interface on processes.

use std::os::fd::OwnedFd;

use zbus::{Fd, Variant, wire::Dict};

use super::{
    desk::Desk,
    error::ManagerError,
    options::Options,
    service::{Call, Reply},
    values::dictionary,
};
use crate::{
    agent::AgentError,
    container::{ContainerError, Execution, Program, options::LAST_USER, streams::Streams},
    host::terminal::Size,
    runtime::unblock,
};

/// The signals (signal(7)).
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=64;
/// How many characters of a program's name are logged.
const LOGGED_PROGRAM: usize = 256;

/// `ExecuteWithFds`.
pub async fn execute(desk: &Desk, call: Call<'_>) -> Result<Reply, ManagerError> {
    let mut arguments = call.arguments("iasa{uh}a{sv}")?;
    let id: i32 = arguments.next()?;
    let program: Vec<String> = arguments.next()?;
    let descriptors = descriptors(arguments.next()?)?;
    let mut options = Options::new(arguments.next()?)?;
    let Some(name) = program.first() else {
        return Err(ManagerError::invalid("command: there is no program"));
    };
    // The others may be secrets.
    let name: String = name.chars().take(LOGGED_PROGRAM).collect();
    let what = format!("ExecuteWithFds {id} {name:?}");
    let begun = desk.callers.begin(call.connection, &call.header, what);
    let (_call, identity) = begun.await?;
    let mut execution = Execution::of(Program::Arguments(program), identity.credentials);
    execution.working_directory = options.take("directory", "a string")?.unwrap_or_default();
    execution.environment = options.strings("environment")?;
    execution.limits = options.dictionary("limits", "a dictionary of numbers of type t")?;
    execution.user = options.take("user", "a number of type u")?;
    if execution.user.is_some_and(|user| user > LAST_USER) {
        let text = format!("option \"user\" must be from 0 to {LAST_USER}");
        return Err(ManagerError::invalid(text));
    }
    execution.terminal = options
        .take("terminal", "a pair of numbers of type q")?
        .map(|(columns, rows)| Size { columns, rows });
    options.none_left()?;
    if execution.terminal.is_some() && !descriptors.is_empty() {
        let text = "either descriptors or option \"terminal\", not both";
        return Err(ManagerError::invalid(text));
    }
    // The file system of one of them may be a process that does not answer.
    let streams = unblock(move || Streams::of(descriptors)).await;
    let streams = streams.map_err(ContainerError::from);
    execution.streams = streams.map_err(AgentError::from)?;
    let mut started = desk.agent.execute(id, execution).await?;
    let terminal = started.terminal.take();
    let details = terminal.map(|near| ("terminal", Fd::from(near).into()));
    let details = dictionary(details.into_iter().collect());
    Ok(Reply::with(vec![started.pid.into(), details], move || {
        started.announced()
    }))
}

/// `Signal`.
pub async fn signal(desk: &Desk, call: Call<'_>) -> Result<Reply, ManagerError> {
    let mut arguments = call.arguments("iui")?;
    let (id, process): (i32, u32) = (arguments.next()?, arguments.next()?);
    let signal: i32 = arguments.next()?;
    let what = format!("Signal {id} {process} {signal}");
    let begun = desk.callers.begin(call.connection, &call.header, what);
    let (_call, identity) = begun.await?;
    if !SIGNALS.contains(&signal) {
        return Err(ManagerError::invalid(format!(
            "there is no signal {signal}"
        )));
    }
    let caller = identity.credentials.as_ref();
    desk.agent.signal(id, caller, process, signal).await?;
    Ok(Vec::new().into())
}

fn descriptors(argument: Dict<'static, 'static>) -> Result<Vec<(u32, OwnedFd)>, ManagerError> {
    let mut all = Vec::new();
    for (number, descriptor) in argument {
        let (Variant::U32(number), Variant::Fd(descriptor)) = (number, descriptor) else {
            return Err(ManagerError::invalid("descriptors must be of type a{uh}"));
        };
        let owned = OwnedFd::try_from(descriptor);
        all.push((
            number,
            owned.map_err(|error| ManagerError::invalid(error.to_string()))?,
        ));
    }
    Ok(all)
}
