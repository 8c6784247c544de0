//! The app's output, relayed to the launcher's own through a FIFO. Under systemd it ends up in the
//! journal, which limits its size.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::{fcntl::OFlag, sys::stat::Mode};
use smol::Async;

use crate::error::Error;

/// The reading end of a FIFO that the agent opens for the app.
pub struct Relay {
    path: PathBuf,
    reader: Async<File>,
}

impl Relay {
    /// Makes the FIFO, and opens it: a writer that comes later does not have to wait.
    pub fn new(path: &Path) -> Result<Self, Error> {
        let failed = |action| {
            move |source| Error::File {
                action,
                path: path.to_owned(),
                source,
            }
        };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("replace")(error));
            }
            _ => {}
        }
        nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|errno| failed("make the FIFO")(errno.into()))?;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)
            .map_err(failed("open"))?;
        Ok(Self {
            path: path.to_owned(),
            reader: Async::new(file).map_err(failed("poll"))?,
        })
    }

    /// Where the FIFO is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies until the last writer has closed the FIFO. To be called after `Execute`: before it
    /// there is no writer yet, which looks the same.
    pub async fn copy(self) {
        let mut buffer = [0; 4096];
        loop {
            let read = self
                .reader
                .read_with(|mut file| file.read(&mut buffer))
                .await;
            match read {
                Ok(0) => return,
                Ok(length) => {
                    let mut stdout = io::stdout().lock();
                    let text = buffer.get(..length).unwrap_or_default();
                    // The app must not stall because nobody wants to read what it says.
                    let _ = stdout.write_all(text).and_then(|()| stdout.flush());
                }
                Err(error) => {
                    eprintln!("cannot read {}: {error}", self.path.display());
                    return;
                }
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            eprintln!("cannot remove {}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn copying_ends_with_the_last_writer_and_the_fifo_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.output");
        let relay = Relay::new(&path).unwrap();
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"").unwrap();
        drop(writer);
        smol::block_on(relay.copy());
        assert!(!path.exists());
    }

    #[test]
    fn a_fifo_left_by_a_killed_launcher_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.output");
        std::mem::forget(Relay::new(&path).unwrap());
        Relay::new(&path).unwrap();
    }
}
