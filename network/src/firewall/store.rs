//! Where the host's rules are kept: in nf_tables by netlink, or by the programs of iptables(8).

use std::fmt;

use super::{Family, FirewallError, chain::Chain};

/// Keeps the chains of one bridge.
pub(super) trait Store: fmt::Debug + Send {
    /// Loads what is not there of `chains`, which are all that there are to be of a family. Returns
    /// whether something was missing.
    ///
    /// # Errors
    /// [`FirewallError`].
    fn load_missing(&mut self, family: Family, chains: &[Chain]) -> Result<bool, FirewallError>;

    /// Fills chains that exist anew. Returns how many changes the kernel counts for that.
    ///
    /// # Errors
    /// [`FirewallError`]; no chain was changed that is in the family of the error.
    fn refill(&mut self, chains: &[(Family, Chain)]) -> Result<u32, FirewallError>;

    /// The chain is to have other rules.
    fn forget(&mut self, family: Family, chain: &Chain);

    /// Removes the chains `gone` so that `rest` remain.
    ///
    /// # Errors
    /// [`FirewallError`].
    fn take_away(
        &mut self,
        family: Family,
        gone: &[Chain],
        rest: &[Chain],
    ) -> Result<(), FirewallError>;

    /// Whether there is such a chain of an earlier agent, which counts until it is emptied.
    ///
    /// # Errors
    /// [`FirewallError`].
    fn has(&mut self, family: Family, chain: &Chain) -> Result<bool, FirewallError>;

    /// A number that each change of rules increases, by whomever; `None` where there is none.
    fn generation(&self) -> Option<u32>;
}
