//! The thin layer that touches the kernel: mounts, netlink, firewall, cgroups, namespaces.
