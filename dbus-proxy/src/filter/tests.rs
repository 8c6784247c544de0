use super::*;
use crate::{
    rule::{BusRule, Pattern},
    wire::{self, Endian, NewMessage, Parsed},
};

/// A message in the making.
struct Draft<'a> {
    kind: u8,
    flags: u8,
    serial: u32,
    names: Vec<(u8, u8, &'a str)>,
    reply_serial: Option<u32>,
    text: Option<&'a str>,
}

fn draft(kind: u8, serial: u32) -> Draft<'static> {
    Draft {
        kind,
        flags: 0,
        serial,
        names: Vec::new(),
        reply_serial: None,
        text: None,
    }
}

fn call(serial: u32, destination: &'static str, member: &'static str) -> Draft<'static> {
    let names = vec![
        (1, b'o', "/a"),
        (2, b's', "org.a.B"),
        (3, b's', member),
        (6, b's', destination),
    ];
    Draft {
        names,
        ..draft(1, serial)
    }
}

fn reply(kind: u8, reply_serial: u32, peer: (u8, &'static str)) -> Draft<'static> {
    let mut names = vec![(peer.0, b's', peer.1)];
    if kind == 3 {
        names.push((4, b's', "org.a.Error"));
    }
    Draft {
        names,
        reply_serial: Some(reply_serial),
        ..draft(kind, 99)
    }
}

const TO: u8 = 6;
const FROM: u8 = 7;

fn allow(direction: Option<BusDirection>, member: &str) -> RuleSet {
    [BusRule {
        direction,
        interface: Pattern::new("org.a.*"),
        path: Pattern::new("*"),
        member: Pattern::new(member),
    }]
    .into_iter()
    .collect()
}

struct Bench {
    filter: Filter,
    rules: RuleSet,
}

impl Bench {
    fn new(rules: RuleSet) -> Self {
        Self {
            filter: Filter::new(limits::PENDING_CALLS),
            rules,
        }
    }

    fn judge(&mut self, direction: BusDirection, draft: &Draft<'_>) -> Verdict {
        let bytes = NewMessage {
            kind: draft.kind,
            flags: draft.flags,
            serial: draft.serial,
            names: &draft.names,
            reply_serial: draft.reply_serial,
            unix_fds: None,
            text: draft.text,
        }
        .bytes(Endian::Big);
        let Parsed::Header(header) = wire::parse(&bytes).unwrap() else {
            panic!("too short")
        };
        let body = if self.filter.needs_body(direction, &header) {
            &bytes[header.length..]
        } else {
            &[]
        };
        match direction {
            BusDirection::Outgoing => self.filter.outgoing(&self.rules, &header, body),
            BusDirection::Incoming => self.filter.incoming(&self.rules, &header, body),
        }
    }

    fn out(&mut self, draft: &Draft<'_>) -> Verdict {
        self.judge(BusDirection::Outgoing, draft)
    }

    fn inn(&mut self, draft: &Draft<'_>) -> Verdict {
        self.judge(BusDirection::Incoming, draft)
    }
}

const NO_RULE: Verdict = Verdict::Refuse(Refusal::NoRule);
const DRIVER_REFUSES: Verdict = Verdict::Refuse(Refusal::Driver);

#[test]
fn a_reply_passes_once_and_only_for_a_call_that_passed() {
    let mut bench = Bench::new(allow(Some(BusDirection::Outgoing), "Get"));
    assert_eq!(bench.out(&call(1, "org.x.Y", "Get")), Verdict::Pass);
    assert_eq!(bench.out(&call(2, "org.x.Y", "Set")), NO_RULE);
    assert_eq!(bench.inn(&reply(2, 2, (FROM, ":1.5"))), Verdict::Drop);
    assert_eq!(bench.inn(&reply(2, 3, (FROM, ":1.5"))), Verdict::Drop);
    assert_eq!(bench.inn(&reply(2, 1, (FROM, ":1.5"))), Verdict::Pass);
    assert_eq!(bench.inn(&reply(2, 1, (FROM, ":1.5"))), Verdict::Drop);
}

#[test]
fn a_call_to_a_connection_is_answered_by_it_or_by_the_bus() {
    let mut bench = Bench::new(allow(None, "*"));
    for serial in 1..4 {
        assert_eq!(bench.out(&call(serial, ":1.5", "Get")), Verdict::Pass);
    }
    assert_eq!(bench.inn(&reply(2, 1, (FROM, ":1.6"))), Verdict::Drop);
    assert_eq!(bench.inn(&reply(2, 1, (FROM, ":1.5"))), Verdict::Pass);
    assert_eq!(bench.inn(&reply(3, 2, (FROM, DRIVER))), Verdict::Pass);
    assert_eq!(bench.out(&call(9, DRIVER, "GetId")), Verdict::Pass);
    assert_eq!(bench.inn(&reply(2, 9, (FROM, ":1.5"))), Verdict::Drop);
    assert_eq!(bench.inn(&reply(2, 9, (FROM, DRIVER))), Verdict::Pass);
}

#[test]
fn a_call_without_reply_waits_for_none_and_is_refused_without_one() {
    let mut bench = Bench::new(allow(None, "Get"));
    let silent = |member| Draft {
        flags: 1,
        ..call(1, ":1.5", member)
    };
    assert_eq!(bench.out(&silent("Get")), Verdict::Pass);
    assert_eq!(bench.inn(&reply(2, 1, (FROM, ":1.5"))), Verdict::Drop);
    assert_eq!(bench.out(&silent("Set")), Verdict::Drop);
}

#[test]
fn a_serial_in_use_cannot_be_used_again() {
    let mut bench = Bench::new(allow(None, "*"));
    assert_eq!(bench.out(&call(1, ":1.5", "Get")), Verdict::Pass);
    assert_eq!(
        bench.out(&call(1, ":1.5", "Get")),
        Verdict::Refuse(Refusal::SerialInUse)
    );
    assert_eq!(bench.inn(&reply(2, 1, (FROM, ":1.5"))), Verdict::Pass);
    assert_eq!(bench.out(&call(1, ":1.5", "Get")), Verdict::Pass);
}

#[test]
fn calls_that_wait_are_bounded_in_both_directions() {
    let mut bench = Bench::new(allow(None, "*"));
    let limit = limits::PENDING_CALLS;
    let full = Verdict::Refuse(Refusal::TooManyCalls);
    for serial in 1..=limit {
        assert_eq!(bench.out(&call(serial, "org.x.Y", "Get")), Verdict::Pass);
    }
    assert_eq!(bench.out(&call(limit + 1, "org.x.Y", "Get")), full);
    let incoming = |serial| Draft {
        names: vec![
            (1, b'o', "/a"),
            (2, b's', "org.a.B"),
            (3, b's', "Get"),
            (FROM, b's', ":1.5"),
        ],
        ..draft(1, serial)
    };
    for serial in 1..=limit {
        assert_eq!(bench.inn(&incoming(serial)), Verdict::Pass);
    }
    assert_eq!(bench.inn(&incoming(limit + 1)), full);
    assert_eq!(bench.out(&reply(2, 1, (TO, ":1.5"))), Verdict::Pass);
    assert_eq!(bench.inn(&incoming(limit + 1)), Verdict::Pass);
}

#[test]
fn the_container_replies_only_to_its_callers() {
    let mut bench = Bench::new(allow(Some(BusDirection::Incoming), "Get"));
    let incoming = |member| Draft {
        names: vec![
            (1, b'o', "/a"),
            (2, b's', "org.a.B"),
            (3, b's', member),
            (FROM, b's', ":1.5"),
        ],
        ..draft(1, 7)
    };
    assert_eq!(bench.inn(&incoming("Set")), NO_RULE);
    assert_eq!(bench.out(&reply(2, 7, (TO, ":1.5"))), Verdict::Drop);
    assert_eq!(bench.inn(&incoming("Get")), Verdict::Pass);
    assert_eq!(bench.out(&reply(2, 7, (TO, ":1.6"))), Verdict::Drop);
    assert_eq!(bench.out(&reply(3, 8, (TO, ":1.5"))), Verdict::Drop);
    assert_eq!(bench.out(&reply(3, 7, (TO, ":1.5"))), Verdict::Pass);
    assert_eq!(bench.out(&reply(2, 7, (TO, ":1.5"))), Verdict::Drop);
}

#[test]
fn signals_need_a_rule_for_their_direction_unless_the_bus_sends_them() {
    let mut bench = Bench::new(allow(Some(BusDirection::Incoming), "Changed"));
    let signal = |member, sender| Draft {
        names: vec![
            (1, b'o', "/a"),
            (2, b's', "org.a.B"),
            (3, b's', member),
            (FROM, b's', sender),
        ],
        ..draft(4, 1)
    };
    assert_eq!(bench.inn(&signal("Changed", ":1.5")), Verdict::Pass);
    assert_eq!(bench.inn(&signal("Other", ":1.5")), Verdict::Drop);
    assert_eq!(bench.inn(&signal("Other", DRIVER)), Verdict::Pass);
    assert_eq!(bench.out(&signal("Changed", ":1.5")), Verdict::Drop);
    // What a client writes into the sender's field means nothing.
    assert_eq!(bench.out(&signal("Changed", DRIVER)), Verdict::Drop);
}

#[test]
fn monitoring_is_refused_whatever_rules_and_spelling_say() {
    let mut bench = Bench::new(allow(None, "*"));
    for names in [
        vec![
            (1, b'o', "/"),
            (3, b's', "BecomeMonitor"),
            (TO, b's', DRIVER),
        ],
        vec![
            (1, b'o', "/"),
            (2, b's', "org.a.B"),
            (3, b's', "BecomeMonitor"),
        ],
        vec![
            (1, b'o', "/"),
            (2, b's', DRIVER),
            (3, b's', "BecomeMonitor"),
            (TO, b's', DRIVER),
        ],
    ] {
        let message = Draft {
            names,
            ..draft(1, 1)
        };
        assert_eq!(bench.out(&message), DRIVER_REFUSES);
    }
}

#[test]
fn a_call_to_nobody_needs_a_rule_also_if_it_looks_like_one_to_the_driver() {
    let message = Draft {
        names: vec![(1, b'o', "/"), (2, b's', DRIVER), (3, b's', "AddMatch")],
        text: Some("type='signal'"),
        ..draft(1, 1)
    };
    assert_eq!(Bench::new(RuleSet::default()).out(&message), NO_RULE);
}

#[test]
fn messages_of_unknown_types_disappear() {
    let mut bench = Bench::new(allow(None, "*"));
    assert_eq!(bench.out(&draft(9, 1)), Verdict::Drop);
    assert_eq!(bench.inn(&draft(9, 1)), Verdict::Drop);
}

mod driver;
