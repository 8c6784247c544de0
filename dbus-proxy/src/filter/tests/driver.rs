//! Calls to the bus, its answers and its signals.

use super::*;

const NO_SUCH_NAME: Verdict = Verdict::Refuse(Refusal::NoSuchName);

fn driver(serial: u32, member: &'static str, text: Option<&'static str>) -> Draft<'static> {
    Draft {
        text,
        names: vec![
            (1, b'o', "/org/freedesktop/DBus"),
            (2, b's', DRIVER),
            (3, b's', member),
            (TO, b's', DRIVER),
        ],
        ..draft(1, serial)
    }
}

fn one(direction: Option<BusDirection>, interface: &str, path: &str, member: &str) -> RuleSet {
    let rule = BusRule {
        direction,
        interface: Pattern::new(interface),
        path: Pattern::new(path),
        member: Pattern::new(member),
    };
    [rule].into_iter().collect()
}

/// A container that may call `org.a.Service`.
fn caller() -> Bench {
    Bench::new(one(Some(BusDirection::Outgoing), "org.a.Service", "*", "*"))
}

#[test]
fn a_connection_may_do_what_concerns_only_itself() {
    let mut bench = Bench::new(RuleSet::default());
    for (serial, member) in (1..).zip(["Hello", "RemoveMatch", "GetId"]) {
        assert_eq!(bench.out(&driver(serial, member, None)), Verdict::Pass);
    }
    let add_match = |serial, rule| driver(serial, "AddMatch", rule);
    assert_eq!(
        bench.out(&add_match(10, Some("type='signal'"))),
        Verdict::Pass
    );
    assert_eq!(
        bench.out(&add_match(11, Some("eavesdrop='true'"))),
        DRIVER_REFUSES
    );
    assert_eq!(bench.out(&add_match(12, None)), DRIVER_REFUSES);
    let long = "x".repeat(limits::DRIVER_BODY);
    let long = Draft {
        text: Some(&long),
        ..call(13, DRIVER, "AddMatch")
    };
    assert_eq!(bench.out(&long), DRIVER_REFUSES);
}

#[test]
fn what_else_the_driver_can_do_needs_a_rule() {
    let members = [
        "RequestName",
        "ReleaseName",
        "Introspect",
        "Ping",
        "GetMachineId",
        "GetStats",
        "New",
    ];
    for member in members {
        let call = driver(1, member, None);
        assert_eq!(caller().out(&call), NO_RULE, "{member}");
        for interface in ["*", DRIVER, "org.freedesktop.*"] {
            let rules = one(Some(BusDirection::Outgoing), interface, "*", member);
            assert_eq!(Bench::new(rules).out(&call), Verdict::Pass, "{member}");
        }
        // A rule for another interface is none for the driver, whatever the call says.
        let disguised = self::call(1, DRIVER, member);
        let rules = one(None, "org.a.*", "*", "*");
        assert_eq!(Bench::new(rules).out(&disguised), NO_RULE, "{member}");
    }
}

#[test]
fn the_bus_is_steered_only_where_a_rule_names_the_call_in_full() {
    for member in ["UpdateActivationEnvironment", "ReloadConfig"] {
        let call = driver(1, member, None);
        for (interface, method) in [("*", "*"), (DRIVER, "*"), ("*", member)] {
            let rules = one(None, interface, "*", method);
            assert_eq!(Bench::new(rules).out(&call), DRIVER_REFUSES);
        }
        let rules = one(None, DRIVER, "*", member);
        assert_eq!(Bench::new(rules).out(&call), Verdict::Pass);
    }
}

