//! Filters as programs for the kernel.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
};

use libseccomp::{ScmpAction, ScmpArch, ScmpFilterContext, error::SeccompError};

use super::error::FilterError;

/// The instruction sets whose programs a machine of the first one runs, too.
const COMPATIBLE: [(ScmpArch, &[ScmpArch]); 2] = [
    (ScmpArch::X8664, &[ScmpArch::X86, ScmpArch::X32]),
    (ScmpArch::Aarch64, &[ScmpArch::Arm]),
];

/// A machine that filters are made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine {
    native: ScmpArch,
}

impl Machine {
    /// The one that this runs on.
    pub(super) fn own() -> Self {
        Self::of(ScmpArch::native())
    }

    /// One whose own instruction set is `native`.
    pub(super) const fn of(native: ScmpArch) -> Self {
        Self { native }
    }

    /// The instruction sets that programs may be for.
    pub(super) fn architectures(self) -> impl Iterator<Item = ScmpArch> {
        let others = COMPATIBLE
            .iter()
            .filter(move |(first, _)| *first == self.native);
        let others = others.flat_map(|(_, others)| others.iter().copied());
        std::iter::once(self.native).chain(others)
    }

    /// A filter without rules for programs for the instruction sets `chosen`.
    pub(super) fn filter(
        otherwise: ScmpAction,
        chosen: impl Iterator<Item = ScmpArch>,
    ) -> Result<ScmpFilterContext, SeccompError> {
        let mut filter = ScmpFilterContext::new(otherwise)?;
        // It is there from the start; the others follow in the order in which they are added.
        let own = ScmpArch::native();
        let mut has_own = false;
        for one in chosen {
            has_own |= one == own;
            filter.add_arch(one)?;
        }
        if !has_own {
            filter.remove_arch(own)?;
        }
        Ok(filter)
    }
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
