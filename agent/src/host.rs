//! The thin layer that touches the kernel: mounts, netlink, firewall, cgroups, namespaces.

pub mod addresses;
pub mod allowed_path;
pub mod apparmor;
pub mod bridge;
pub mod cgroup;
pub mod container_path;
pub mod frame_filter;
pub mod iptables;
pub mod kernel;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod netns;
pub mod network;
pub mod nftables;
pub mod output_file;
pub mod own_directory;
pub mod process_limits;
pub mod seccomp;
pub mod socket_access;
pub mod sys;
pub mod sysctl;
pub mod user_namespace;
pub mod wait;
pub mod walk;
