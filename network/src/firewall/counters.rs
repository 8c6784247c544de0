//! How much each rule has let pass, or has not.

use super::{Family, FirewallError, iptables};
use crate::sysctl;

/// A rule of a container and what it has counted since the rules were last changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleCount {
    /// IPv4 or IPv6.
    pub family: Family,
    /// The chain that it is in, such as `OUTPUT`.
    pub chain: String,
    /// What it is for, such as `OUTGOING 192.0.2.0/24 tcp 443`, if that is known; otherwise the
    /// rule in the form of iptables(8).
    pub rule: String,
    /// Packets to which it applied.
    pub packets: u64,
    /// Bytes of these, with the headers of IP.
    pub bytes: u64,
}

/// The rules of the calling thread's network namespace.
pub(crate) fn current() -> Result<Vec<RuleCount>, FirewallError> {
    let mut counts = Vec::new();
    let v6 = sysctl::exists("net/ipv6").then_some(Family::V6);
    for family in std::iter::once(Family::V4).chain(v6) {
        let saved = iptables::save_with_counters(family)?;
        counts.extend(saved.lines().filter_map(|line| parse(family, line)));
    }
    Ok(counts)
}

/// A line of iptables-save(8) with counters: `[3:180] -A OUTPUT -p tcp … -j ACCEPT`.
fn parse(family: Family, line: &str) -> Option<RuleCount> {
    let (counters, rule) = line.strip_prefix('[')?.split_once("] -A ")?;
    let (packets, bytes) = counters.split_once(':')?;
    let (chain, rule) = rule.split_once(' ')?;
    let comment = rule.split_once("--comment ").map(|(_, rest)| {
        // One without a space has no quotation marks.
        let quoted = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
        quoted
            .or_else(|| rest.split_once(' '))
            .map_or(rest, |(comment, _)| comment)
    });
    Some(RuleCount {
        family,
        chain: chain.to_owned(),
        rule: comment.unwrap_or(rule).to_owned(),
        packets: packets.parse().ok()?,
        bytes: bytes.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(line: &str) -> Option<(String, String, u64, u64)> {
        let count = parse(Family::V4, line)?;
        Some((count.chain, count.rule, count.packets, count.bytes))
    }

    #[test]
    fn a_rule_is_called_by_its_comment() {
        let line = r#"[3:180] -A SC-WORLD -p tcp -m tcp --dport 80 -m comment --comment "OUTGOING * tcp 80" -j ACCEPT"#;
        let expected = (
            "SC-WORLD".to_owned(),
            "OUTGOING * tcp 80".to_owned(),
            3,
            180,
        );
        assert_eq!(rule(line), Some(expected));
        let line = "[0:0] -A OUTPUT -m comment --comment max-connections -j DROP";
        let expected = ("OUTPUT".to_owned(), "max-connections".to_owned(), 0, 0);
        assert_eq!(rule(line), Some(expected));
    }

    #[test]
    fn a_rule_without_a_comment_is_called_by_what_it_does() {
        let line = "[5:420] -A SC-REFUSE -j REJECT --reject-with icmp-admin-prohibited";
        let expected = "-j REJECT --reject-with icmp-admin-prohibited";
        assert_eq!(
            rule(line),
            Some(("SC-REFUSE".to_owned(), expected.to_owned(), 5, 420))
        );
    }

    #[test]
    fn other_lines_are_no_rules() {
        for line in [
            "*filter",
            ":INPUT DROP [0:0]",
            "# Completed",
            "COMMIT",
            "",
            "[x:1] -A A -j B",
        ] {
            assert_eq!(rule(line), None, "{line}");
        }
    }
}
