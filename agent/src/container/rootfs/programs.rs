//! The programs of `/bin` and `/sbin`: the init, busybox with its applets, and all else that the
//! host has there, so that a script that begins with `#!/bin/bash` starts as it does on the host.
//!
//! Where the host's `/bin` is a part of `/usr`, containers see its files already, and links lead to
//! them. Where it is a directory of its own, it is mounted below [`HOST`], and links lead there.
//! Links rather than a mount on `/bin`: busybox goes first, and a launcher can mount single files.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
};

use softwarecontainer_init::INIT_PATH;

use super::system_mount::SystemMount;

/// Where containers see what is the host's and has no place of its own in them; the directory that
/// systemd's Container Interface gives to container managers.
pub const HOST: &str = "/run/host";
/// The directories of programs that are not a part of `/usr` on every host.
const DIRECTORIES: [&str; 2] = ["bin", "sbin"];

/// Fills the directories of programs in the template of root trees.
#[derive(Debug)]
pub struct Programs<'a> {
    template: &'a Path,
    system: &'a [SystemMount],
}

impl<'a> Programs<'a> {
    /// For the template in directory `template`, in whose containers `system` is mounted.
    pub fn new(template: &'a Path, system: &'a [SystemMount]) -> Self {
        Self { template, system }
    }

    /// Adds the init: a copy, because the program file that a container executes must not be one
    /// that the host relies on.
    ///
    /// # Errors
    /// The system's.
    pub fn add_init(&self, init: &Path) -> io::Result<()> {
        let own = self.template.join(INIT_PATH.trim_start_matches('/'));
        fs::create_dir_all(own.parent().unwrap_or(self.template))?;
        fs::copy(init, &own)?;
        fs::set_permissions(own, Permissions::from_mode(0o755))
    }

    /// Adds busybox and a link for each of its applets.
    ///
    /// # Errors
    /// The system's; a host without busybox is no error.
    pub fn add_busybox(&self) -> io::Result<()> {
        let bin = self.template.join("bin");
        fs::create_dir_all(&bin)?;
        let Some(host) = find_busybox() else {
            log::warn!(
                "no busybox found on the host: containers get no /bin/busybox and no applets"
            );
            return Ok(());
        };
        let own = bin.join("busybox");
        if self.is_seen(&host) {
            symlink(&host, own)?;
        } else {
            fs::copy(&host, &own)?;
            fs::set_permissions(own, Permissions::from_mode(0o755))?;
        }
        let output = Command::new(&host).arg("--list").env_clear().output()?;
        for applet in output.stdout.split(|&byte| byte == b'\n') {
            let name = Path::new(OsStr::from_bytes(applet));
            if applet.is_empty() || applet == b"busybox" || name.components().count() != 1 {
                continue;
            }
            link(Path::new("busybox"), &bin.join(name))?;
        }
        Ok(())
    }

    /// Adds links to all programs of the host that are not there yet; what has to be mounted for
    /// them.
    ///
    /// # Errors
    /// The system's.
    pub fn add_hosts(&self) -> io::Result<Vec<SystemMount>> {
        let mut mounts = Vec::new();
        for name in DIRECTORIES {
            // By its real path: on hosts with merged /usr it is a symbolic link.
            let host = match fs::canonicalize(Path::new("/").join(name)) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                host => host?,
            };
            let inside = if self.is_seen(&host) {
                host.clone()
            } else {
                let inside = Path::new(HOST).join(name);
                fs::create_dir_all(
                    self.template
                        .join(inside.strip_prefix("/").unwrap_or(&inside)),
                )?;
                mounts.push(SystemMount {
                    host: host.clone(),
                    inside: inside.clone(),
                });
                inside
            };
            let own = self.template.join(name);
            fs::create_dir_all(&own)?;
            for entry in fs::read_dir(&host)? {
                let program = entry?.file_name();
                link(&inside.join(&program), &own.join(&program))?;
            }
        }
        Ok(mounts)
    }

    /// Whether containers see a path of the host.
    fn is_seen(&self, host: &Path) -> bool {
        self.system.iter().any(|mount| mount.shows(host))
    }
}

/// A symbolic link at `path`, unless something is there.
fn link(target: &Path, path: &Path) -> io::Result<()> {
    match symlink(target, path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// The host's busybox, by its real path.
fn find_busybox() -> Option<PathBuf> {
    [
        "/usr/bin/busybox",
        "/bin/busybox",
        "/usr/sbin/busybox",
        "/sbin/busybox",
    ]
    .iter()
    .find_map(|path| fs::canonicalize(path).ok())
}
