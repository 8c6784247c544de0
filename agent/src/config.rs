//! The agent's configuration: command line, then file, then built-in defaults.

mod bridge;
mod error;
mod install;
mod limits;
mod reader;

pub use error::ConfigError;
pub use install::{default_config_file, prefix, sysconf_dir};
pub use limits::Limits;

use crate::cli::Options;
use crate::keyfile;
use reader::Reader;
use softwarecontainer_capability::ManifestSource;
use softwarecontainer_network::BridgeSettings;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What tells of the host or changes it. (`/proc/sys` and `/proc/sysrq-trigger` are read-only.)
const MASKED_PATHS: [&str; 13] = [
    "/proc/acpi",
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/firmware",
];

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The agent is on the D-Bus session bus instead of the system bus.
    pub use_session_bus: bool,
    /// How long a container may take to end before it is stopped by force; whole seconds.
    pub shutdown_timeout: Duration,
    /// Absolute path of the directory that holds a directory `SC-<id>` for each container; need not
    /// exist.
    pub shared_mounts_dir: PathBuf,
    /// File with more LXC settings for every container. Before [`Config::load`] has looked at the
    /// file system, `None` stands for the default place and an empty path for no file.
    pub extra_lxc_config: Option<PathBuf>,
    /// Manifests that launchers choose from.
    pub manifests: ManifestSource,
    /// Manifests that are always applied.
    pub default_manifests: ManifestSource,
    /// The containers' network.
    pub bridge: BridgeSettings,
    /// Absolute path where LXC keeps its containers; `None` for LXC's own default.
    pub lxc_path: Option<PathBuf>,
    /// Whether containers get a user namespace.
    pub user_namespace: UserNamespace,
    /// Absolute path of the compositor's socket; `None`: the agent's environment tells.
    pub wayland_socket: Option<PathBuf>,
    /// Absolute path of the sound server's socket; `None`: the agent's environment tells.
    pub pulse_socket: Option<PathBuf>,
    /// The seccomp profile of every container (lxc.container.conf(5)).
    pub seccomp_profile: SeccompProfile,
    /// Host directories and files under which apps may be given files; absolute paths.
    pub allowed_host_paths: Vec<PathBuf>,
    /// Files and directories that are empty in containers; absolute paths of the container.
    pub masked_paths: Vec<PathBuf>,
    /// How much of everything there may be.
    pub limits: Limits,
}

/// Whether containers get a user namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserNamespace {
    /// Where the kernel allows it.
    #[default]
    Auto,
    /// Always: without one a container is not created.
    Required,
    /// Never.
    Off,
}

/// Which system calls containers are kept from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SeccompProfile {
    /// Those of the installed profile, or, where none is installed, of the agent's own copy.
    #[default]
    Default,
    /// None.
    Off,
    /// Those of the profile in this file.
    File(PathBuf),
}

