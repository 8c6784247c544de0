//! The agent's configuration: command line, then file, then built-in defaults.

mod bridge;
mod error;
mod limits;
mod places;
mod reader;

pub use error::ConfigError;
pub use places::Places;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use softwarecontainer_capability::ManifestSource;
use softwarecontainer_network::BridgeSettings;

use crate::{
    agent::{AgentConfig, OnStop},
    cli::Options,
    container::ContainerConfig,
    gateway::SecurityContext,
    host::{seccomp::SeccompFile, user_namespace::UserNamespace},
    install::{default_config_file, prefix, sysconf_dir},
    keyfile,
};
use reader::Reader;

/// The keys of files that must be there where somebody has named them.
const LXC_CONFIG: &str = "deprecated-lxc-config-path";
const SECCOMP_PROFILE: &str = "seccomp-profile";
const SECCOMP_CALLS: &str = "seccomp-calls";

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The agent is on the D-Bus session bus instead of the system bus.
    pub use_session_bus: bool,
    /// Calls of one D-Bus client that have no reply yet.
    pub pending_calls: u32,
    /// Manifests that launchers choose from.
    pub manifests: ManifestSource,
    /// Manifests that are always applied.
    pub default_manifests: ManifestSource,
    /// Bytes of one manifest file.
    pub manifest_size: u32,
    /// The containers' network.
    pub bridge: BridgeSettings,
    /// The seccomp profile of every container (lxc.container.conf(5)).
    pub seccomp_profile: SeccompFile,
    /// The list of system calls that apps may make.
    pub seccomp_calls: SeccompFile,
    /// Host directories and files under which apps may be given files; absolute paths.
    pub allowed_host_paths: Vec<PathBuf>,
    /// What every launcher may mount read-only, whatever its own rights; absolute paths.
    pub launcher_read_paths: Vec<PathBuf>,
    /// What every launcher may mount for writing, whatever its own rights; absolute paths.
    pub launcher_write_paths: Vec<PathBuf>,
    /// What launchers may ask for.
    pub agent: AgentConfig,
    /// How containers are made.
    pub container: ContainerConfig,
    /// Which file has named what.
    pub places: Places,
}