#[test]
fn names_that_no_rule_is_about_do_not_exist() {
    let questions = [
        "GetNameOwner",
        "ListQueuedOwners",
        "GetConnectionUnixUser",
        "GetConnectionUnixProcessID",
        "GetConnectionCredentials",
        "GetConnectionSELinuxSecurityContext",
        "GetAdtAuditSessionData",
    ];
    let mut bench = caller();
    for (serial, member) in (1..).zip(questions) {
        let ask = |name| driver(serial, member, Some(name));
        assert_eq!(bench.out(&ask("org.b.Secret")), NO_SUCH_NAME, "{member}");
        assert_eq!(bench.out(&ask(":1.5")), NO_SUCH_NAME, "{member}");
        assert_eq!(bench.out(&driver(serial, member, None)), NO_SUCH_NAME);
        assert_eq!(bench.out(&ask("org.a.Service")), Verdict::Pass, "{member}");
    }
    let has_owner = |serial, name| driver(serial, "NameHasOwner", Some(name));
    assert_eq!(bench.out(&has_owner(20, "org.b.Secret")), Verdict::AnswerNo);
    assert_eq!(bench.out(&has_owner(20, "org.a.Service")), Verdict::Pass);
    assert_eq!(bench.out(&has_owner(21, DRIVER)), Verdict::Pass);
    let start = |serial, name| driver(serial, "StartServiceByName", Some(name));
    let unknown = Verdict::Refuse(Refusal::NoSuchService);
    assert_eq!(bench.out(&start(30, "org.b.Secret")), unknown);
    assert_eq!(bench.out(&start(30, "org.a.Service")), Verdict::Pass);
}

#[test]
fn nothing_is_started_for_who_may_only_listen() {
    let mut bench = Bench::new(one(Some(BusDirection::Incoming), "org.a.Service", "*", "*"));
    let start = driver(1, "StartServiceByName", Some("org.a.Service"));
    assert_eq!(bench.out(&start), Verdict::Refuse(Refusal::NoSuchService));
    let owner = driver(2, "GetNameOwner", Some("org.a.Service"));
    assert_eq!(bench.out(&owner), Verdict::Pass);
}

#[test]
fn a_rule_for_a_question_answers_it_for_every_name() {
    let mut bench = Bench::new(one(None, DRIVER, "*", "GetNameOwner"));
    let ask = driver(1, "GetNameOwner", Some("org.b.Secret"));
    assert_eq!(bench.out(&ask), Verdict::Pass);
    let other = driver(2, "NameHasOwner", Some("org.b.Secret"));
    assert_eq!(bench.out(&other), Verdict::AnswerNo);
}

#[test]
fn peers_that_messages_were_exchanged_with_are_known() {
    let mut bench = caller();
    let ask = |serial, name| driver(serial, "GetConnectionUnixUser", Some(name));
    let call = Draft {
        names: vec![
            (1, b'o', "/a"),
            (2, b's', "org.a.Service"),
            (3, b's', "Get"),
            (TO, b's', "com.odd.Name"),
        ],
        ..draft(1, 1)
    };
    assert_eq!(bench.out(&ask(2, "com.odd.Name")), NO_SUCH_NAME);
    assert_eq!(bench.out(&call), Verdict::Pass);
    assert_eq!(bench.out(&ask(2, "com.odd.Name")), Verdict::Pass);
    assert_eq!(bench.out(&ask(3, ":1.7")), NO_SUCH_NAME);
    assert_eq!(bench.inn(&reply(2, 1, (FROM, ":1.7"))), Verdict::Pass);
    assert_eq!(bench.out(&ask(3, ":1.7")), Verdict::Pass);
    // What is refused makes nobody known.
    let refused = signal(":1.8", "Changed", None);
    assert_eq!(bench.inn(&refused), Verdict::Drop);
    assert_eq!(bench.out(&ask(4, ":1.8")), NO_SUCH_NAME);
}

#[test]
fn the_owner_of_a_name_is_known_once_the_bus_has_told_it() {
    let mut bench = caller();
    let ask = driver(1, "GetNameOwner", Some("org.a.Service"));
    assert_eq!(bench.out(&ask), Verdict::Pass);
    let answer = Draft {
        text: Some(":1.9"),
        ..reply(2, 1, (FROM, DRIVER))
    };
    assert_eq!(bench.inn(&answer), Verdict::Pass);
    let user = driver(2, "GetConnectionUnixUser", Some(":1.9"));
    assert_eq!(bench.out(&user), Verdict::Pass);
}