impl Default for Config {
    /// The built-in defaults.
    fn default() -> Self {
        let directory = sysconf_dir().join("softwarecontainer");
        Self {
            use_session_bus: false,
            shutdown_timeout: Duration::from_secs(1),
            shared_mounts_dir: PathBuf::from("/tmp/container/"),
            extra_lxc_config: None,
            manifests: ManifestSource::default_place(directory.join("service-manifest.d/")),
            default_manifests: ManifestSource::default_place(
                directory.join("service-manifest.default.d/"),
            ),
            bridge: BridgeSettings::default(),
            lxc_path: None,
            user_namespace: UserNamespace::Auto,
            wayland_socket: None,
            pulse_socket: None,
            seccomp_profile: SeccompProfile::Default,
            allowed_host_paths: vec![PathBuf::from("/")],
            masked_paths: MASKED_PATHS.iter().map(PathBuf::from).collect(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Reads the configuration file and puts the command line above it. Returns what is worth a
    /// line in the log, too: default files that are absent, deprecated options.
    ///
    /// # Errors
    /// A file that cannot be read or was named and is absent; a line, group, key or value that
    /// cannot be used.
    pub fn load(options: &Options) -> Result<(Self, Vec<String>), ConfigError> {
        let mut notices = Vec::new();
        let mut config = match &options.config {
            Some(path) => Self::parse(path, &read(path)?)?,
            None => Self::from_default_file(&default_config_file(), &mut notices)?,
        };
        config.override_by(options);
        if options.user.is_some() {
            notices.push("option --user is deprecated and has no effect".to_owned());
        }
        config.extra_lxc_config = find(
            config.extra_lxc_config,
            sysconf_dir().join("softwarecontainer/softwarecontainer.conf"),
            "more LXC settings",
            &mut notices,
        )?;
        config.seccomp_profile.find(&mut notices)?;
        Ok((config, notices))
    }

    fn from_default_file(path: &Path, notices: &mut Vec<String>) -> Result<Self, ConfigError> {
        match read(path) {
            Err(ConfigError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                notices.push(format!(
                    "no configuration file {}, defaults apply",
                    path.display()
                ));
                Ok(Self::default())
            }
            Err(error) => Err(error),
            Ok(source) => Self::parse(path, &source),
        }
    }

    /// Reads `source`, the contents of `file`. Only the text is looked at, not what its paths lead
    /// to.
    ///
    /// # Errors
    /// A line, group, key or value that cannot be used.
    pub fn parse(file: &Path, source: &[u8]) -> Result<Self, ConfigError> {
        let key_file = keyfile::parse(source).map_err(|error| ConfigError::Syntax {
            file: file.to_owned(),
            error,
        })?;
        let mut reader = Reader::new(file, &key_file)?;
        let mut config = Self::default();
        reader.bool("use-session-bus", &mut config.use_session_bus)?;
        reader.seconds("shutdown-timeout", &mut config.shutdown_timeout)?;
        reader.absolute_path("shared-mounts-dir", &mut config.shared_mounts_dir)?;
        let extra_lxc_config = reader.string("deprecated-lxc-config-path")?;
        config.extra_lxc_config = extra_lxc_config.map(PathBuf::from);
        if let Some(path) = reader.string("service-manifest-dir")? {
            config.manifests = ManifestSource::named(path);
        }
        if let Some(path) = reader.string("default-service-manifest-dir")? {
            config.default_manifests = ManifestSource::named(path);
        }
        config.bridge = bridge::read(&mut reader)?;
        for (key, target) in [
            ("lxc-path", &mut config.lxc_path),
            ("wayland-socket", &mut config.wayland_socket),
            ("pulse-socket", &mut config.pulse_socket),
        ] {
            let mut path = PathBuf::new();
            if reader.absolute_path(key, &mut path)? {
                *target = Some(path);
            }
        }
        reader.choice(
            "user-namespace",
            &mut config.user_namespace,
            &[
                ("auto", UserNamespace::Auto),
                ("required", UserNamespace::Required),
                ("off", UserNamespace::Off),
            ],
        )?;
        config.seccomp_profile = match reader.string("seccomp-profile")? {
            None => SeccompProfile::Default,
            Some(path) if path.is_empty() => SeccompProfile::Off,
            Some(path) => SeccompProfile::File(path.into()),
        };
        reader.absolute_paths("allowed-host-paths", &mut config.allowed_host_paths)?;
        reader.paths_below("masked-paths", &["/proc", "/sys"], &mut config.masked_paths)?;
        config.limits = Limits::read(&mut reader)?;
        reader.finish()?;
        Ok(config)
    }

    fn override_by(&mut self, options: &Options) {
        if let Some(path) = &options.manifest_dir {
            self.manifests = ManifestSource::named(path);
        }
        if let Some(path) = &options.default_manifest_dir {
            self.default_manifests = ManifestSource::named(path);
        }
        if let Some(seconds) = options.timeout {
            self.shutdown_timeout = Duration::from_secs(seconds.into());
        }
        self.use_session_bus |= options.session_bus;
    }
}

impl SeccompProfile {
    /// Looks for the file: it must exist if someone has named it, and may be absent at its default
    /// place.
    fn find(&mut self, notices: &mut Vec<String>) -> Result<(), ConfigError> {
        let named = match self {
            Self::Off => return Ok(()),
            Self::Default => None,
            Self::File(path) => Some(std::mem::take(path)),
        };
        let default = prefix().join("share/softwarecontainer/seccomp.profile");
        let what = "the seccomp profile; the agent's own copy is used";
        *self = find(named, default, what, notices)?.map_or(Self::Default, Self::File);
        Ok(())
    }
}

/// The file to use: it must exist if someone has `named` it, and may be absent at its `default`
/// place. An empty path stands for none.
fn find(
    named: Option<PathBuf>,
    default: PathBuf,
    what: &str,
    notices: &mut Vec<String>,
) -> Result<Option<PathBuf>, ConfigError> {
    let may_be_absent = named.is_none();
    let path = named.unwrap_or(default);
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    match fs::metadata(&path) {
        Ok(_) => Ok(Some(path)),
        Err(e) if e.kind() == io::ErrorKind::NotFound && may_be_absent => {
            notices.push(format!("no file {} with {what}", path.display()));
            Ok(None)
        }
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
