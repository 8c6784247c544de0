//! What has gone through a network interface.

use std::fs;

/// The interfaces of the agent's network namespace (proc_pid_net(5)); sysfs may show those of
/// another one.
const INTERFACES: &str = "/proc/thread-self/net/dev";

/// What has gone through a network interface since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that have come in.
    pub received: u64,
    /// Packets that have come in.
    pub packets_received: u64,
    /// Bytes that have gone out.
    pub sent: u64,
    /// Packets that have gone out.
    pub packets_sent: u64,
}

impl Traffic {
    /// That of an interface; `None` if there is none of that name.
    pub fn of(interface: &str) -> Option<Self> {
        parse(&fs::read_to_string(INTERFACES).ok()?, interface)
    }

    /// The same, as seen from the other end of a veth pair.
    #[must_use]
    pub fn from_the_other_end(self) -> Self {
        Self {
            received: self.sent,
            packets_received: self.packets_sent,
            sent: self.received,
            packets_sent: self.packets_received,
        }
    }
}

fn parse(text: &str, interface: &str) -> Option<Traffic> {
    let counters = text.lines().find_map(|line| {
        let (name, counters) = line.split_once(':')?;
        (name.trim() == interface).then_some(counters)
    })?;
    let counters: Vec<u64> = counters
        .split_whitespace()
        .map_while(|counter| counter.parse().ok())
        .collect();
    Some(Traffic {
        received: *counters.first()?,
        packets_received: *counters.get(1)?,
        sent: *counters.get(8)?,
        packets_sent: *counters.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_one_interface_are_found() {
        let text = "Inter-|   Receive                         |  Transmit\n \
                    face |bytes    packets errs drop fifo frame compressed multicast|bytes ...\n    \
                    lo:       1       2    0    0    0     0          0         0        3       4    0    0    0     0       0          0\n\
                    veth12: 10 20 0 0 0 0 0 0 30 40 0 0 0 0 0 0\n";
        let traffic = parse(text, "veth12").unwrap();
        assert_eq!((traffic.received, traffic.packets_received), (10, 20));
        assert_eq!((traffic.sent, traffic.packets_sent), (30, 40));
        assert_eq!(traffic.from_the_other_end().received, 30);
        assert_eq!(parse(text, "lo").unwrap().packets_sent, 4);
        assert_eq!(parse(text, "veth1"), None);
        assert_eq!(parse("veth1: 1 2 x", "veth1"), None);
    }

    #[test]
    fn every_host_has_a_loopback() {
        assert!(Traffic::of("lo").is_some());
    }
}
