//! How much each rule has let pass, or has not.

use super::{
    Backend, Family, FirewallError, container::TABLE, iptables, nft, rule_count::RuleCount,
};

/// The rules of the calling thread's network namespace.
pub(crate) fn current(backend: Backend) -> Result<Vec<RuleCount>, FirewallError> {
    let mut counts = Vec::new();
    let families = [Family::V4, Family::V6];
    for family in families.into_iter().filter(|family| family.is_there()) {
        if backend == Backend::NfTables {
            counts.extend(nft::counts(family, TABLE)?);
            continue;
        }
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
