//! The firewall with the legacy variant of iptables, as older head units have it.

#![cfg(feature = "gateway-network")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod support;

use std::path::Path;

use lab::{Lab, OUTSIDE, OUTSIDE6};
use netns::probe::Echo;
use serde_json::json;
use support::{Setup, mounted_for_the_agent};

/// What the names of all programs lead to, and what takes its place for the agent.
const NFT: &str = "/usr/sbin/xtables-nft-multi";
const LEGACY: &str = "/usr/sbin/xtables-legacy-multi";

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
