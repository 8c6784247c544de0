//! Chains of ours on the host, as input for iptables-restore(8).
//!
//! A chain of the system only holds the jump to ours. Nothing of others is ever changed.

use std::fmt::Write as _;

use super::{
    Family,
    rule::{Match, Rule},
};

/// One chain of ours.
pub(super) struct Chain {
    pub(super) table: &'static str,
    /// The system's chain that jumps to ours.
    pub(super) hook: &'static str,
    /// Which packets jump.
    pub(super) only: Option<Match>,
    /// The jump comes before the rules that are there, not behind them.
    pub(super) before_others: bool,
    pub(super) name: String,
    pub(super) rules: Vec<Rule>,
}

impl Chain {
    fn jump(&self, family: Family) -> String {
        let only = self.only.as_ref();
        let only = only.map(|one| one.iptables(family) + " ");
        format!("{} {}-j {}", self.hook, only.unwrap_or_default(), self.name)
    }

    /// Declares the chain, which empties it if it exists, and fills it.
    pub(super) fn declare(&self, text: &mut String, family: Family) {
        let _ = writeln!(text, "*{}", self.table);
        let _ = writeln!(text, ":{} - [0:0]", self.name);
        for rule in &self.rules {
            let _ = writeln!(text, "-A {} {}", self.name, rule.iptables(family));
        }
    }

    /// Its rules, as iptables-save(8) prints them; `None` if it or the one jump to it is not there.
    pub(super) fn saved<'a>(&self, family: Family, saved: &'a str) -> Option<Vec<&'a str>> {
        let declared = format!(":{} ", self.name);
        let rules = format!("-A {} ", self.name);
        let is_there = table(self.table, saved).any(|line| line.starts_with(&declared))
            && self.jumps(family, saved) == 1;
        is_there.then(|| {
            table(self.table, saved)
                .filter(|line| line.starts_with(&rules))
                .collect()
        })
    }

    fn jumps(&self, family: Family, saved: &str) -> usize {
        let jump = format!("-A {}", self.jump(family));
        table(self.table, saved)
            .filter(|line| *line == jump)
            .count()
    }
}

/// Input for iptables-restore that makes `chains` as they should be, each with exactly one jump to
/// it.
pub(super) fn load(family: Family, chains: &[&Chain], saved: &str) -> String {
    let mut text = String::new();
    for chain in chains {
        chain.declare(&mut text, family);
        match chain.jumps(family, saved) {
            0 => {
                let how = if chain.before_others { "-I" } else { "-A" };
                let _ = writeln!(text, "{how} {}", chain.jump(family));
            }
            several => {
                for _ in 1..several {
                    let _ = writeln!(text, "-D {}", chain.jump(family));
                }
            }
        }
        let _ = writeln!(text, "COMMIT");
    }
    text
}

/// Input for iptables-restore that fills `chains` anew, which exist.
pub(super) fn refill<'a>(family: Family, chains: impl IntoIterator<Item = &'a Chain>) -> String {
    let mut text = String::new();
    for chain in chains {
        chain.declare(&mut text, family);
        text.push_str("COMMIT\n");
    }
    text
}

/// Input for iptables-restore that removes those of `chains` that exist.
pub(super) fn unload(family: Family, chains: &[Chain], saved: &str) -> String {
    let mut text = String::new();
    for chain in chains {
        let declared = format!(":{} ", chain.name);
        if !table(chain.table, saved).any(|line| line.starts_with(&declared)) {
            continue;
        }
        let _ = writeln!(text, "*{}", chain.table);
        for _ in 0..chain.jumps(family, saved) {
            let _ = writeln!(text, "-D {}", chain.jump(family));
        }
        let _ = writeln!(text, "-F {0}\n-X {0}\nCOMMIT", chain.name);
    }
    text
}

/// The lines of one table in the output of iptables-save.
pub(super) fn table<'a>(name: &'a str, saved: &'a str) -> impl Iterator<Item = &'a str> {
    saved
        .lines()
        .skip_while(move |line| line.strip_prefix('*') != Some(name))
        .skip(1)
        .take_while(|line| *line != "COMMIT")
        .map(str::trim_end)
}
