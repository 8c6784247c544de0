//! Files of the host's `/etc` that every container sees, as they are on the host at the time: the
//! time zone, fonts, certificates, names of hosts, and so on.
//!
//! One directory holds copies of them for all containers. It is mounted read-only at [`INSIDE`] in
//! each, and symbolic links in `/etc` lead there. So a change on the host is one change of the
//! copy, whatever the number of containers, nothing has to be done inside of any, and a file that
//! is replaced on the host does not leave a mount of the old one behind. A copy, not a mount of the
//! host's own: only what all users of the host may read gets in.

mod content;
mod copier;
mod error;
mod watch;

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use copier::Copier;
pub use error::HostFilesError;
use softwarecontainer_network::name_servers::{NameServers, RESOLV_CONF};
use watch::Watch;

use super::rootfs::SystemMount;
use crate::error_chain::Chain;
pub use crate::host::unfollow::COPIES as INSIDE;

/// The host's directory of which they are.
const ETC: &str = "/etc";
/// The names of hosts (hosts(5)).
const HOSTS: &str = "/etc/hosts";
/// What is copied unless the configuration says otherwise, besides what every container has.
pub const DEFAULT: [&str; 44] = [
    "/etc/OpenCL",
    "/etc/alsa",
    "/etc/alternatives",
    "/etc/asound.conf",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/chromium.d",
    "/etc/crypto-policies",
    "/etc/drirc",
    "/etc/egl",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/glvnd",
    "/etc/gnutls",
    "/etc/gtk-3.0",
    "/etc/gtk-4.0",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/java-17-openjdk",
    "/etc/java-21-openjdk",
    "/etc/java-25-openjdk",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/locale.conf",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/networks",
    "/etc/nsswitch.conf",
    "/etc/openal",
    "/etc/os-release",
    "/etc/pki",
    "/etc/protocols",
    "/etc/rpc",
    "/etc/services",
    "/etc/shells",
    "/etc/ssl",
    "/etc/terminfo",
    "/etc/timezone",
    "/etc/vulkan",
    "/etc/xdg",
];

/// The copies for all containers.
#[derive(Debug)]
pub struct HostFiles {
    directory: PathBuf,
    list: Vec<PathBuf>,
    /// What containers see of the host under the same path.
    seen: Vec<SystemMount>,
    watch: Watch,
    name_servers: Mutex<Option<NameServers>>,
}

impl HostFiles {
    /// Copies of the files and directories in `list` below `directory`, which may hold some from an
    /// earlier agent; `seen` is what containers have of the host anyway.
    ///
    /// # Errors
    /// [`HostFilesError`] when the copies cannot be kept at all.
    pub fn new(
        directory: &Path,
        list: &[PathBuf],
        seen: Vec<SystemMount>,
    ) -> Result<Self, HostFilesError> {
        let files = Self {
            directory: directory.to_owned(),
            list: list.to_vec(),
            seen,
            watch: Watch::new().map_err(HostFilesError::Watch)?,
            name_servers: Mutex::default(),
        };
        let own = files.copies();
        let made = fs::create_dir_all(&own)
            .and_then(|()| fs::set_permissions(&own, Permissions::from_mode(0o755)));
        made.map_err(|source| HostFilesError::Write { path: own, source })?;
        files.update();
        Ok(files)
    }

    /// What is mounted at [`INSIDE`].
    pub fn copies(&self) -> PathBuf {
        self.directory.join("etc")
    }

    /// The paths in a container's `/etc` that lead to copies; a copy need not exist.
    pub fn links(&self) -> impl Iterator<Item = (&Path, PathBuf)> {
        let always = [HOSTS, RESOLV_CONF].map(Path::new);
        let listed = self.list.iter().map(PathBuf::as_path);
        let all = always
            .into_iter()
            .chain(listed.filter(|path| !is_written(path)));
        all.filter_map(|path| Some((path, Path::new(INSIDE).join(relative(path)?))))
    }

    /// Returns when something may have changed on the host.
    ///
    /// # Errors
    /// From read(2).
    pub async fn changed(&self) -> io::Result<()> {
        self.watch.changed().await
    }

    /// Makes the copies equal to what the host has now; whether the name servers have changed. What
    /// cannot be copied is told in the log.
    pub fn update(&self) -> bool {
        self.watch.begin();
        let is_seen = |path: &Path| {
            let is_program = ["/bin", "/sbin"].iter().any(|it| path.starts_with(it));
            let is_listed = || self.list.iter().any(|it| path.starts_with(it));
            is_program || self.seen.iter().any(|it| it.shows(path)) || is_listed()
        };
        let look =
            |directory: &Path, name: Option<&std::ffi::OsStr>| self.watch.add(directory, name);
        let mut copier = Copier::new(&self.directory, &is_seen, &look);
        for path in self.list.iter().filter(|path| !is_written(path)) {
            if let Some(relative) = relative(path)
                && let Err(error) = copier.copy(path, &self.copies().join(relative))
            {
                log::warn!("{}", Chain(&error));
            }
        }
        let changed = self.write_name_servers(&copier);
        self.write_hosts(&copier);
        self.watch.end();
        changed
    }

    fn write_hosts(&self, copier: &Copier<'_>) {
        let is_listed = self.list.iter().any(|path| path == Path::new(HOSTS));
        let host = is_listed.then(|| copier.read(Path::new(HOSTS))).flatten();
        let text = content::hosts(&host.unwrap_or_default());
        if let Err(error) = copier.write(&self.copies().join("hosts"), text.as_bytes()) {
            log::warn!("{}", Chain(&error));
        }
    }

    fn write_name_servers(&self, copier: &Copier<'_>) -> bool {
        // All of them, also those that are not asked for now.
        for path in NameServers::files() {
            copier.look(&path);
        }
        let now = NameServers::of_host(|path| copier.read(path));
        let mut last = self
            .name_servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() == Some(&now) {
            return false;
        }
        let told = last.as_ref().map(|last| last.unreachable.clone());
        for server in now.unreachable.difference(&told.unwrap_or_default()) {
            log::warn!(
                "containers cannot reach the host's name server {server}, and no other takes its \
                 place"
            );
        }
        let text = now.resolv_conf.as_bytes();
        if let Err(error) = copier.write(&self.copies().join("resolv.conf"), text) {
            log::warn!("{}", Chain(&error));
        }
        *last = Some(now);
        true
    }
}

/// Whether a file is no plain copy.
fn is_written(path: &Path) -> bool {
    [HOSTS, RESOLV_CONF].iter().any(|it| path == Path::new(it))
}

/// The path in `/etc`.
fn relative(path: &Path) -> Option<&Path> {
    path.strip_prefix(ETC)
        .ok()
        .filter(|it| *it != Path::new(""))
}
