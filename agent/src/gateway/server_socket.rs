//! The socket of a server of the host.

use std::path::Path;

use rustix::fs::FileType;

use super::{error::Cause, target::Target};
use crate::mounts::{HostSource, host_source::HostSourceError};

/// Where the container sees what the gateways give it.
pub const GATEWAYS: &str = "/gateways";

/// Has the agent told when there is another socket at `host`.
pub(super) fn watch(target: &Target<'_>, host: &Path) {
    if let Err(error) = target.watch.add(host) {
        log::warn!(
            "cannot watch for successors of {}: {error}; a process that is started later still \
             gets them",
            host.display()
        );
    }
}

/// The socket at `host`.
pub(super) fn open(target: &Target<'_>, host: &Path) -> Result<HostSource, Cause> {
    let source = HostSource::open(host, true, target.mounts.paths).map_err(into_cause)?;
    match source.kind() {
        FileType::Socket => Ok(source),
        _ => Err(Cause::Other(format!("{} is no socket", host.display()))),
    }
}

pub(super) fn into_cause(error: HostSourceError) -> Cause {
    Cause::Bind(error.into())
}
