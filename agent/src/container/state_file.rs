//! What the next agent has to know of a container, should this one be killed: a text file for each
//! in the directory `state` of the shared mounts directory.
//!
//! ```text
//! softwarecontainer-state 2
//! boot 7c0ffa40-5e2f-4d5a-b9a1-0a0e6c1c3a55
//! container 3
//! next 8 1
//! process 4711 123456 7
//! process 4712 123460 0 host-ipc
//! adopt {"init":…}
//! ```
//!
//! Each process that a launcher knows has a line, with the time of its start
//! ([`process::start_time`]) and the agent's number of it, from before the reply of its `Execute`
//! until its end was told. So an end is told by the next agent if it was not by this one; it is
//! told twice only if the agent is killed between the signal and the change of the file. Each init
//! has numbers of its own; `next` is above all that were given.
//!
//! The last line ([`Record`](super::record::Record)) is there as long as the next agent can go on
//! with the container: not while a call changes it, and never when nobody keeps the connection to
//! its init. Without that line and without a process there is no file. It is never changed, but
//! replaced. What another boot has left, or a file of another version, says nothing of processes
//! that run, and is removed.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::host::process;

/// The directory of the files.
const DIRECTORY: &str = "state";
const FIRST_LINE: &str = "softwarecontainer-state 2";
const RECORD: &str = "adopt ";
/// How the name of a file ends that is still written to.
const UNFINISHED: &str = "new";

/// The file of one container.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    container: i32,
    content: Mutex<Content>,
}

/// Which init of a container has started a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starter {
    /// The container's first process.
    First,
    /// The one in the host's IPC namespace.
    HostIpc,
}

/// What stands in a line about a process of [`Starter::HostIpc`].
const HOST_IPC: &str = "host-ipc";

/// A process that a launcher knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// When it was started; 0 if it had ended before it was looked at.
    pub started: u64,
    /// The agent's number of it.
    pub number: u32,
    /// Who has started it.
    pub starter: Starter,
}

/// What is in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Content {
    /// By the starter.
    next: [u32; 2],
    processes: BTreeMap<u32, Known>,
    record: Option<String>,
}

impl StateFile {
    /// That of the container whose init is process `init`, in the shared mounts directory. There is
    /// none until there is a process.
    #[must_use]
    pub fn new(shared_mounts_dir: &Path, container: i32, init: u32) -> Self {
        // Ends of an earlier container of the same ID may still have to be told.
        let name = format!("SC-{container}-{init}");
        Self {
            path: shared_mounts_dir.join(DIRECTORY).join(name),
            container,
            content: Mutex::default(),
        }
    }

    /// Those that an earlier agent of this boot has left in the shared mounts directory. All others
    /// are removed.
    #[must_use]
    pub fn left_in(shared_mounts_dir: &Path) -> Vec<Self> {
        let directory = shared_mounts_dir.join(DIRECTORY);
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let boot = process::boot();
        entries
            .filter_map(|entry| {
                let path = entry.path();
                let text = fs::read_to_string(&path).unwrap_or_default();
                let is_finished = path.extension().is_none_or(|it| it != UNFINISHED);
                let read = parse(&text, boot).filter(|_| is_finished);
                if read.is_none() {
                    remove(&path);
                }
                let (container, content) = read?;
                Some(Self {
                    path,
                    container,
                    content: Mutex::new(content),
                })
            })
            .collect()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default()
    }

    /// The container's ID.
    #[must_use]
    pub fn container(&self) -> i32 {
        self.container
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The processes in it that do not run.
    #[must_use]
    pub fn ended(&self) -> Vec<(u32, Known)> {
        let content = self.content();
        let all = content.processes.iter();
        all.filter(|(pid, known)| !process::runs(**pid, known.started))
            .map(|(pid, known)| (*pid, *known))
            .collect()
    }

    /// All processes in it.
    #[must_use]
    pub fn processes(&self) -> BTreeMap<u32, Known> {
        self.content().processes.clone()
    }

    /// A number above all that were given to processes of `starter`.
    #[must_use]
    pub fn next(&self, starter: Starter) -> u32 {
        let [first, host_ipc] = self.content().next;
        match starter {
            Starter::First => first,
            Starter::HostIpc => host_ipc,
        }
    }

    /// What is needed to go on with the container.
    #[must_use]
    pub fn record(&self) -> Option<String> {
        self.content().record.clone()
    }

    /// A launcher is about to know process `pid`, whose number is `number`.
    pub fn add(&self, pid: u32, number: u32, starter: Starter) {
        let known = Known {
            started: process::start_time(pid).unwrap_or(0),
            number,
            starter,
        };
        self.change(|content| {
            let [first, host_ipc] = &mut content.next;
            let next = match starter {
                Starter::First => first,
                Starter::HostIpc => host_ipc,
            };
            *next = (*next).max(number.saturating_add(1));
            content.processes.insert(pid, known);
        });
    }

    /// The end of process `pid` was told.
    pub fn remove(&self, pid: u32) {
        self.change(|content| {
            content.processes.remove(&pid);
        });
    }

    /// Says how to go on with the container, in one line, or that nobody can.
    pub fn set_record(&self, record: Option<String>) {
        if self.content().record != record {
            self.change(|content| content.record = record);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Content)) {
        // Locked while it is written: the file says what was changed last.
        let mut content = self.content();
        change(&mut content);
        let is_empty = content.processes.is_empty() && content.record.is_none();
        let written = match is_empty {
            true => {
                remove(&self.path);
                Ok(())
            }
            false => self.write(&text(self.container, &content, process::boot())),
        };
        if let Err(error) = written {
            // An earlier one may say what is no longer so.
            remove(&self.path);
            log::error!(
                "cannot write {}: {error}; should the agent be killed, ends of processes of \
                 container {} are not told",
                self.path.display(),
                self.container
            );
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let unfinished = self.path.with_extension(UNFINISHED);
        let create = || {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&unfinished)
        };
        let mut file = match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = self.path.parent().unwrap_or(&self.path);
                fs::DirBuilder::new()
                    .mode(0o700)
                    .create(directory)
                    .or_else(is_there)?;
                create()?
            }
            created => created?,
        };
        io::Write::write_all(&mut file, text.as_bytes())?;
        // A power cut ends the processes, too: nothing has to be on disk.
        fs::rename(&unfinished, &self.path)
    }
}

