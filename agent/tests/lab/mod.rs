//! A real agent on a host of its own: a network namespace that is connected to another one, the
//! outside.

#![allow(dead_code)] // Each test binary uses its part.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{os::fd::AsRawFd as _, sync::Arc};

use serde_json::{Value, json};

use crate::{
    netns::Namespace,
    support::{Setup, TestAgent},
};

pub const OUTSIDE: &str = "198.51.100.2";
pub const OUTSIDE6: &str = "2001:db8::2";
pub const HOST: &str = "198.51.100.1";
pub const HOST6: &str = "2001:db8::1";
pub const BRIDGE6: &str = "fd00:9:3::1";

pub struct Lab {
    // Before the namespaces, so that the agent has ended when they go.
    pub agent: TestAgent,
    pub host: Namespace,
    pub outside: Namespace,
}

/// A manifest with one capability for each pair of a name and its gateways, which are pairs of ID
/// and configuration.
pub fn manifest(capabilities: &[(&str, &[(&str, Value)])]) -> String {
    let capabilities: Vec<Value> = capabilities
        .iter()
        .map(|(name, gateways)| {
            let gateways: Vec<Value> = gateways
                .iter()
                .map(|(id, config)| json!({"id": id, "config": config}))
                .collect();
            json!({"name": name, "gateways": gateways})
        })
        .collect();
    json!({"version": "1", "capabilities": capabilities}).to_string()
}

impl Lab {
    /// With these capabilities of the network gateway, by name.
    pub fn with_network(capabilities: &[(&str, Value)]) -> Self {
        let gateways: Vec<_> = capabilities
            .iter()
            .map(|(name, config)| (*name, [("network", config.clone())]))
            .collect();
        let list: Vec<_> = gateways
            .iter()
            .map(|(name, gateways)| (*name, gateways.as_slice()))
            .collect();
        Self::with(Setup::manifest(&manifest(&list)))
    }

    pub fn with(mut setup: Setup) -> Self {
        let (host, outside) = (Namespace::new(), Namespace::new());
        host.connect(
            "wan0",
            &["198.51.100.1/24", "2001:db8::1/64"],
            &outside,
            "eth0",
            &["198.51.100.2/24", "2001:db8::2/64"],
        );
        let fd = host.fd().as_raw_fd();
        let earlier = setup.before.take();
        setup.before = Some(Arc::new(move || {
            // SAFETY: setns(2) takes two numbers; the descriptor is open, because the namespace
            // outlives the agent.
            if unsafe { libc::setns(fd, libc::CLONE_NEWNET) } != 0 {
                return Err(std::io::Error::last_os_error());
            }
            earlier.as_ref().map_or(Ok(()), |earlier| earlier())
        }));
        setup
            .config
            .push_str(&format!("bridge-ip6 = {BRIDGE6}/64\n"));
        let agent = TestAgent::with(&setup);
        Self {
            agent,
            host,
            outside,
        }
    }

    /// A container with these capabilities.
    pub fn container(&self, capabilities: &[&str]) -> i32 {
        let id = self.agent.create();
        self.agent
            .client()
            .set_capabilities(id, capabilities)
            .unwrap();
        id
    }

    /// The bridge's address.
    pub fn bridge_ip(&self) -> String {
        format!("10.{}.{}.1", self.agent.network.0, self.agent.network.1)
    }

    /// The address of a container.
    pub fn address(&self, id: i32) -> String {
        format!(
            "10.{}.{}.{}",
            self.agent.network.0,
            self.agent.network.1,
            id + 2
        )
    }

    /// The IPv6 address of a container.
    pub fn address6(&self, id: i32) -> String {
        format!("fd00:9:3::{:x}", id + 2)
    }

    /// Lets the outside reach the containers' networks by way of the host.
    pub fn route_to_containers(&self) {
        let (second, third) = self.agent.network;
        self.outside
            .ip(&format!("route add 10.{second}.{third}.0/24 via {HOST}"));
        self.outside
            .ip(&format!("route add fd00:9:3::/64 via {HOST6}"));
    }

    /// The network namespace of a container, where only the host's root can do everything.
    pub fn inside(&self, id: i32) -> Namespace {
        Namespace::of_process(self.agent.init_pid(id))
    }

    /// Whether a command in the container succeeds.
    pub fn succeeds(&self, id: i32, command: &str) -> bool {
        self.agent.shell(id, command).0 == 0
    }

    /// Whether the container reaches a TCP port.
    pub fn reaches(&self, id: i32, address: &str, port: u16) -> bool {
        self.succeeds(id, &format!("/usr/bin/nc.openbsd -z -w 1 {address} {port}"))
    }

    /// Whether the container gets an answer to a ping.
    pub fn pings(&self, id: i32, address: &str) -> bool {
        self.succeeds(id, &format!("/usr/bin/ping -c 1 -W 1 {address}"))
    }

    /// Starts a server in the container that says `hello` to each client of a TCP port.
    pub fn serve_hello(&self, id: i32, port: u16) {
        let command = format!("/bin/busybox nc -ll -p {port} -e /bin/echo hello");
        self.agent
            .client()
            .execute(id, &command, "", "", &[])
            .unwrap();
        let inside = self.inside(id);
        crate::support::wait_until("the server listens", || {
            inside.shell("ss -ltn").contains(&format!(":{port} "))
        });
    }

    /// All that the network of a host consists of: interfaces, addresses, routes, rules, without
    /// counters and numbers.
    pub fn host_state(&self) -> String {
        network_state(&self.host)
    }
}

/// Interfaces, addresses, routes and rules of a namespace, without counters and numbers.
pub fn network_state(namespace: &Namespace) -> String {
    // Those in tables of ours, and what others' tables say of ours.
    let rules = |family| {
        let listed = namespace.shell(&format!("nft --stateless list ruleset {family}"));
        let (own, others): (Vec<&str>, Vec<&str>) = listed
            .split_inclusive("\n}\n")
            .partition(|table| table.contains(" softwarecontainer"));
        let doubled = others.concat().matches("jump SC-").count() > 2;
        assert!(!doubled, "{listed}");
        own.concat()
    };
    let addresses: Vec<String> = namespace
        .ip("-br address")
        .lines()
        // Name and addresses: the state in between follows a little later.
        .map(|line| {
            line.split_whitespace()
                .enumerate()
                .filter(|(n, word)| *n != 1 && !word.starts_with("fe80:"))
                .map(|(_, word)| word)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .filter(|line| !line.is_empty())
        .collect();
    [
        addresses.join("\n"),
        namespace.ip("route").replace(" linkdown", ""),
        namespace.shell("sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding"),
        rules("ip"),
        rules("ip6"),
    ]
    .join("\n")
}