fn signal(
    sender: &'static str,
    member: &'static str,
    text: Option<&'static str>,
) -> Draft<'static> {
    let mut names = vec![
        (1, b'o', "/org/freedesktop/DBus"),
        (2, b's', DRIVER),
        (3, b's', member),
        (FROM, b's', sender),
    ];
    if sender != DRIVER {
        names[1].2 = "org.b.Secret";
    }
    Draft {
        names,
        text,
        ..draft(4, 1)
    }
}

#[test]
fn the_bus_tells_of_changes_of_visible_names_only() {
    let mut bench = caller();
    let changed = |name| signal(DRIVER, "NameOwnerChanged", Some(name));
    assert_eq!(bench.inn(&changed("org.a.Service")), Verdict::Pass);
    assert_eq!(bench.inn(&changed("org.b.Secret")), Verdict::Drop);
    assert_eq!(bench.inn(&changed(":1.3")), Verdict::Drop);
    assert_eq!(
        bench.inn(&signal(DRIVER, "NameOwnerChanged", None)),
        Verdict::Drop
    );
    // Its own name, though no rule is about it.
    let own = |member| signal(DRIVER, member, Some("com.odd.Name"));
    assert_eq!(bench.inn(&own("NameOwnerChanged")), Verdict::Drop);
    assert_eq!(bench.inn(&own("NameAcquired")), Verdict::Pass);
    assert_eq!(bench.inn(&own("NameOwnerChanged")), Verdict::Pass);

    let all = one(
        Some(BusDirection::Incoming),
        DRIVER,
        "*",
        "NameOwnerChanged",
    );
    assert_eq!(Bench::new(all).inn(&changed("org.b.Secret")), Verdict::Pass);
}

#[test]
fn lists_of_names_hold_visible_ones_only() {
    let mut bench = caller();
    assert_eq!(bench.out(&driver(1, "ListNames", None)), Verdict::Pass);
    let names = ["org.b.Secret", DRIVER, ":1.1", "org.a.Service"];
    let answer = wire::return_reply(
        Endian::Little,
        7,
        1,
        wire::Argument::Texts(&names),
        DRIVER,
        Some(":1.99"),
    );
    let Ok(Parsed::Header(header)) = wire::parse(&answer) else {
        panic!("no message")
    };
    assert!(bench.filter.needs_body(BusDirection::Incoming, &header));
    let body = &answer[header.length..];
    let verdict = bench.filter.incoming(&bench.rules, &header, body);
    let expected = wire::return_reply(
        Endian::Little,
        7,
        1,
        wire::Argument::Texts(&[DRIVER, "org.a.Service"]),
        DRIVER,
        Some(":1.99"),
    );
    assert_eq!(verdict, Verdict::Replace(expected));
    // It answers one call.
    let again = bench.filter.incoming(&bench.rules, &header, body);
    assert_eq!(again, Verdict::Drop);
}

#[test]
fn a_list_that_cannot_be_read_is_not_passed_on() {
    let mut bench = caller();
    for (serial, text) in [(1, None), (2, Some("org.b.Secret"))] {
        assert_eq!(bench.out(&driver(serial, "ListNames", None)), Verdict::Pass);
        let answer = Draft {
            text,
            ..reply(2, serial, (FROM, DRIVER))
        };
        let Verdict::Replace(message) = bench.inn(&answer) else {
            panic!("it passed")
        };
        let Ok(Parsed::Header(header)) = wire::parse(&message) else {
            panic!("no message")
        };
        assert_eq!(
            header.error_name,
            Some("org.freedesktop.DBus.Error.LimitsExceeded")
        );
    }
}
