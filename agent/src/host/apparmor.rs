//! AppArmor, on kernels that have it.

use std::{fs, path::Path};

use thiserror::Error;

/// The profile that comes with the product, see `apparmor/softwarecontainer-app`.
pub const OWN_PROFILE: &str = "softwarecontainer-app";
/// The profile that liblxc puts a container under unless its configuration names another.
const LXC_PROFILE: &str = "lxc-container-default-cgns";
/// What liblxc calls no profile.
const UNCONFINED: &str = "unconfined";

/// Which profile containers are put under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AppArmor {
    /// [`OWN_PROFILE`], or else LXC's own, where one of them is loaded.
    #[default]
    Auto,
    /// None.
    Off,
    /// This one; without it there is no container.
    Required(String),
}

/// Why a container cannot have the profile that it has to have.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppArmorError {
    /// The kernel does not use AppArmor.
    #[error(
        "apparmor-profile wants the AppArmor profile {profile:?}, but the kernel has no AppArmor \
         that is switched on"
    )]
    NoAppArmor {
        /// The profile.
        profile: String,
    },
    /// Nobody has loaded it.
    #[error(
        "apparmor-profile wants the AppArmor profile {profile:?}, which is not loaded \
         (apparmor_parser(8) loads it; /sys/kernel/security/apparmor/profiles tells)"
    )]
    NotLoaded {
        /// The profile.
        profile: String,
    },
    /// The container runs under something else.
    #[error(
        "apparmor-profile wants the AppArmor profile {profile:?}, but the container runs under \
         {found:?} (another one in the extra LXC settings, or a liblxc without AppArmor)"
    )]
    Other {
        /// The profile.
        profile: String,
        /// That of the container's init.
        found: String,
    },
}

/// What the kernel has of AppArmor.
#[derive(Debug)]
pub struct Kernel {
    enabled: bool,
    /// The loaded profiles; `None` where that cannot be found out, because securityfs is not
    /// mounted.
    loaded: Option<Vec<String>>,
}

impl Kernel {
    /// What the running kernel has now.
    #[must_use]
    pub fn now() -> Self {
        Self::of(
            Path::new("/sys/module/apparmor/parameters/enabled"),
            Path::new("/sys/kernel/security/apparmor/profiles"),
        )
    }

    fn of(enabled: &Path, profiles: &Path) -> Self {
        let enabled = fs::read_to_string(enabled).is_ok_and(|text| text.trim() == "Y");
        let profiles = enabled.then(|| fs::read_to_string(profiles).ok()).flatten();
        let name = |line: &str| {
            line.rsplit_once(" (")
                .map_or(line, |(name, _)| name)
                .to_owned()
        };
        Self {
            enabled,
            loaded: profiles.map(|text| text.lines().map(name).collect()),
        }
    }

    fn has(&self, profile: &str) -> Option<bool> {
        let loaded = self.loaded.as_ref()?;
        Some(loaded.iter().any(|one| one == profile))
    }
}

impl AppArmor {
    /// The value of `lxc.apparmor.profile`; `None` to leave it to liblxc, as where the kernel has
    /// no AppArmor. A kernel that has it in a system that does not use it has not even LXC's
    /// profile, and liblxc would start no container.
    ///
    /// # Errors
    /// What is required is not there.
    pub fn lxc_profile(&self, kernel: &Kernel) -> Result<Option<&str>, AppArmorError> {
        Ok(match self {
            Self::Required(profile) => {
                let profile = profile.clone();
                match kernel.has(&profile) {
                    Some(true) => return Ok(self.required()),
                    _ if !kernel.enabled => return Err(AppArmorError::NoAppArmor { profile }),
                    _ => return Err(AppArmorError::NotLoaded { profile }),
                }
            }
            Self::Off => kernel.enabled.then_some(UNCONFINED),
            Self::Auto if kernel.has(OWN_PROFILE) == Some(true) => Some(OWN_PROFILE),
            Self::Auto => (kernel.has(LXC_PROFILE) == Some(false)).then_some(UNCONFINED),
        })
    }

    /// The profile without which there is no container.
    #[must_use]
    pub fn required(&self) -> Option<&str> {
        match self {
            Self::Required(profile) => Some(profile),
            Self::Auto | Self::Off => None,
        }
    }

