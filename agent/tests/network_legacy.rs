//! The firewall with the legacy variant of iptables, as older head units have it.

#![cfg(feature = "gateway-network")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod support;

use std::{fs, os::unix::fs::symlink, path::Path};

use lab::{Lab, OUTSIDE, OUTSIDE6};
use netns::probe::Echo;
use serde_json::json;
use support::{Setup, mounted_for_the_agent};
use tempfile::TempDir;

/// What the names of all programs lead to, and what takes its place for the agent.
const NFT: &str = "/usr/sbin/xtables-nft-multi";
const LEGACY: &str = "/usr/sbin/xtables-legacy-multi";

/// Where Debian says which variant a program's name means.
const ALTERNATIVES: &str = "/etc/alternatives";

/// Others load their firewall after the agent's start, as the only ones who use that variant.
#[test]
fn that_the_legacy_variant_comes_into_use_is_told() {
    let allow = json!([{"host": "*", "ports": 80, "protocols": "tcp"}]);
    let rules = json!([{"direction": "OUTGOING", "allow": allow}]);
    let links = TempDir::with_prefix("sc-test-alternatives-").unwrap();
    for link in fs::read_dir(ALTERNATIVES).unwrap() {
        let link = link.unwrap().path();
        // One is a README.
        let Ok(target) = fs::read_link(&link) else {
            continue;
        };
        let target = target
            .to_str()
            .unwrap()
            .replace("tables-nft", "tables-legacy");
        symlink(target, links.path().join(link.file_name().unwrap())).unwrap();
    }
    let legacy = mounted_for_the_agent(links.path(), Path::new(ALTERNATIVES));
    let lab = Lab::with(Setup {
        before: Some(legacy),
        ..Setup::manifest(&lab::manifest(&[("web", &[("network", rules)])]))
    });
    let _server = Echo::start(&lab.outside, 80);
    let told = || lab.agent.log().matches("the legacy variant of").count();
    let id = lab.container(&["web"]);
    assert!(lab.reaches(id, OUTSIDE, 80));
    assert_eq!(told(), 0);
    let rules = lab.inside(id).shell("nft list tables");
    assert!(rules.contains("ip softwarecontainer\n"), "{rules}");
    lab.host.shell("iptables-legacy -A INPUT -j ACCEPT");
    for _ in 0..2 {
        let other = lab.container(&["web"]);
        assert!(lab.reaches(other, OUTSIDE, 80));
    }
    assert_eq!(told(), 1);
}

#[test]
fn rules_count_and_add_up_with_the_legacy_variant_of_iptables() {
    let capability = |name, port: u16| {
        let allow = json!([{"host": "*", "ports": port, "protocols": "tcp"}]);
        let config = json!([{"direction": "OUTGOING", "allow": allow}]);
        json!({"name": name, "gateways": [{"id": "network", "config": config}]})
    };
    let capabilities = [capability("web", 80), capability("mail", 25)];
    let manifest = json!({"version": "1", "capabilities": capabilities});
    let lab = Lab::with(Setup {
        before: Some(mounted_for_the_agent(Path::new(LEGACY), Path::new(NFT))),
        config: "firewall = iptables\n".to_owned(),
        ..Setup::manifest(&manifest.to_string())
    });
    let _servers = [80, 25, 22].map(|port| Echo::start(&lab.outside, port));
    let reached =
        |id| [OUTSIDE, OUTSIDE6].map(|to| [80, 25, 22].map(|port| lab.reaches(id, to, port)));
    let id = lab.container(&["web"]);
    assert_eq!(reached(id), [[true, false, false]; 2]);
    lab.agent.client().set_capabilities(id, &["mail"]).unwrap();
    assert_eq!(reached(id), [[true, true, false]; 2]);
    for program in ["iptables-legacy", "ip6tables-legacy"] {
        let rules = lab.inside(id).shell(&format!("{program} -S OUTPUT"));
        assert!(rules.starts_with("-P OUTPUT DROP"), "{rules}");
        let world = lab.inside(id).shell(&format!("{program} -S SC-WORLD"));
        assert_eq!(world.matches("--dport").count(), 2, "{world}");
    }
    let nft = lab.inside(id).shell("iptables-nft-save");
    assert!(!nft.contains("-A "), "{nft}");
    lab.agent.client().destroy(id).unwrap();
    let nat = lab.host.shell("iptables-legacy -t nat -S");
    assert!(nat.contains("MASQUERADE"), "{nat}");
}
