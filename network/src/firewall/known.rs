//! How iptables-save(8) prints our rules, which is not always how we write them: to tell whether
//! they are still there.

use std::collections::BTreeMap;

use super::{Family, chain::Chain};

/// The text of the chains that we have loaded; `None` until they were seen after that.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<(Family, String), Option<Vec<String>>>);

impl Known {
    /// Whether a chain is there with one jump to it and all its rules.
    pub(super) fn has(&mut self, family: Family, chain: &Chain, saved: &str) -> bool {
        let Some(found) = chain.saved(family, saved) else {
            return false;
        };
        match self.0.get_mut(&(family, chain.name.clone())) {
            // Left by an earlier agent, if it is there.
            None => false,
            Some(Some(known)) => *known == found,
            Some(unseen) => {
                let is_whole = found.len() == chain.rules.len();
                *unseen = is_whole.then(|| found.into_iter().map(str::to_owned).collect());
                is_whole
            }
        }
    }

    /// The chain is to have other rules.
    pub(super) fn forget(&mut self, family: Family, chain: &Chain) {
        self.0.remove(&(family, chain.name.clone()));
    }

    /// The chain has been loaded.
    pub(super) fn loaded(&mut self, family: Family, chain: &Chain) {
        self.0.insert((family, chain.name.clone()), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::rule::{Match, Rule};

    fn chain() -> Chain {
        Chain {
            table: "filter",
            hook: "FORWARD",
            only: None,
            before_others: false,
            name: "SC-FWD-lxcbr0".to_owned(),
            rules: vec![Rule::accept([Match::From("lxcbr0".to_owned())])],
        }
    }

    const SAVED: &str = "*filter\n:FORWARD DROP [0:0]\n:SC-FWD-lxcbr0 - [0:0]\n-A FORWARD -j SC-FWD-lxcbr0\n\
        -A SC-FWD-lxcbr0 -i lxcbr0 -j ACCEPT\nCOMMIT\n";

    fn loaded() -> Known {
        let mut known = Known::default();
        known.loaded(Family::V4, &chain());
        known
    }

    #[test]
    fn a_chain_is_there_with_its_jump_and_the_rules_that_it_was_seen_with() {
        let has = |known: &mut Known, saved: &str| known.has(Family::V4, &chain(), saved);
        let mut known = loaded();
        assert!(!has(&mut known, ""));
        assert!(has(&mut known, SAVED));
        for (from, to) in [
            ("-A FORWARD -j SC-FWD-lxcbr0\n", ""),
            ("-A SC-FWD-lxcbr0 -i lxcbr0 -j ACCEPT\n", ""),
            ("-i lxcbr0 -j ACCEPT", "-i lxcbr0 -j DROP"),
            ("*filter", "*mangle"),
        ] {
            assert!(!has(&mut known, &SAVED.replace(from, to)), "{from}");
        }
        assert!(has(&mut known, SAVED));
    }

    #[test]
    fn what_an_earlier_agent_has_left_is_not_ours() {
        assert!(!Known::default().has(Family::V4, &chain(), SAVED));
    }

    #[test]
    fn rules_that_were_loaded_anew_may_look_otherwise() {
        let mut known = loaded();
        assert!(known.has(Family::V4, &chain(), SAVED));
        let other = SAVED.replace("-j ACCEPT", "-j RETURN");
        assert!(!known.has(Family::V4, &chain(), &other));
        known.loaded(Family::V4, &chain());
        assert!(known.has(Family::V4, &chain(), &other));
    }
}