fn is_there(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::error!("cannot remove {}: {error}", path.display());
        }
        _ => {}
    }
}

fn text(container: i32, content: &Content, boot: &str) -> String {
    let lines = content.processes.iter();
    let lines = lines.map(|(pid, known)| {
        let Known {
            started, number, ..
        } = known;
        match known.starter {
            Starter::First => format!("process {pid} {started} {number}\n"),
            Starter::HostIpc => format!("process {pid} {started} {number} {HOST_IPC}\n"),
        }
    });
    let [first, host_ipc] = content.next;
    let next = match host_ipc {
        0 => first.to_string(),
        _ => format!("{first} {host_ipc}"),
    };
    let record = content.record.as_ref();
    format!(
        "{FIRST_LINE}\nboot {boot}\ncontainer {container}\nnext {next}\n{}{}",
        lines.collect::<String>(),
        record.map_or_else(String::new, |record| format!("{RECORD}{record}\n"))
    )
}

/// The container and what is said of it; `None` for what no agent has written in this boot.
fn parse(text: &str, boot: &str) -> Option<(i32, Content)> {
    // The last line, too, is whole.
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let mut value = |key: &str| lines.next()?.strip_prefix(key);
    value(FIRST_LINE).filter(|rest| rest.is_empty())?;
    value("boot ").filter(|it| *it == boot)?;
    let container = value("container ")?.parse().ok()?;
    let next = value("next ")?;
    let (first, host_ipc) = next.split_once(' ').unwrap_or((next, "0"));
    let next = [first.parse().ok()?, host_ipc.parse().ok()?];
    let mut content = Content {
        next,
        ..Content::default()
    };
    for line in lines {
        if content.record.is_some() {
            return None;
        }
        if let Some(record) = line.strip_prefix(RECORD) {
            content.record = Some(record.to_owned());
            continue;
        }
        let mut numbers = line.strip_prefix("process ")?.split(' ');
        let pid = numbers.next()?.parse().ok()?;
        let started = numbers.next()?.parse().ok()?;
        let number = numbers.next()?.parse().ok()?;
        let (starter, next) = match numbers.next() {
            None => (Starter::First, next[0]),
            Some(HOST_IPC) => (Starter::HostIpc, next[1]),
            Some(_) => return None,
        };
        if numbers.next().is_some() || number >= next {
            return None;
        }
        let known = Known {
            started,
            number,
            starter,
        };
        content.processes.insert(pid, known);
    }
    Some((container, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_that_is_cut_off_or_of_another_boot_or_version() {
        let known = |started, number, starter| Known {
            started,
            number,
            starter,
        };
        let content = Content {
            next: [9, 2],
            processes: BTreeMap::from([
                (7, known(0, 3, Starter::First)),
                (9, known(5, 1, Starter::HostIpc)),
                (4711, known(u64::MAX, 8, Starter::First)),
            ]),
            record: Some("{\"init\":1}".to_owned()),
        };
        let whole = text(3, &content, "b");
        assert_eq!(parse(&whole, "b"), Some((3, content)));
        assert_eq!(parse(&whole, "c"), None);
        for length in 0..whole.len() {
            let left = parse(&whole[..length], "b");
            assert!(
                left.is_none_or(|(_, left)| left.record.is_none()),
                "{length}"
            );
        }
        for (from, to) in [
            ("state 2", "state 1"),
            ("state 2", "state 3"),
            ("process", "service"),
            ("next 9", "next 8"),
            ("next 9 2", "next 9 1"),
            ("host-ipc", "host"),
            ("adopt {", "adopt\n{"),
        ] {
            assert_eq!(parse(&whole.replace(from, to), "b"), None, "{to}");
        }
    }

    #[test]
    fn there_is_a_file_as_long_as_there_is_a_process_whose_end_was_not_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path(), 3, 100);
        assert!(StateFile::left_in(directory.path()).is_empty());
        let own = std::process::id();
        // The second is the number of no process: the kernel has fewer.
        file.add(own, 0, Starter::First);
        file.add(u32::MAX, 1, Starter::First);
        let [left] = StateFile::left_in(directory.path()).try_into().unwrap();
        let [(ended, known)] = left.ended().try_into().unwrap();
        assert_eq!((left.container(), ended, known.number), (3, u32::MAX, 1));
        left.remove(u32::MAX);
        file.remove(u32::MAX);
        file.remove(own);
        assert!(StateFile::left_in(directory.path()).is_empty());
        let names = fs::read_dir(directory.path().join(DIRECTORY)).unwrap();
        assert_eq!(names.count(), 0);
    }

    #[test]
    fn what_nobody_can_read_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path(), 3, 100);
        file.add(1, 0, Starter::First);
        let unfinished = file.path.with_extension(UNFINISHED);
        fs::copy(&file.path, &unfinished).unwrap();
        fs::write(&file.path, "softwarecontainer-state 0\n").unwrap();
        assert!(StateFile::left_in(directory.path()).is_empty());
        assert!(!file.path.exists() && !unfinished.exists());
    }
}
