//! The app's home directory on the host.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Uid, User};

use crate::{
    error::Error,
    manifest::{App, Mount},
};

/// Where homes are, unless systemd says otherwise.
const HOMES: &str = "/var/lib/softwarecontainer-launcher";

/// The app's home directory, made if it is not there yet; what makes the agent mount it.
pub fn make(app: &App) -> Result<Mount, Error> {
    let host = app.home.clone().unwrap_or_else(|| {
        std::env::var_os("STATE_DIRECTORY")
            .map_or_else(|| HOMES.into(), PathBuf::from)
            .join(&app.name)
    });
    let failed = |action| {
        let path = host.clone();
        move |source| Error::File {
            action,
            path,
            source,
        }
    };
    if let Some(parent) = host.parent() {
        std::fs::create_dir_all(parent).map_err(failed("make the directory of"))?;
    }
    match DirBuilder::new().mode(0o700).create(&host) {
        Ok(()) => give(&host, owner(app)).map_err(failed("change the owner of"))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("make the home directory")(error)),
    }
    Ok(Mount {
        host,
        container: app.home_in_container.clone(),
        read_only: false,
    })
}

/// Whose the app's files are, if not the launcher's: only root can say so, and only root's app has
/// the rights of the host's user with its number.
fn owner(app: &App) -> Option<u32> {
    let named = app.home_owner.or(app.user);
    named.filter(|_| nix::unistd::geteuid().is_root())
}

/// Makes a directory that of a user and their group, if one is named.
fn give(directory: &Path, owner: Option<u32>) -> io::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    let user = Uid::from_raw(owner);
    let group = User::from_uid(user)?.map_or(Gid::from_raw(owner), |known| known.gid);
    Ok(nix::unistd::chown(directory, Some(user), Some(group))?)
}
