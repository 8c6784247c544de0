//! Filters as programs for the kernel.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
};

use libseccomp::{ScmpArch, ScmpFilterContext};

use super::error::FilterError;

/// The instruction sets whose programs a machine of the first one runs, too.
const COMPATIBLE: [(ScmpArch, &[ScmpArch]); 2] = [
    (ScmpArch::X8664, &[ScmpArch::X86, ScmpArch::X32]),
    (ScmpArch::Aarch64, &[ScmpArch::Arm]),
];

/// The machine's instruction sets that programs may be for, the first one its own.
pub(super) fn architectures() -> Vec<ScmpArch> {
    let native = ScmpArch::native();
    let others = COMPATIBLE.iter().filter(|(first, _)| *first == native);
    let others = others.flat_map(|(_, others)| others.iter().copied());
    std::iter::once(native).chain(others).collect()
}

/// libseccomp before 2.6 writes programs to files only.
pub(super) fn export(filter: &ScmpFilterContext) -> Result<Vec<u8>, FilterError> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let file = rustix::fs::memfd_create(c"filter", flags);
    let mut file = File::from(file.map_err(|errno| FilterError::Export(errno.into()))?);
    filter
        .export_bpf(&file)
        .map_err(|source| FilterError::Compile { call: None, source })?;
    let mut program = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut program))
        .map_err(FilterError::Export)?;
    Ok(program)
}
