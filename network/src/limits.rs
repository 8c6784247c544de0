//! How many connections containers may begin.
//!
//! Each of them is in the host's table of connections, too, which would be full for all. A TCP
//! connection stays there for two minutes after its end (TIME_WAIT), so counting those that are
//! open is not enough: how fast they are begun has a bound as well.

use crate::sysctl;

/// Seconds for which the host remembers a connection that has ended.
const REMEMBERED: u32 = 120;
/// Containers that are expected to use the network at the same time.
const EXPECTED: u32 = 16;

/// What an integrator decides about connections; what is left out follows from the host's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Connections that one container has begun, for each family of addresses.
    pub most: Option<u32>,
    /// Connections that one container begins in a second, on average.
    pub rate: Option<u32>,
    /// Connections that one container begins at once.
    pub burst: Option<u32>,
}

/// Bounds for one container and one family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    /// Connections at the same time.
    pub(crate) most: u32,
    /// Connections begun in a second, on average.
    pub(crate) rate: u32,
    /// Connections begun at once.
    pub(crate) burst: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            most: 4096,
            rate: 40,
            burst: 2048,
        }
    }
}

impl ConnectionLimits {
    /// What `settings` say, for a host whose table has room for `table` connections.
    pub(crate) fn new(settings: &ConnectionSettings, table: Option<u32>) -> Self {
        let default = Self::default();
        // The rest of the table is for the host itself.
        let share = table.map_or(u32::MAX, |table| table / 2 / EXPECTED);
        let most = settings.most.unwrap_or(default.most.min(share / 2).max(64));
        Self {
            most,
            rate: settings
                .rate
                .unwrap_or(default.rate.min(share / 2 / REMEMBERED).max(5)),
            burst: settings
                .burst
                .unwrap_or(default.burst.min(share / 4).max(64)),
        }
    }

    /// The most entries of the host's table that one container can hold.
    pub(crate) fn entries(&self) -> u64 {
        u64::from(self.most) + u64::from(self.burst) + u64::from(self.rate) * u64::from(REMEMBERED)
    }
}

/// How many connections the host's table has room for (nf_conntrack-sysctl in the kernel's
/// documentation); `None` while connections are not tracked.
pub(crate) fn table_size() -> Option<u32> {
    sysctl::read("net/netfilter/nf_conntrack_max")
        .ok()?
        .parse()
        .ok()
}

/// Warns when `containers` of them can fill the host's table, if an integrator has set a bound.
pub fn warn_if_too_many(settings: &ConnectionSettings, containers: u32) {
    let Some(table) = table_size() else { return };
    let limits = ConnectionLimits::new(settings, Some(table));
    let all = limits.entries() * u64::from(containers);
    if *settings != ConnectionSettings::default() && all > u64::from(table) {
        log::warn!(
            "containers can fill the host's table of connections: {containers} (max-containers) times \
             {} (max-connections, connection-burst and {REMEMBERED} s of connection-rate) is {all}, \
             more than the {table} of net.netfilter.nf_conntrack_max",
            limits.entries()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_containers_leave_room_in_the_hosts_table() {
        for table in [65_536, 262_144, 1_048_576] {
            let limits = ConnectionLimits::new(&ConnectionSettings::default(), Some(table));
            let all = 16 * limits.entries();
            assert!(all <= u64::from(table) * 7 / 10, "{table}: {limits:?}");
        }
    }

    #[test]
    fn what_is_set_counts() {
        let settings = ConnectionSettings {
            most: Some(10),
            rate: Some(7),
            burst: Some(3),
        };
        let limits = ConnectionLimits::new(&settings, Some(262_144));
        assert_eq!((limits.most, limits.rate, limits.burst), (10, 7, 3));
    }
}
