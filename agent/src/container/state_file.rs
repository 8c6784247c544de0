//! What the next agent has to know of a container, should this one be killed: a text file for each
//! in the directory `state` of the shared mounts directory.
//!
//! ```text
//! softwarecontainer-state 1
//! boot 7c0ffa40-5e2f-4d5a-b9a1-0a0e6c1c3a55
//! container 3
//! process 4711 123456
//! ```
//!
//! Each process that a launcher knows has a line, with the time of its start
//! ([`process::start_time`]), from before the reply of its `Execute` until its end was told. So an
//! end is told by the next agent if it was not by this one; it is told twice only if the agent is
//! killed between the signal and the change of the file. Without a process there is no file. It is
//! never changed, but replaced. What another boot has left, or a file of another version, says
//! nothing of processes that run, and is removed.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::host::process;

/// The directory of the files.
const DIRECTORY: &str = "state";
const FIRST_LINE: &str = "softwarecontainer-state 1";
/// How the name of a file ends that is still written to.
const UNFINISHED: &str = "new";

/// The file of one container.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    container: i32,
    /// The processes and when they were started; 0 for one that had ended before it was looked at.
    processes: Mutex<BTreeMap<u32, u64>>,
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
            processes: Mutex::default(),
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
                let (container, processes) = read?;
                Some(Self {
                    path,
                    container,
                    processes: Mutex::new(processes),
                })
            })
            .collect()
    }

    /// The container's ID.
    #[must_use]
    pub fn container(&self) -> i32 {
        self.container
    }

    /// The processes in it that do not run.
    #[must_use]
    pub fn ended(&self) -> Vec<u32> {
        let processes = self
            .processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all = processes.iter();
        all.filter(|(pid, started)| !process::runs(**pid, **started))
            .map(|(pid, _)| *pid)
            .collect()
    }

    /// A launcher is about to know process `pid`.
    pub fn add(&self, pid: u32) {
        let started = process::start_time(pid).unwrap_or(0);
        self.change(|processes| processes.insert(pid, started));
    }

    /// The end of process `pid` was told.
    pub fn remove(&self, pid: u32) {
        self.change(|processes| processes.remove(&pid));
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<u32, u64>) -> Option<u64>) {
        // Locked while it is written: the file says what was changed last.
        let mut processes = self
            .processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut processes);
        let written = match processes.is_empty() {
            true => {
                remove(&self.path);
                Ok(())
            }
            false => self.write(&text(self.container, &processes, process::boot())),
        };
        if let Err(error) = written {
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

fn text(container: i32, processes: &BTreeMap<u32, u64>, boot: &str) -> String {
    let lines = processes.iter();
    let lines = lines.map(|(pid, started)| format!("process {pid} {started}\n"));
    format!(
        "{FIRST_LINE}\nboot {boot}\ncontainer {container}\n{}",
        lines.collect::<String>()
    )
}

/// The container and its processes; `None` for what no agent has written in this boot.
fn parse(text: &str, boot: &str) -> Option<(i32, BTreeMap<u32, u64>)> {
    // The last line, too, is whole.
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let mut value = |key: &str| lines.next()?.strip_prefix(key);
    value(FIRST_LINE).filter(|rest| rest.is_empty())?;
    value("boot ").filter(|it| *it == boot)?;
    let container = value("container ")?.parse().ok()?;
    let processes = lines.map(|line| {
        let (pid, started) = line.strip_prefix("process ")?.split_once(' ')?;
        Some((pid.parse().ok()?, started.parse().ok()?))
    });
    Some((container, processes.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_that_is_cut_off_or_of_another_boot_or_version() {
        let processes = BTreeMap::from([(7, 0), (4711, u64::MAX)]);
        let whole = text(3, &processes, "b");
        assert_eq!(parse(&whole, "b"), Some((3, processes)));
        assert_eq!(parse(&whole, "c"), None);
        for length in 0..whole.len() {
            let left = parse(&whole[..length], "b");
            assert!(left.is_none_or(|(_, left)| left.len() < 2), "{length}");
        }
        assert_eq!(parse(&whole.replace("state 1", "state 2"), "b"), None);
        assert_eq!(parse(&whole.replace("process", "service"), "b"), None);
    }

    #[test]
    fn there_is_a_file_as_long_as_there_is_a_process_whose_end_was_not_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path(), 3, 100);
        assert!(StateFile::left_in(directory.path()).is_empty());
        let own = std::process::id();
        // The second is the number of no process: the kernel has fewer.
        file.add(own);
        file.add(u32::MAX);
        let [left] = StateFile::left_in(directory.path()).try_into().unwrap();
        assert_eq!((left.container(), left.ended()), (3, vec![u32::MAX]));
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
        file.add(1);
        let unfinished = file.path.with_extension(UNFINISHED);
        fs::copy(&file.path, &unfinished).unwrap();
        fs::write(&file.path, "softwarecontainer-state 0\n").unwrap();
        assert!(StateFile::left_in(directory.path()).is_empty());
        assert!(!file.path.exists() && !unfinished.exists());
    }
}
