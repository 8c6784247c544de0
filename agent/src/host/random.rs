//! Random bytes of the kernel.

use std::{fs::File, io, io::Read as _};

/// As many bytes as the caller takes.
///
/// # Errors
/// The system's.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
