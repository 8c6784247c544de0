//! The thin layer that touches the kernel: mounts, netlink, firewall, cgroups, namespaces.

pub mod addresses;
pub mod bridge;
pub mod cgroup;
pub mod frame_filter;
pub mod iptables;
pub mod netlink;
pub mod netns;
pub mod network;
pub mod sysctl;
