//! What a port of the bridge is to a container.

use crate::rate_limits::RateLimits;

/// Longest name of a network interface, in bytes.
const LONGEST_NAME: usize = 15;

/// What a container may do on the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Nothing: the network gateway is not active.
    Closed,
    /// Send frames with its own addresses.
    Open {
        /// The bridge keeps it apart from other isolated containers.
        isolated: bool,
        /// How fast it is.
        rates: RateLimits,
    },
}

impl Port {
    /// How fast the container is.
    pub(crate) fn rates(self) -> RateLimits {
        match self {
            Self::Closed => RateLimits::default(),
            Self::Open { rates, .. } => rates,
        }
    }
}

/// What traffic control does at the port of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    /// Frames with false addresses are dropped.
    pub(crate) filtered: bool,
    pub(crate) rates: RateLimits,
}

/// Name of the host's end of the veth pair of container `id`. It tells the container first: that
/// part is never cut.
pub(crate) fn veth_name(id: i32, device: &str) -> String {
    cut(format!("sc{id}-{device}"))
}

/// Name of the interface by which what container `id` sends goes round, if it is shaped.
pub(crate) fn detour_name(id: i32, device: &str) -> String {
    cut(format!("sc{id}r-{device}"))
}

/// Whether an interface is the way round of the container whose host's end is `veth`.
pub(crate) fn is_detour_of(detour: &str, veth: &str) -> bool {
    let id = |name: &str, end: &str| Some(name.split_once(end)?.0.to_owned());
    is_veth_name(veth) && id(detour, "r-").is_some_and(|of| id(veth, "-") == Some(of))
}

/// Whether an interface could be a container's way round.
pub(crate) fn is_detour_name(name: &str) -> bool {
    let begin = name.split_once('-').map(|(begin, _)| begin);
    is_veth_name(name) && begin.is_some_and(|begin| begin.ends_with('r'))
}

fn cut(mut name: String) -> String {
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

/// Whether an interface of a container could have that name.
pub(crate) fn is_veth_name(name: &str) -> bool {
    let id = name.strip_prefix("sc").unwrap_or_default();
    id.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_on_the_host_tells_the_container_and_fits() {
        assert_eq!(veth_name(0, "lxcbr0"), "sc0-lxcbr0");
        assert_eq!(veth_name(12345, "a-long-bridge-0"), "sc12345-a-long-");
        assert_eq!(veth_name(i32::MAX, "lxcbr0"), "sc2147483647-lx");
        assert_eq!(veth_name(123, "brücke-des-auto"), "sc123-brücke-d");
    }

    #[test]
    fn a_way_round_is_known_by_the_container_of_its_name() {
        let detour = detour_name(3, "lxcbr0");
        assert_eq!(detour, "sc3r-lxcbr0");
        assert!(is_veth_name(&detour));
        assert!(is_detour_of(&detour, &veth_name(3, "lxcbr0")));
        for other in [veth_name(33, "lxcbr0"), detour.clone(), "sc".to_owned()] {
            assert!(!is_detour_of(&detour, &other), "{other}");
        }
        let (detour, veth) = (
            detour_name(i32::MAX, "lxcbr0"),
            veth_name(i32::MAX, "lxcbr0"),
        );
        assert_ne!(detour, veth);
        assert!(is_detour_of(&detour, &veth));
    }

    #[test]
    fn a_containers_interface_is_known_by_its_name() {
        assert!(is_veth_name(&veth_name(0, "lxcbr0")));
        assert!(is_veth_name(&veth_name(i32::MAX, "lxcbr0")));
        for other in ["lxcbr0", "scbr0", "sc", "wlan0"] {
            assert!(!is_veth_name(other), "{other}");
        }
    }
}
