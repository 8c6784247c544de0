//! The part of the root tree that all containers share.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use super::{programs::Programs, system_mount::SystemMount};
use crate::host::mount::{MountError, points_under};

/// Host directories that every container sees read-only, besides the install prefix.
const SYSTEM_DIRECTORIES: [&str; 3] = ["usr", "lib", "lib64"];

/// The part of the root tree that all containers share: busybox, the init, and mount points for the
/// host's system directories.
#[derive(Debug)]
pub struct Template {
    directory: PathBuf,
    system_directories: Vec<SystemMount>,
}

impl Template {
    /// Prepares the template in `directory`, anew if an earlier agent left one.
    ///
    /// `prefix` is the install prefix; `init` the init's program file.
    ///
    /// # Errors
    /// [`MountError`] naming the path that could not be prepared.
    pub fn prepare(
        directory: &Path,
        prefix: &Path,
        init: &Path,
        in_use: bool,
    ) -> Result<Self, MountError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |e: io::Error| MountError::new("prepare", &path, e)
        };
        match make_room(directory, in_use) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at(directory)(e)),
            _ => {}
        }
        fs::create_dir_all(directory).map_err(at(directory))?;
        fs::set_permissions(directory, Permissions::from_mode(0o755)).map_err(at(directory))?;
        let mut template = Self {
            directory: directory.to_owned(),
            system_directories: Vec::new(),
        };
        for name in SYSTEM_DIRECTORIES {
            template
                .add_system_directory(name)
                .map_err(at(&Path::new("/").join(name)))?;
        }
        template.add_prefix(prefix).map_err(at(prefix))?;
        let programs = Programs::new(directory, &template.system_directories);
        programs.add_init(init).map_err(at(init))?;
        programs
            .add_busybox()
            .map_err(at(&directory.join("bin/busybox")))?;
        let more = programs.add_hosts().map_err(at(&directory.join("bin")))?;
        template.system_directories.extend(more);
        Ok(template)
    }

    /// Adds what leads containers to copies of files of the host, which are mounted at `inside`:
    /// `links` are paths in the container with their targets.
    ///
    /// # Errors
    /// [`MountError`] naming the path that could not be prepared.
    pub fn add_links<'a>(
        &self,
        inside: &Path,
        links: impl Iterator<Item = (&'a Path, PathBuf)>,
    ) -> Result<(), MountError> {
        let own = |path: &Path| self.directory.join(path.strip_prefix("/").unwrap_or(path));
        let point = own(inside);
        fs::create_dir_all(&point).map_err(|e| MountError::new("make", &point, e))?;
        for (path, target) in links {
            let link = own(path);
            link.parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| symlink(target, &link))
                .or_else(|error| match error.kind() {
                    // Listed twice.
                    io::ErrorKind::AlreadyExists => Ok(()),
                    _ => Err(error),
                })
                .map_err(|e| MountError::new("make", &link, e))?;
        }
        Ok(())
    }

    /// The host's system directories that containers see.
    pub fn system_directories(&self) -> &[SystemMount] {
        &self.system_directories
    }

    /// Where it is on the host.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What to mount read-only, in this order: the host's system directories, and what is mounted
    /// in them, such as a partition at `/usr/local`. (A user namespace cannot have the one without
    /// the other, see mount_namespaces(7).)
    ///
    /// # Errors
    /// [`MountError`] when the list of mounts cannot be read.
    pub fn system_mounts(&self) -> Result<Vec<SystemMount>, MountError> {
        let mut all = self.system_directories.clone();
        let own: Vec<&Path> = all.iter().map(|mount| mount.host.as_path()).collect();
        for point in points_under(&own)? {
            let within = self
                .system_directories
                .iter()
                .find(|mount| point.starts_with(&mount.host));
            let Some(inside) = within.and_then(|mount| {
                let below = point.strip_prefix(&mount.host).ok()?;
                (below != Path::new("")).then(|| mount.inside.join(below))
            }) else {
                continue;
            };
            // One that is mounted twice shows the upper one, and so does the container. One whose
            // mount point was removed shows nothing.
            if !all.iter().any(|mount| mount.host == point) && point.exists() {
                let host = point;
                all.push(SystemMount { host, inside });
            }
        }
        Ok(all)
    }

    /// On a host with merged `/usr`, `/lib` is a symbolic link, and so it is in the container.
    fn add_system_directory(&mut self, name: &str) -> io::Result<()> {
        let (host, own) = (Path::new("/").join(name), self.directory.join(name));
        match fs::symlink_metadata(&host) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
            Ok(metadata) if metadata.is_symlink() => symlink(fs::read_link(&host)?, own),
            Ok(_) => {
                fs::create_dir_all(own)?;
                self.system_directories
                    .push(SystemMount::at_its_own_place(host));
                Ok(())
            }
        }
    }

    fn add_prefix(&mut self, prefix: &Path) -> io::Result<()> {
        let covered = self
            .system_directories
            .iter()
            .any(|mount| prefix.starts_with(&mount.host));
        if covered || !prefix.is_dir() || prefix.parent().is_none() {
            return Ok(());
        }
        if let Ok(relative) = prefix.strip_prefix("/") {
            fs::create_dir_all(self.directory.join(relative))?;
            self.system_directories
                .push(SystemMount::at_its_own_place(prefix.to_owned()));
        }
        Ok(())
    }
}

/// How the names go on of templates that running containers have.
const EARLIER: &str = "earlier-";

/// Makes room for a template at `directory`; one that is `in_use` is only moved away.
fn make_room(directory: &Path, in_use: bool) -> io::Result<()> {
    let earlier = |number: u32| directory.with_extension(format!("{EARLIER}{number}"));
    if in_use {
        let free = (0..).map(earlier).find(|path| !path.exists());
        return free.map_or(Ok(()), |path| fs::rename(directory, path));
    }
    for path in (0..).map(earlier).take_while(|path| path.exists()) {
        fs::remove_dir_all(path)?;
    }
    fs::remove_dir_all(directory)
}
