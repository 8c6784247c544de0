//! Taking care of the buffers that a crashed agent left behind.

use std::path::{Path, PathBuf};

use crate::{
    buffer::Buffer,
    error::{Failure, LeftOut, RecordError},
    record::Record,
};

/// What became of the buffers in one directory.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Recovered {
    /// Directories of the host that were brought up to date.
    pub synced: Vec<PathBuf>,
    /// What the host cannot hold, and was left out.
    pub left_out: Vec<LeftOut>,
    /// Buffers that could not be written and remain where they are; each message says why and
    /// where.
    pub kept: Vec<Box<dyn std::error::Error + Send + Sync>>,
    /// Directories of the host that these belong to, as far as their records can be read.
    pub unwritten: Vec<PathBuf>,
}

/// Writes every buffer in `buffers` to the host and removes it. That
/// there is no such directory is fine. All processes that used the buffers must have ended.
///
/// # Errors
/// If `buffers` cannot be read. What fails on single buffers is in [`Recovered::kept`].
pub fn recover(buffers: &Path) -> Result<Recovered, RecordError> {
    let mut recovered = Recovered::default();
    let fail = |error| Failure::new("read directory", buffers, error);
    let entries = match std::fs::read_dir(buffers) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(recovered),
        Err(error) => return Err(fail(error).into()),
    };
    let mut directories = Vec::new();
    for entry in entries {
        directories.push(entry.map_err(fail)?.path());
    }
    directories.sort();
    for directory in directories {
        match finish(&directory) {
            Ok(Some((host, left_out))) => {
                recovered.synced.push(host);
                if !left_out.first.is_empty() {
                    recovered.left_out.push(left_out);
                }
            }
            Ok(None) => {}
            Err(error) => {
                recovered.kept.push(error);
                let record = Record::read(&directory.join("record")).ok().flatten();
                recovered.unwritten.extend(record.map(|record| record.host));
            }
        }
    }
    Ok(recovered)
}

fn finish(
    directory: &Path,
) -> Result<Option<(PathBuf, LeftOut)>, Box<dyn std::error::Error + Send + Sync>> {
    let Some(buffer) = Buffer::open(directory)? else {
        // Without a record it was never handed out, or is synced and half removed.
        std::fs::remove_dir_all(directory)
            .map_err(|error| Failure::new("remove", directory, error))?;
        return Ok(None);
    };
    let left_out = buffer.sync()?;
    let host = buffer.host().to_owned();
    buffer.discard()?;
    Ok(Some((host, left_out)))
}
