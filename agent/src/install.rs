//! Where this build expects its files: set at build time by environment variables.

use std::path::PathBuf;

/// Directory below which the programs are installed: `SOFTWARECONTAINER_PREFIX` of the build, or
/// `/usr/local`.
#[must_use]
pub fn prefix() -> PathBuf {
    PathBuf::from(option_env!("SOFTWARECONTAINER_PREFIX").unwrap_or("/usr/local"))
}

/// Directory of configuration files: `SOFTWARECONTAINER_SYSCONFDIR` of the build, or `etc` below
/// the prefix.
#[must_use]
pub fn sysconf_dir() -> PathBuf {
    option_env!("SOFTWARECONTAINER_SYSCONFDIR").map_or_else(|| prefix().join("etc"), PathBuf::from)
}

/// The configuration file that is read when none is named.
#[must_use]
pub fn default_config_file() -> PathBuf {
    sysconf_dir().join("softwarecontainer/softwarecontainer-config")
}

/// The file of a program of the product that the agent starts: named by `variable`, for an agent
/// that is run from a build tree; beside the agent's own; or where it is installed.
#[must_use]
pub fn program(name: &str, variable: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let beside = std::env::current_exe()
        .ok()
        .map(|own| own.with_file_name(name))
        .filter(|path| path.exists());
    beside.unwrap_or_else(|| prefix().join("libexec/softwarecontainer").join(name))
}
