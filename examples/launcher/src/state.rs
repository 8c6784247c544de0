//! Which apps run: one locked file per app.
//!
//! The launcher of an app holds the lock of its file as long as it lives, however it ends; what is
//! in an unlocked file is history, or what a launcher that was killed has left ([`crate::left`]).
//! An app cannot be started twice.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};

use crate::{
    error::Error,
    identity::{Made, Process},
};

/// How often a lock is tried, and how long after each other.
const TRIES: u32 = 5;
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// The directory of the files.
pub struct State(PathBuf);

/// A running app.
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// The app's name.
    pub name: String,
    /// Process ID of its launcher.
    pub launcher: u32,
    /// Its container.
    pub container: i32,
    /// Process ID of the app on the host.
    pub pid: i32,
}

/// The file of an app that this launcher runs.
pub struct Note {
    path: PathBuf,
    file: Flock<File>,
    left: Option<(Made, Option<Process>)>,
    keep: bool,
}

impl State {
    /// Notes are kept in that directory; it is made when the first app starts.
    pub fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.app"))
    }

    /// Claims the name of an app.
    pub fn begin(&self, name: &str) -> Result<Note, Error> {
        std::fs::create_dir_all(&self.0).map_err(failed("make", &self.0))?;
        let path = self.path(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        let mut file = lock(file, name, &path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(failed("read", &path))?;
        let mut note = Note {
            left: serde_json::from_str(&text).ok().and_then(|it| left(&it)),
            path,
            file,
            keep: false,
        };
        if let Some((made, process)) = note.left.clone() {
            // Known to the next launcher still, and not listed any more.
            note.put(
                &json!({"container": made.to_json(), "process": process.map(Process::to_json)}),
            )?;
        }
        Ok(note)
    }

    /// The apps that run, by name.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        let listing = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(entries),
            listing => listing.map_err(failed("list", &self.0))?,
        };
        for item in listing {
            let path = item.map_err(failed("list", &self.0))?.path();
            if path.extension().is_some_and(|extension| extension == "app") {
                entries.extend(read(&path)?.map(|(entry, _)| entry));
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// A running app.
    pub fn entry(&self, name: &str) -> Result<Entry, Error> {
        self.find(name).map(|(entry, _)| entry)
    }

    /// Waits until the launcher of an app has ended.
    pub fn wait(&self, file: File, name: &str) -> Result<(), Error> {
        Flock::lock(file, FlockArg::LockShared)
            .map(drop)
            .map_err(|(_, errno)| failed("wait for", &self.path(name))(errno.into()))
    }

    /// A running app and its file, for [`State::wait`].
    pub fn find(&self, name: &str) -> Result<(Entry, File), Error> {
        read(&self.path(name))?.ok_or_else(|| Error::NotRunning(name.to_owned()))
    }
}

impl Note {
    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The container that an earlier launcher of the app has left, and the app's process.
    pub fn take_left(&mut self) -> Option<(Made, Option<Process>)> {
        self.left.take()
    }

    /// Leaves what is noted to the next launcher.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Makes the app known, or what there is of it already.
    pub fn write(
        &mut self,
        name: &str,
        made: &Made,
        process: Option<Process>,
    ) -> Result<(), Error> {
        let value = json!({
            "name": name,
            "launcher": std::process::id(),
            "container": made.to_json(),
            "process": process.map(Process::to_json),
        });
        self.put(&value)
    }

    fn put(&mut self, value: &Value) -> Result<(), Error> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(value.to_string().as_bytes()))
            .map_err(failed("write", &self.path))
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Emptied, not removed: another launcher may have opened it already and wait to lock this
        // very file.
        if let Err(error) = self.file.set_len(0) {
            eprintln!("cannot empty {}: {error}", self.path.display());
        }
    }
}

/// Locks the file of an app, unless its launcher holds the lock. Who only looks holds it for a
/// moment.
fn lock(mut file: File, name: &str, path: &Path) -> Result<Flock<File>, Error> {
    for _ in 0..TRIES {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((unlocked, nix::Error::EWOULDBLOCK)) => file = unlocked,
            Err((_, errno)) => return Err(failed("lock", path)(errno.into())),
        }
        std::thread::sleep(TRY_AGAIN);
    }
    Err(Error::Running(name.to_owned()))
}

/// The entry of a file whose lock is held, with the open file.
fn read(path: &Path) -> Result<Option<(Entry, File)>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed("open", path))?,
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(None),
        Err((mut file, nix::Error::EWOULDBLOCK)) => {
            let mut text = String::new();
            file.read_to_string(&mut text)
                .map_err(failed("read", path))?;
            // Not parseable: the app is still being started.
            Ok(parse(&text).map(|entry| (entry, file)))
        }
        Err((_, errno)) => Err(failed("lock", path)(errno.into())),
    }
}

fn parse(text: &str) -> Option<Entry> {
    let value: Value = serde_json::from_str(text).ok()?;
    let (made, process) = left(&value)?;
    Some(Entry {
        name: value.get("name")?.as_str()?.to_owned(),
        launcher: value.get("launcher")?.as_u64()?.try_into().ok()?,
        container: made.container,
        pid: process?.pid,
    })
}

fn left(value: &Value) -> Option<(Made, Option<Process>)> {
    let process = Process::from_json(value.get("process")?);
    Some((Made::from_json(value.get("container")?)?, process))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        action,
        path,
        source,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn entry(name: &str, process: &Process) -> Entry {
        Entry {
            name: name.to_owned(),
            launcher: std::process::id(),
            container: 2,
            pid: process.pid,
        }
    }

    #[test]
    fn an_app_is_listed_from_its_start_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(&directory.path().join("state"));
        assert_eq!(state.entries().unwrap(), []);
        let mut note = state.begin("map").unwrap();
        let made = Made::new("bus/:1.7".to_owned(), 2);
        note.write("map", &made, None).unwrap();
        assert_eq!(state.entries().unwrap(), [], "not started yet");
        let process = Process::new(77);
        note.write("map", &made, Some(process)).unwrap();
        assert_eq!(state.entries().unwrap(), [entry("map", &process)]);
        assert_eq!(state.entry("map").unwrap(), entry("map", &process));
        drop(note);
        assert_eq!(state.entries().unwrap(), []);
        assert!(matches!(state.entry("map"), Err(Error::NotRunning(_))));
    }

    #[test]
    fn an_app_cannot_run_twice_but_again() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(directory.path());
        let note = state.begin("map").unwrap();
        assert!(matches!(state.begin("map"), Err(Error::Running(_))));
        drop(note);
        assert_eq!(state.begin("map").unwrap().take_left(), None);
    }

    #[test]
    fn what_a_killed_launcher_left_is_not_listed_and_the_next_one_gets_it() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(directory.path());
        let made = Made::new("bus/:1.7".to_owned(), 2);
        for process in [None, Some(Process::new(77))] {
            let mut note = state.begin("map").unwrap();
            note.write("map", &made, process).unwrap();
            note.keep();
            drop(note);
            assert_eq!(state.entries().unwrap(), []);
            let mut note = state.begin("map").unwrap();
            assert_eq!(state.entries().unwrap(), [], "it is being ended");
            assert_eq!(note.take_left(), Some((made.clone(), process)));
        }
    }
}
