//! `exec`: a command in a container, at this program's own terminal or standard streams.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, IsTerminal as _, Read, Write},
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use smol::{Task, Timer, future::or, stream::StreamExt as _};
use softwarecontainer_client::{Client, Details, ProcessEndedStream};
use zbus::{Fd, proxy::OwnerChangedStream};

use crate::{
    cli::Exec,
    error::Error,
    signals::{Signals, is_resize},
    terminal::{self, Raw},
};

/// How long the last output may take to arrive once the command has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What this program's own exit status begins with when a signal ended the command, as in shells.
const SIGNALLED: u8 = 128;

/// Runs it to its end; its exit status, or 128 and the signal that ended it.
///
/// # Errors
/// [`Error`].
pub async fn exec(client: &Client, exec: &Exec, signals: &Signals) -> Result<u8, Error> {
    let manager = client.manager();
    let bus = |error: zbus::Error| Error::from(softwarecontainer_client::Error::from(error));
    let mut ends = Ends {
        processes: manager.receive_process_ended().await.map_err(bus)?,
        agent: manager.inner().receive_owner_changed().await.map_err(bus)?,
    };
    manager.subscribe().await?;
    let environment: HashMap<&str, &str> =
        exec.environment.iter().map(|(a, b)| (&**a, &**b)).collect();
    let mut options = Details::from([
        ("directory", exec.directory.as_str().into()),
        ("environment", environment.into()),
    ]);
    if let Some(user) = exec.user {
        options.insert("user", user.into());
    }
    if exec.terminal {
        if !Raw::is_there() {
            return Err(Error::NoTerminal);
        }
        options.insert("terminal", terminal::size()?.into());
        let started = manager.execute_with_fds(exec.id, &exec.command, HashMap::new(), options);
        let (pid, mut details) = started.await?;
        let near = details
            .remove("terminal")
            .and_then(|it| Fd::try_from(it).ok());
        let near = near.and_then(|near| OwnedFd::try_from(near).ok());
        let near = File::from(near.ok_or(Error::NothingReturned)?);
        return at_terminal(near, &mut ends, (exec.id, pid), signals).await;
    }
    let streams = Streams::new(exec.input).map_err(Error::Streams)?;
    let descriptors = streams.descriptors();
    let started = manager.execute_with_fds(exec.id, &exec.command, descriptors, options);
    let (pid, _) = started.await?;
    let copying = streams.copy();
    loop {
        let ended = async { ends.of(exec.id, pid).await.map(Ok) };
        let signalled = async { signals.next().await.map(Err) };
        match or(ended, signalled).await? {
            Ok(status) => {
                last_words(copying).await;
                return Ok(exit_status(status));
            }
            Err(signal) if is_resize(signal) => {}
            // It may have ended by itself.
            Err(signal) => drop(manager.signal(exec.id, pid, signal).await),
        }
    }
}

async fn at_terminal(
    near: File,
    ends: &mut Ends,
    (id, pid): (i32, u32),
    signals: &Signals,
) -> Result<u8, Error> {
    let _raw = Raw::enter()?;
    let (keys, shown) = (near.try_clone(), near.try_clone());
    let keys = keys.map_err(Error::Terminal)?;
    let shown = shown.map_err(Error::Terminal)?;
    // Goes with this program.
    std::thread::spawn(move || copy(io::stdin(), keys));
    let copying = smol::unblock(move || copy(shown, io::stdout()));
    loop {
        let ended = async { ends.of(id, pid).await.map(Ok) };
        let signalled = async { signals.next().await.map(Err) };
        match or(ended, signalled).await? {
            Ok(status) => {
                last_words(vec![copying]).await;
                return Ok(exit_status(status));
            }
            Err(signal) if is_resize(signal) => terminal::pass_size_on(near.as_fd())?,
            // The command gets SIGHUP when its terminal goes.
            Err(signal) => return Ok(SIGNALLED | u8::try_from(signal).unwrap_or_default()),
        }
    }
}

