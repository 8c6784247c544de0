//! The processor's share of a cgroup: `cpu.shares` of cgroup v1 as `cpu.weight` of v2.

/// The usual conversion of 2…262144 shares to a weight of 1…10000 (as in crun and runc).
#[must_use]
pub fn of_shares(shares: u64) -> u64 {
    let shares = shares.clamp(2, 262_144);
    1 + (shares - 2) * 9999 / 262_142
}

#[cfg(test)]
mod tests {
    use super::of_shares;

    #[test]
    fn the_ends_of_both_ranges_meet_and_what_is_out_of_range_is_moved_in() {
        let weights = [0, 2, 1024, 262_144, u64::MAX].map(of_shares);
        assert_eq!(weights, [1, 1, 39, 10_000, 10_000]);
    }
}