    /// Checks that process `init` is under the profile that is required.
    ///
    /// # Errors
    /// [`AppArmorError::Other`].
    pub fn check(&self, init: u32) -> Result<(), AppArmorError> {
        let Some(profile) = self.required() else {
            return Ok(());
        };
        let found = of_process(init).unwrap_or_else(|| UNCONFINED.to_owned());
        if found == profile {
            Ok(())
        } else {
            let profile = profile.to_owned();
            Err(AppArmorError::Other { profile, found })
        }
    }

    /// What is worth a line in the log when the agent starts.
    #[must_use]
    pub fn notice(&self, kernel: &Kernel) -> Option<String> {
        match self.lxc_profile(kernel) {
            Err(error) => Some(format!("no container can be created: {error}")),
            Ok(Some(UNCONFINED)) if *self == Self::Auto => Some(format!(
                "the kernel has AppArmor, but the profile {OWN_PROFILE} is not loaded: apps run \
                 without"
            )),
            Ok(_) => None,
        }
    }
}

/// The profile that a process is under (apparmor(7)); `None` where there is no AppArmor.
fn of_process(pid: u32) -> Option<String> {
    // Where several security modules are in use, the first of these is AppArmor's.
    let paths = ["attr/apparmor/current", "attr/current"];
    let read = |path| fs::read_to_string(format!("/proc/{pid}/{path}")).ok();
    let label = paths.into_iter().find_map(read)?;
    let label = label.trim_end_matches(['\n', '\0']);
    let name = label.rsplit_once(" (").map_or(label, |(name, _)| name);
    Some(name.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn kernel(loaded: &str) -> Kernel {
        let directory = tempfile::tempdir().unwrap();
        let (enabled, profiles) = (directory.path().join("on"), directory.path().join("list"));
        fs::write(&enabled, "Y\n").unwrap();
        fs::write(&profiles, loaded).unwrap();
        Kernel::of(&enabled, &profiles)
    }

    fn without() -> Kernel {
        let absent = Path::new("/nonexistent");
        Kernel::of(absent, absent)
    }

    const BOTH: &str = "softwarecontainer-app (enforce)\nlxc-container-default-cgns (enforce)\n";

    #[test]
    fn our_profile_is_used_where_it_is_loaded_and_then_lxcs() {
        let profile = |loaded| {
            let chosen = AppArmor::Auto.lxc_profile(&kernel(loaded)).unwrap();
            chosen.map(str::to_owned)
        };
        assert_eq!(profile(BOTH).as_deref(), Some(OWN_PROFILE));
        assert_eq!(
            profile("softwarecontainer-app (complain)\n").as_deref(),
            Some(OWN_PROFILE)
        );
        assert_eq!(profile("lxc-container-default-cgns (enforce)\n"), None);
        assert_eq!(
            profile("man_filter (enforce)\n").as_deref(),
            Some("unconfined")
        );
        assert_eq!(profile("").as_deref(), Some("unconfined"));
    }

    #[test]
    fn nothing_is_said_to_liblxc_where_there_is_no_apparmor_or_nobody_knows() {
        let unknown = Kernel {
            enabled: true,
            loaded: None,
        };
        for kernel in [without(), unknown] {
            assert_eq!(AppArmor::Auto.lxc_profile(&kernel).unwrap(), None);
            assert_eq!(AppArmor::Auto.notice(&kernel), None);
        }
        assert_eq!(AppArmor::Off.lxc_profile(&without()).unwrap(), None);
        let off = AppArmor::Off.lxc_profile(&kernel(BOTH)).unwrap();
        assert_eq!(off, Some("unconfined"));
    }

    #[test]
    fn a_required_profile_is_there_or_no_container_is() {
        let required = AppArmor::Required("product app".into());
        let loaded = kernel("product app (enforce)\n");
        assert_eq!(required.lxc_profile(&loaded).unwrap(), Some("product app"));
        assert!(required.notice(&loaded).is_none());
        for (kernel, expected) in [(kernel(BOTH), "is not loaded"), (without(), "no AppArmor")] {
            let error = required.lxc_profile(&kernel).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("\"product app\""), "{error}");
            assert!(required.notice(&kernel).unwrap().contains(&error));
        }
    }

    #[test]
    fn a_container_under_another_profile_than_the_required_one_is_refused() {
        let own = of_process(std::process::id()).unwrap_or_else(|| UNCONFINED.to_owned());
        AppArmor::Required(own).check(std::process::id()).unwrap();
        let other = AppArmor::Required("other".into());
        assert!(other.check(std::process::id()).is_err());
        AppArmor::Auto.check(std::process::id()).unwrap();
    }
}