/// What ends a command.
struct Ends {
    processes: ProcessEndedStream,
    agent: OwnerChangedStream<'static>,
}

impl Ends {
    /// The wait status of a process, when it has ended.
    async fn of(&mut self, id: i32, pid: u32) -> Result<u32, Error> {
        let Self { processes, agent } = self;
        let process = async {
            while let Some(signal) = processes.next().await {
                if let Ok(ended) = signal.args()
                    && (ended.container_id, ended.process_id) == (id, pid)
                {
                    return Ok(ended.exit_code);
                }
            }
            Err(Error::AgentGone)
        };
        let gone = async {
            while let Some(Some(_)) = agent.next().await {}
            Err(Error::AgentGone)
        };
        or(process, gone).await
    }
}

/// Standard streams of the command: this program's own, but for terminals, which no app gets.
struct Streams {
    given: Vec<(u32, OwnedFd)>,
    copies: Vec<Box<dyn FnOnce() + Send>>,
    input: Option<Box<dyn FnOnce() + Send>>,
}

impl Streams {
    fn new(input: bool) -> io::Result<Self> {
        let mut streams = Self {
            given: Vec::new(),
            copies: Vec::new(),
            input: None,
        };
        if input && io::stdin().is_terminal() {
            let (reader, writer) = io::pipe()?;
            streams.given.push((0, reader.into()));
            streams.input = Some(Box::new(move || copy(io::stdin(), writer)));
        } else if input {
            streams
                .given
                .push((0, io::stdin().as_fd().try_clone_to_owned()?));
        }
        let own = io::stdout().as_fd().try_clone_to_owned()?;
        streams.add_output(1, own, io::stdout().is_terminal())?;
        let own = io::stderr().as_fd().try_clone_to_owned()?;
        streams.add_output(2, own, io::stderr().is_terminal())?;
        Ok(streams)
    }

    fn add_output(&mut self, number: u32, own: OwnedFd, is_terminal: bool) -> io::Result<()> {
        if !is_terminal {
            self.given.push((number, own));
            return Ok(());
        }
        let (reader, writer) = io::pipe()?;
        self.given.push((number, writer.into()));
        let copy_out = move || copy(reader, File::from(own));
        self.copies.push(Box::new(copy_out));
        Ok(())
    }

    fn descriptors(&self) -> HashMap<u32, Fd<'_>> {
        let given = self.given.iter();
        given
            .map(|(number, fd)| (*number, Fd::from(fd.as_fd())))
            .collect()
    }

    /// Closes what the command has, and copies where it has no descriptor of this program's own.
    fn copy(self) -> Vec<Task<()>> {
        if let Some(input) = self.input {
            std::thread::spawn(input);
        }
        self.copies.into_iter().map(smol::unblock).collect()
    }
}

/// Copies to the end. A terminal's end is an error (EIO, pty(7)), and nobody else is to be told.
fn copy(mut from: impl Read, mut to: impl Write) {
    let mut bytes = [0; 8192];
    while let Ok(count) = from.read(&mut bytes)
        && count > 0
        && to
            .write_all(&bytes[..count])
            .and_then(|()| to.flush())
            .is_ok()
    {}
}

/// Waits for what the command has written, but not for others that have inherited its output.
async fn last_words(copying: Vec<Task<()>>) {
    let all = async {
        for task in copying {
            task.await;
        }
    };
    or(all, async {
        Timer::after(LAST_WORDS).await;
    })
    .await;
}

/// A shell's view of a wait status (waitpid(2)).
fn exit_status(status: u32) -> u8 {
    let [low, high, ..] = status.to_le_bytes();
    match low & 0x7f {
        0 => high,
        signal => SIGNALLED | signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_status_becomes_what_a_shell_would_say() {
        assert_eq!(exit_status(3 << 8), 3);
        assert_eq!(exit_status(9 | 0x80), 137, "with a core dump");
    }
}
