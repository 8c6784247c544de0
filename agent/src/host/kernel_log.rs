//! The kernel's log, from now on.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
};

use rustix::fs::{SeekFrom, seek};
use smol::Async;

/// The kernel's interface for readers of its log (Documentation/ABI/testing/dev-kmsg).
const DEVICE: &str = "/dev/kmsg";
/// No record is longer (`PRINTK_MESSAGE_MAX` of the kernel).
const LONGEST: usize = 8192;

/// A reader of the kernel's log.
pub struct KernelLog(Async<File>);

impl KernelLog {
    /// Begins with what comes next.
    ///
    /// # Errors
    /// The system's.
    pub fn open() -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let flags = (libc::O_NONBLOCK | libc::O_CLOEXEC)
            .cast_unsigned()
            .cast_signed();
        let file = options.read(true).custom_flags(flags).open(DEVICE)?;
        seek(&file, SeekFrom::End(0))?;
        Ok(Self(Async::new_nonblocking(file)?))
    }

    /// The text of the next record.
    ///
    /// # Errors
    /// The system's.
    pub async fn next(&self) -> io::Result<String> {
        let mut bytes = [0; LONGEST];
        loop {
            let read = self.0.read_with(|mut file| file.read(&mut bytes)).await;
            match read {
                Ok(length) => {
                    let record = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default());
                    return Ok(text(&record).to_owned());
                }
                // The next one was overwritten before it was read.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What stands between the prefix of a record and its properties.
fn text(record: &str) -> &str {
    let line = record.lines().next().unwrap_or_default();
    line.split_once(';').map_or(line, |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_record_has_neither_its_prefix_nor_its_properties() {
        let record = "4,1234,5678,-;SC-0 OUTGOING: IN= OUT=eth0\n SUBSYSTEM=net\n";
        assert_eq!(text(record), "SC-0 OUTGOING: IN= OUT=eth0");
        assert_eq!(text(""), "");
    }
}
