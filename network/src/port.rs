//! What a port of the bridge is to a container.

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
    },
}

/// Name of the host's end of the veth pair of container `id`. It tells the container first: that
/// part is never cut.
pub(crate) fn veth_name(id: i32, device: &str) -> String {
    let mut name = format!("sc{id}-{device}");
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

/// Whether a container's interface could have that name.
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
    fn a_containers_interface_is_known_by_its_name() {
        assert!(is_veth_name(&veth_name(0, "lxcbr0")));
        assert!(is_veth_name(&veth_name(i32::MAX, "lxcbr0")));
        for other in ["lxcbr0", "scbr0", "sc", "wlan0"] {
            assert!(!is_veth_name(other), "{other}");
        }
    }
}