impl Default for Config {
    /// The built-in defaults.
    fn default() -> Self {
        let directory = sysconf_dir().join("softwarecontainer");
        Self {
            use_session_bus: false,
            pending_calls: 256,
            manifests: ManifestSource::default_place(directory.join("service-manifest.d/")),
            default_manifests: ManifestSource::default_place(
                directory.join("service-manifest.default.d/"),
            ),
            manifest_size: 1 << 20,
            bridge: BridgeSettings::default(),
            seccomp_profile: SeccompFile::Default,
            seccomp_calls: SeccompFile::Default,
            allowed_host_paths: vec![PathBuf::from("/")],
            launcher_read_paths: Vec::new(),
            launcher_write_paths: Vec::new(),
            agent: AgentConfig::default(),
            container: ContainerConfig::default(),
            places: Places::default(),
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
        let places = &config.places;
        config.container.extra_lxc_config = find(
            config.container.extra_lxc_config,
            sysconf_dir().join("softwarecontainer/softwarecontainer.conf"),
            "more LXC settings",
            &mut notices,
        )
        .map_err(|error| places.name(LXC_CONFIG, error))?;
        config.seccomp_profile = find_seccomp_file(config.seccomp_profile, "profile", &mut notices)
            .map_err(|error| places.name(SECCOMP_PROFILE, error))?;
        config.seccomp_calls = find_seccomp_file(config.seccomp_calls, "calls", &mut notices)
            .map_err(|error| places.name(SECCOMP_CALLS, error))?;
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
        let places = Places::new(file, &key_file);
        let mut config = Self::default();
        reader.bool("use-session-bus", &mut config.use_session_bus)?;
        let container = &mut config.container;
        reader.seconds("shutdown-timeout", &mut container.shutdown_timeout)?;
        reader.absolute_path("shared-mounts-dir", &mut container.shared_mounts_dir)?;
        let extra_lxc_config = reader.string(LXC_CONFIG)?;
        container.extra_lxc_config = extra_lxc_config.map(PathBuf::from);
        for (key, target) in [
            ("service-manifest-dir", &mut config.manifests),
            (
                "default-service-manifest-dir",
                &mut config.default_manifests,
            ),
        ] {
            if let Some(path) = reader.string(key)? {
                *target = ManifestSource::named(path).named_by(places.of(key));
            }
        }
        config.bridge = bridge::read(&mut reader)?;
        for (key, target) in [
            ("lxc-path", &mut config.container.lxc_path),
            (
                "wayland-socket",
                &mut config.container.gateways.wayland_socket,
            ),
            ("pulse-socket", &mut config.container.gateways.pulse_socket),
            (
                "pipewire-socket",
                &mut config.container.gateways.pipewire_socket,
            ),
        ] {
            let mut path = PathBuf::new();
            if reader.absolute_path(key, &mut path)? {
                *target = Some(path);
            }
        }
        let gateways = &mut config.container.gateways;
        reader.paths_of_places("wayland-display", &mut gateways.wayland_displays)?;
        reader.paths_of_places("pulse-zone", &mut gateways.pulse_zones)?;
        reader.paths_of_places("pipewire-zone", &mut gateways.pipewire_zones)?;
        reader.choice(
            "user-namespace",
            &mut config.container.user_namespace,
            &[
                ("auto", UserNamespace::Auto),
                ("required", UserNamespace::Required),
                ("off", UserNamespace::Off),
            ],
        )?;
        reader.app_armor("apparmor-profile", &mut config.container.apparmor)?;
        reader.choice(
            "landlock",
            &mut config.container.landlock,
            &[("auto", true), ("off", false)],
        )?;
        reader.choice(
            "wayland-security-context",
            &mut config.container.gateways.wayland_security_context,
            &[
                ("auto", SecurityContext::Auto),
                ("required", SecurityContext::Required),
                ("off", SecurityContext::Off),
            ],
        )?;
        for (key, file) in [
            (SECCOMP_PROFILE, &mut config.seccomp_profile),
            (SECCOMP_CALLS, &mut config.seccomp_calls),
        ] {
            *file = match reader.string(key)? {
                None => SeccompFile::Default,
                Some(path) if path.is_empty() => SeccompFile::Off,
                Some(path) => SeccompFile::File(path.into()),
            };
        }
        let container = &mut config.container;
        reader.absolute_paths("allowed-host-paths", &mut config.allowed_host_paths)?;
        reader.absolute_paths("launcher-read-paths", &mut config.launcher_read_paths)?;
        reader.absolute_paths("launcher-write-paths", &mut config.launcher_write_paths)?;
        reader.users("administrators", &mut config.agent.administrators)?;
        reader.bool("destroy-when-ended", &mut config.agent.destroy_when_ended)?;
        reader.choice(
            "on-stop",
            &mut config.agent.on_stop,
            &[("destroy", OnStop::Destroy), ("keep", OnStop::Keep)],
        )?;
        reader.bool(
            "reclaim-when-suspended",
            &mut container.reclaim_when_suspended,
        )?;
        reader.paths_below(
            "masked-paths",
            &["/proc", "/sys"],
            &mut container.masked_paths,
        )?;
        reader.paths_below("host-files", &["/etc"], &mut container.host_files)?;
        reader.number(
            "max-manifest-size",
            &mut config.manifest_size,
            1024..=64 << 20,
        )?;
        reader.number("max-pending-calls", &mut config.pending_calls, 1..=65536)?;
        limits::read(&mut reader, &mut config.agent, container)?;
        config.bridge.connections.containers = config.agent.containers;
        reader.finish()?;
        config.places = places;
        Ok(config)
    }

    fn override_by(&mut self, options: &Options) {
        if let Some(path) = &options.manifest_dir {
            self.manifests = ManifestSource::named(path).named_by("option --manifest-dir");
        }
        if let Some(path) = &options.default_manifest_dir {
            let option = "option --default-manifest-dir";
            self.default_manifests = ManifestSource::named(path).named_by(option);
        }
        if let Some(seconds) = options.timeout {
            self.container.shutdown_timeout = Duration::from_secs(seconds.into());
        }
        self.use_session_bus |= options.session_bus;
    }
}

/// Looks for a file about system calls: it must exist if someone has named it, and may be absent at
/// its default place.
fn find_seccomp_file(
    file: SeccompFile,
    what: &str,
    notices: &mut Vec<String>,
) -> Result<SeccompFile, ConfigError> {
    let named = match file {
        SeccompFile::Off => return Ok(SeccompFile::Off),
        SeccompFile::Default => None,
        SeccompFile::File(path) => Some(path),
    };
    let default = prefix().join(format!("share/softwarecontainer/seccomp.{what}"));
    let what = format!("the seccomp {what}; the agent's own copy is used");
    let found = find(named, default, &what, notices)?;
    Ok(found.map_or(SeccompFile::Default, SeccompFile::File))
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
        Ok(metadata) if metadata.is_dir() => Err(ConfigError::Read {
            path,
            source: io::ErrorKind::IsADirectory.into(),
        }),
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
