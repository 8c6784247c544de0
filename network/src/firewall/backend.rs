//! Who puts rules into the kernel.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use softwarecontainer_capability::error_chain::Chain;

use super::{
    FirewallError, generation,
    iptables::PATH,
    nft::{Tables, try_out},
    programs::Programs,
    store::Store,
};

/// What the legacy variant's program file is called: from iptables 1.8 on, and before.
const LEGACY: [&str; 2] = ["xtables-legacy-multi", "xtables-multi"];

/// Who puts rules into the kernel.
///
/// The key `firewall` of the agent's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The agent itself, by netlink, where the kernel has nf_tables, unless the legacy variant of
    /// iptables(8) is what this system has: others' rules are then in tables that nf_tables does
    /// not see, and must not stop what containers may do.
    #[default]
    Auto,
    /// The agent itself.
    NfTables,
    /// The programs of iptables(8).
    Iptables,
}

/// No backend is called so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of auto, nf_tables and iptables")]
pub struct UnknownBackend;

/// As in the agent's configuration.
impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "nf_tables" => Ok(Self::NfTables),
            "iptables" => Ok(Self::Iptables),
            _ => Err(UnknownBackend),
        }
    }
}

impl Backend {
    /// What `Auto` stands for in the calling thread's network namespace; never that itself.
    #[must_use]
    pub(crate) fn choose(self) -> Self {
        match self {
            Self::Auto if is_legacy() || generation::current().is_none() => Self::Iptables,
            Self::Auto => match try_out() {
                Ok(()) => Self::NfTables,
                Err(lack) => {
                    log::warn!("iptables loads the rules: {}", Chain(&lack));
                    Self::Iptables
                }
            },
            chosen => chosen,
        }
    }

    /// Where rules for the bridge `device` are kept on the host.
    ///
    /// # Errors
    /// [`FirewallError`].
    pub(super) fn store(self, device: &str) -> Result<Box<dyn Store>, FirewallError> {
        Ok(match self.choose() {
            Self::NfTables => Box::new(Tables::new(device)?),
            _ => Box::new(Programs::default()),
        })
    }
}

/// Whether the installed programs are of the legacy variant.
fn is_legacy() -> bool {
    installed(PATH, "iptables-restore").is_some_and(|program| {
        let name = program.file_name();
        LEGACY.iter().any(|legacy| name == Some(legacy.as_ref()))
    })
}

/// The file that the name of a program leads to.
fn installed(path: &str, name: &str) -> Option<PathBuf> {
    path.split(':')
        .find_map(|directory| Path::new(directory).join(name).canonicalize().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_is_taken() {
        assert_eq!(Backend::NfTables.choose(), Backend::NfTables);
        assert_eq!(Backend::Iptables.choose(), Backend::Iptables);
        assert_ne!(Backend::Auto.choose(), Backend::Auto);
    }

    #[test]
    fn the_words_of_the_configuration_are_read() {
        let read = ["auto", "nf_tables", "iptables"].map(str::parse);
        let backends = [Backend::Auto, Backend::NfTables, Backend::Iptables];
        assert_eq!(read, backends.map(Ok));
        assert_eq!("nft".parse::<Backend>(), Err(UnknownBackend));
    }

    #[test]
    fn a_program_is_known_by_the_file_that_its_name_leads_to() {
        let directory = std::env::temp_dir().join(format!("sc-test-net-{}", std::process::id()));
        let (first, second) = (directory.join("first"), directory.join("second"));
        std::fs::create_dir_all(&first).unwrap();
        std::fs::create_dir_all(&second).unwrap();
        std::fs::write(second.join("xtables-legacy-multi"), "").unwrap();
        let link = second.join("iptables-restore");
        std::os::unix::fs::symlink("xtables-legacy-multi", link).unwrap();
        let path = format!("{}:{}", first.display(), second.display());
        let found = installed(&path, "iptables-restore");
        assert_eq!(found, Some(second.join("xtables-legacy-multi")));
        assert_eq!(installed(&path, "ip6tables-restore"), None);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
