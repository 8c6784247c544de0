//! The host's rules by way of the programs of iptables(8), in chains that the system's jump to.

use super::{
    Family, FirewallError,
    chain::{Chain, load, refill, table, unload},
    generation, iptables,
    known::Known,
    store::Store,
};

/// What is known of the rules that were loaded.
#[derive(Debug, Default)]
pub(super) struct Programs {
    known: Known,
    /// The programs are of the legacy variant, of whose changes the kernel does not tell.
    legacy: bool,
}

impl Store for Programs {
    fn load_missing(&mut self, family: Family, chains: &[Chain]) -> Result<bool, FirewallError> {
        if chains.is_empty() {
            return Ok(false);
        }
        let saved = iptables::save(family)?;
        // Before there are rules at all it cannot be told.
        self.legacy |= !saved.contains("(nf_tables)") && !saved.is_empty();
        let mut gone = Vec::new();
        for chain in chains {
            if !self.known.has(family, chain, &saved) {
                gone.push(chain);
            }
        }
        if gone.is_empty() {
            return Ok(false);
        }
        iptables::restore(&[(family, &load(family, &gone, &saved))])?;
        for chain in gone {
            self.known.loaded(family, chain);
        }
        Ok(true)
    }

    fn refill(&mut self, chains: &[(Family, Chain)]) -> Result<u32, FirewallError> {
        let texts = chains
            .iter()
            .map(|(family, chain)| (*family, refill(*family, [chain])));
        let texts: Vec<_> = texts.collect();
        let rules = texts.iter().map(|(family, text)| (*family, text.as_str()));
        iptables::restore(&rules.collect::<Vec<_>>())?;
        for (family, chain) in chains {
            self.known.loaded(*family, chain);
        }
        // One for each family.
        Ok(u32::try_from(texts.len()).unwrap_or(u32::MAX))
    }

    fn forget(&mut self, family: Family, chain: &Chain) {
        self.known.forget(family, chain);
    }

    fn take_away(
        &mut self,
        family: Family,
        gone: &[Chain],
        _rest: &[Chain],
    ) -> Result<(), FirewallError> {
        let text = unload(family, gone, &iptables::save(family)?);
        if text.is_empty() {
            return Ok(());
        }
        iptables::restore(&[(family, &text)])
    }

    fn has(&mut self, family: Family, chain: &Chain) -> Result<bool, FirewallError> {
        let declared = format!(":{} ", chain.name);
        let saved = iptables::save(family)?;
        Ok(table(chain.table, &saved).any(|line| line.starts_with(&declared)))
    }

    fn generation(&self) -> Option<u32> {
        generation::current().filter(|_| !self.legacy)
    }
}
