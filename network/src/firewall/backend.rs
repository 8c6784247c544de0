//! Who puts rules into the kernel.

use std::str::FromStr;

use softwarecontainer_capability::error_chain::Chain;

use super::{
    FirewallError, generation, legacy,
    nft::{Tables, try_out},
    programs::Programs,
    store::Store,
};

/// Who puts rules into the kernel.
///
/// The key `firewall` of the agent's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The agent itself, by netlink, where the kernel has nf_tables, unless the legacy variant of
    /// iptables(8) is in use: others' rules are then in tables that nf_tables does not see, and
    /// must not stop what containers may do.
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
            Self::Auto if legacy::is_in_use() || generation::current().is_none() => Self::Iptables,
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
}
