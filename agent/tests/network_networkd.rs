//! The bridge that systemd-networkd makes of our files, for an agent that makes none.

#![cfg(feature = "gateway-network")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod support;

use std::fs;

use lab::{BRIDGE6, HOST, HOST6, Lab, OUTSIDE, OUTSIDE6};
use netns::probe::Echo;
use serde_json::json;
use support::{Setup, wait_until};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd");

/// Starts systemd-networkd with the configuration in `$0` and nothing else of the host's: neither
/// its files, nor its udev.
const START: &str = "set -e
mount --make-rprivate /
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs none /run
mount -t tmpfs none /etc/systemd/network
mkdir -p /run/systemd/network
cp \"$0\"/* /run/systemd/network/
exec /lib/systemd/systemd-networkd";

#[test]
fn containers_use_the_bridge_that_systemd_networkd_makes() {
    let rules = json!([{"direction": "OUTGOING", "allow": [{"host": "*", "ports": 80}]}]);
    let setup = Setup::manifest(&lab::manifest(&[("web", &[("network", rules)])]));
    let lab = Lab::with(Setup {
        config: "create-bridge = false\n".to_owned(),
        ..setup
    });
    let files = lab.agent.path("networkd");
    fs::create_dir(&files).unwrap();
    for name in [
        "softwarecontainer-bridge.netdev",
        "softwarecontainer-bridge.network",
    ] {
        let text = fs::read_to_string(format!("{FILES}/{name}")).unwrap();
        // As the files' comments tell for another name, another network, and IPv6.
        let text = text
            .replace("=lxcbr0", &format!("={}", lab.agent.bridge))
            .replace("=10.0.3.1/", &format!("={}/", lab.bridge_ip()))
            .replace("#Address=fd00:3::1/64", &format!("Address={BRIDGE6}/64"))
            .replace("IPMasquerade=ipv4", "IPMasquerade=both");
        fs::write(files.join(name), text).unwrap();
    }
    let files = files.to_str().unwrap();
    let _networkd = lab.host.serve("unshare", &["-m", "sh", "-c", START, files]);
    wait_until("the bridge has its addresses and forwarding", || {
        let addresses = lab
            .host
            .try_run(&format!("ip address show {}", lab.agent.bridge));
        let addresses = String::from_utf8_lossy(&addresses.stdout).into_owned();
        let forwarding = lab
            .host
            .shell("sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding");
        addresses.contains(&lab.bridge_ip())
            && addresses.contains(BRIDGE6)
            && forwarding == "1\n1\n"
    });
    let _servers = [80, 8080].map(|port| Echo::start(&lab.outside, port));
    let id = lab.container(&["web"]);
    for (to, host) in [(OUTSIDE, HOST), (OUTSIDE6, HOST6)] {
        // Masquerading comes a moment after the addresses.
        wait_until("the outside sees the host's address", || {
            let seen = lab
                .agent
                .shell(id, &format!("/usr/bin/nc.openbsd -w 2 -d {to} 80"));
            seen.1.trim_end() == host
        });
        assert!(!lab.reaches(id, to, 8080), "{to}");
    }
}
