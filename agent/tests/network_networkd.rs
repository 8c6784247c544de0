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
    let names = [
        "softwarecontainer-bridge.netdev",
        "softwarecontainer-bridge.network",
    ];
    let texts = names.map(|name| {
        let text = fs::read_to_string(format!("{FILES}/{name}")).unwrap();
        // As the files' comments tell for another name, another network, and IPv6.
        text.replace("=lxcbr0", &format!("={}", lab.agent.bridge))
            .replace("=10.0.3.1/", &format!("={}/", lab.bridge_ip()))
            .replace("#Address=fd00:3::1/64", &format!("Address={BRIDGE6}/64"))
            .replace("IPMasquerade=ipv4", "IPMasquerade=both")
    });
    let files: Vec<(&str, &str)> = names
        .into_iter()
        .zip(texts.iter().map(String::as_str))
        .collect();
    let _networkd = networkd(&lab, &files);
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

/// Starts a systemd-networkd of the lab's host with these files.
fn networkd(lab: &Lab, files: &[(&str, &str)]) -> netns::Server {
    let directory = lab.agent.path("networkd");
    fs::create_dir(&directory).unwrap();
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
    let directory = directory.to_str().unwrap();
    lab.host
        .serve("unshare", &["-m", "sh", "-c", START, directory])
}

/// What distributions ship for every wired interface.
const EVERY_WIRE: &str = "[Match]\nType=ether\n[Network]\nDHCP=yes\n";

#[test]
fn a_systemd_networkd_that_manages_every_wire_leaves_containers_alone() {
    let rules = json!([{"direction": "OUTGOING", "allow": [{"host": "*", "ports": 80}]}]);
    let web = lab::manifest(&[("web", &[("network", rules)])]);
    let lab = Lab::with(Setup::manifest(&web));
    let _server = Echo::start(&lab.outside, 80);
    let before = lab.container(&["web"]);
    // Somebody else's port of a bridge shows what happens to ours without the file.
    lab.host.ip("link add other0 type bridge");
    lab.host.ip("link add other1 type veth peer name other2");
    lab.host.ip("link set other1 master other0");
    let file = "softwarecontainer-containers.network";
    let ours = fs::read_to_string(format!("{FILES}/{file}")).unwrap();
    let _networkd = networkd(
        &lab,
        &[
            ("80-wired.network", EVERY_WIRE),
            (&format!("10-{file}"), &ours),
        ],
    );
    wait_until("networkd has taken the other one", || {
        !lab.host.ip("link show other1").contains("master other0")
    });
    let after = lab.container(&["web"]);
    lab.host.ip("link set other1 master other0");
    wait_until("it is at rest", || {
        lab.host.ip("-br link show other1").contains("UP")
    });
    for id in [before, after] {
        assert!(lab.reaches(id, OUTSIDE, 80), "{id}");
    }
    let log = lab.agent.log();
    assert!(!log.contains("was not connected"), "{log}");
}
