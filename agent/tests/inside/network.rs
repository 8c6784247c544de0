//! What is told of a container's network.

use serde_json::json;
use zbus::OwnedVariant;

use crate::{
    CONTAINER, Properties,
    lab::{Lab, OUTSIDE, OUTSIDE6},
    netns::probe::Echo,
    path,
};

/// Of a rule its family, chain, text, packets and bytes.
type Rule = (String, String, String, u64, u64);

fn rules(lab: &Lab, id: i32) -> Option<Vec<Rule>> {
    let client = lab.agent.client();
    let reply = client.call_on(&path(id), CONTAINER, "GetStatistics", &());
    let mut statistics: Properties = reply.unwrap().body().deserialize().unwrap();
    let told: Option<OwnedVariant> = statistics.remove("network-rules");
    told.map(|rules| rules.try_into().unwrap())
}

/// Packets that rules of a family with such a text have counted.
fn counted(rules: &[Rule], family: &str, text: &str) -> u64 {
    let all = rules.iter().filter(|it| it.0 == family && it.2 == text);
    all.map(|it| it.3).sum()
}

#[test]
fn what_each_rule_lets_pass_and_what_is_refused_is_counted() {
    let allow = json!([
        {"host": OUTSIDE, "ports": 80, "protocols": "tcp"},
        {"host": OUTSIDE6, "ports": 80, "protocols": "tcp"},
    ]);
    let lab = Lab::with_network(&[("web", json!([{"direction": "OUTGOING", "allow": allow}]))]);
    let _servers = [80, 8080].map(|port| Echo::start(&lab.outside, port));
    let id = lab.container(&["web"]);
    let before = rules(&lab, id).unwrap();
    for (family, address, prefix) in [("ipv4", OUTSIDE, 32), ("ipv6", OUTSIDE6, 128)] {
        let text = format!("OUTGOING {address}/{prefix} tcp 80");
        let refused = |rules: &[Rule]| counted(rules, family, "not allowed");
        assert_eq!(counted(&before, family, &text), 0);
        for _ in 0..3 {
            assert!(lab.reaches(id, address, 80));
        }
        assert!(!lab.reaches(id, address, 8080));
        let after = rules(&lab, id).unwrap();
        // The first packet of each connection; what follows is an answer or belongs to one.
        assert_eq!(counted(&after, family, &text), 3, "{after:#?}");
        assert!(refused(&after) > refused(&before), "{after:#?}");
        let bytes = after.iter().find(|it| it.2 == text).map(|it| it.4);
        assert!(bytes.is_some_and(|bytes| bytes >= 3 * 40), "{after:#?}");
    }
}
