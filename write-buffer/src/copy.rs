//! Copying the contents of a file with its holes.

use std::{fs::File, os::unix::fs::FileExt};

use rustix::{fs::SeekFrom, io::Errno};

/// Copied at a time; contents come from a tmpfs, so a larger buffer gains nothing.
const CHUNK: usize = 128 * 1024;

/// Copies the first `size` bytes of `from` to the empty file `to`; holes stay holes.
pub fn copy(from: &File, to: &File, size: u64) -> std::io::Result<()> {
    rustix::fs::ftruncate(to, size)?;
    let mut buffer = vec![0u8; CHUNK.min(usize::try_from(size).unwrap_or(CHUNK))];
    let mut offset = 0;
    while offset < size {
        let start = match rustix::fs::seek(from, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(start))?.min(size);
        offset = start;
        while offset < end {
            let left = usize::try_from(end - offset).unwrap_or(CHUNK);
            let piece = &mut buffer[..left.min(CHUNK)];
            from.read_exact_at(piece, offset)?;
            to.write_all_at(piece, offset)?;
            offset += u64::try_from(piece.len()).unwrap_or(0);
        }
    }
    Ok(())
}
