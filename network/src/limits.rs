//! How many connections containers may begin.
//!
//! Each of them is in the host's table of connections, too, which would be full for all. A TCP
//! connection stays there for two minutes after its end (TIME_WAIT), so counting those that are
//! open is not enough: how fast they are begun has a bound as well.

use crate::sysctl;

/// Seconds for which the host remembers a connection that has ended.
const REMEMBERED: u32 = 120;
/// Containers of many that are expected to use the network at the same time.
const EXPECTED: u32 = 16;

/// What an integrator decides about connections; what is left out follows from the host's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Containers that there are at most.
    pub containers: u32,
    /// Connections that one container has begun, for each family of addresses.
    pub most: Option<u32>,
    /// Connections that one container begins in a second, on average.
    pub rate: Option<u32>,
    /// Connections that one container begins at once.
    pub burst: Option<u32>,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            containers: 256,
            most: None,
            rate: None,
            burst: None,
        }
    }
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
        let containers = settings.containers.clamp(1, EXPECTED);
        let share = table.map_or(u32::MAX, |table| table / 2 / containers);
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

/// Warns when containers can fill the host's table, if an integrator has set a bound.
pub fn warn_if_too_many(settings: &ConnectionSettings) {
    if let Some(warning) = too_many(settings, table_size()) {
        log::warn!("{warning}");
    }
}

fn too_many(settings: &ConnectionSettings, table: Option<u32>) -> Option<String> {
    let table = table?;
    let limits = ConnectionLimits::new(settings, Some(table));
    let containers = settings.containers;
    let all = limits.entries() * u64::from(containers);
    let is_set = settings.most.or(settings.rate).or(settings.burst).is_some();
    (is_set && all > u64::from(table)).then(|| {
        format!(
            "containers can fill the host's table of connections: {containers} (max-containers) \
             times {} (max-connections, connection-burst and {REMEMBERED} s of connection-rate) is \
             {all}, more than the {table} of net.netfilter.nf_conntrack_max",
            limits.entries()
        )
    })
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
            ..ConnectionSettings::default()
        };
        let limits = ConnectionLimits::new(&settings, Some(262_144));
        assert_eq!((limits.most, limits.rate, limits.burst), (10, 7, 3));
    }

    #[test]
    fn few_containers_have_more_each() {
        let of = |containers| {
            let settings = ConnectionSettings {
                containers,
                ..ConnectionSettings::default()
            };
            ConnectionLimits::new(&settings, Some(65_536))
        };
        assert!(of(4).most > of(16).most && of(4).rate > of(16).rate);
        assert_eq!(of(16), of(256));
        for containers in [1, 4, 16] {
            let all = u64::from(containers) * of(containers).entries();
            assert!(all <= 65_536 * 7 / 10, "{containers}: {all}");
        }
    }

    #[test]
    fn bounds_that_let_containers_fill_the_hosts_table_are_warned_of() {
        let settings = |containers| ConnectionSettings {
            containers,
            most: Some(4096),
            ..ConnectionSettings::default()
        };
        let warning = too_many(&settings(100), Some(65_536)).unwrap();
        assert!(warning.contains("100 (max-containers)"), "{warning}");
        assert!(warning.contains("65536"), "{warning}");
        assert_eq!(too_many(&settings(4), Some(65_536)), None);
        assert_eq!(too_many(&ConnectionSettings::default(), Some(65_536)), None);
        assert_eq!(too_many(&settings(100), None), None);
    }
}
