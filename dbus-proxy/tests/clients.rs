//! Real clients, through the proxy, to a real service on a real bus.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::Command;

use support::{
    Bus, Setup, python, rules, run,
    service::{INTERFACE, NAME, PATH, Service},
};

const DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";

/// Lets a service in the container own its name.
const OWN: (&str, &str, &str, &str) = (
    ">",
    "org.freedesktop.DBus",
    "/org/freedesktop/DBus",
    "RequestName",
);

/// Everything that the tests' calls of Echo need, with another pattern for each part.
fn echo_rules() -> softwarecontainer_dbus_proxy::rule::RuleSet {
    rules(&[(">", "org.example.*", "/org/example/?est", "Echo")])
}

fn gdbus(address: &str, path: &str, member: &str, arguments: &[&str]) -> Result<String, String> {
    let method = format!("{INTERFACE}.{member}");
    let mut command = Command::new("gdbus");
    command.args([
        "call",
        "--address",
        address,
        "--dest",
        NAME,
        "--object-path",
        path,
    ]);
    run(command
        .args(["--timeout", "5", "--method", &method])
        .args(arguments))
}

fn busctl(address: &str, member: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("busctl");
    command.args([
        &format!("--address={address}"),
        "--timeout=5",
        "call",
        NAME,
        PATH,
    ]);
    run(command.args([INTERFACE, member]).args(arguments))
}

fn dbus_send(address: &str, member: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("dbus-send");
    command.args([
        &format!("--bus={address}"),
        "--print-reply",
        "--reply-timeout=5000",
    ]);
    let method = format!("{INTERFACE}.{member}");
    run(command
        .args([&format!("--dest={NAME}"), PATH, &method])
        .args(arguments))
}

fn client(address: &str, what: &str) -> Result<String, String> {
    run(python("client.py").args([address, what])).map(|text| text.trim().to_owned())
}

/// Runs a test on every bus there is.
fn on_each_bus(test: impl Fn(&Bus)) {
    test(&Bus::system());
    test(&Bus::open());
    if let Some(broker) = Bus::broker() {
        test(&broker);
    }
}

#[test]
fn every_client_gets_its_answers_and_refusals() {
    on_each_bus(|bus| {
        let _service = Service::start(&bus.address);
        let setup = Setup::new(bus, echo_rules());
        let address = setup.system.address();

        assert_eq!(
            gdbus(&address, PATH, "Echo", &["hello"]).unwrap(),
            "('hello',)\n"
        );
        assert!(
            gdbus(&address, PATH, "EchoToo", &["x"])
                .unwrap_err()
                .contains(DENIED)
        );
        assert_eq!(
            busctl(&address, "Echo", &["s", "hello"]).unwrap(),
            "s \"hello\"\n"
        );
        assert!(
            busctl(&address, "Fail", &[])
                .unwrap_err()
                .contains("denied")
        );
        let answer = dbus_send(&address, "Echo", &["string:hello"]).unwrap();
        assert!(answer.ends_with("string \"hello\"\n"), "{answer}");
        assert!(
            dbus_send(&address, "Fail", &[])
                .unwrap_err()
                .contains(DENIED)
        );
        assert_eq!(client(&address, "echo").unwrap(), "hello");
        assert_eq!(client(&address, "echo_async").unwrap(), "True");
    });
}

#[test]
fn a_zbus_client_gets_its_answers_and_refusals() {
    let bus = Bus::system();
    let _service = Service::start(&bus.address);
    let setup = Setup::new(&bus, echo_rules());
    smol::block_on(async {
        let client = support::zbus_client::connect(&setup.system.path).await;
        let call = |member: &'static str| {
            let client = &client;
            async move {
                client
                    .call_method(Some(NAME), PATH, Some(INTERFACE), member, &"hello")
                    .await
            }
        };
        let reply = call("Echo").await.unwrap();
        assert_eq!(reply.body().deserialize::<String>().unwrap(), "hello");
        let error = call("EchoToo").await.unwrap_err();
        assert!(error.to_string().contains(DENIED), "{error}");
    });
}

#[test]
fn rules_are_told_apart_by_each_of_their_parts() {
    let bus = Bus::system();
    let _service = Service::start(&bus.address);
    let setup = Setup::new(&bus, rules(&[]));
    let address = setup.system.address();
    let cases = [
        ((">", INTERFACE, PATH, "Echo"), true),
        (("*", INTERFACE, PATH, "Echo"), true),
        (("<", INTERFACE, PATH, "Echo"), false),
        ((">", "*", "*", "*"), true),
        ((">", "org.example.Tes?", "/org/*/T*t", "E?ho"), true),
        ((">", "org.example", PATH, "Echo"), false),
        ((">", "org.example.Test?", PATH, "Echo"), false),
        ((">", "", PATH, "Echo"), false),
        ((">", INTERFACE, "/org/example/Other", "Echo"), false),
        ((">", INTERFACE, "", "Echo"), false),
        ((">", INTERFACE, PATH, "echo"), false),
        ((">", INTERFACE, PATH, ""), false),
    ];
    for (rule, allowed) in cases {
        setup.set_rules(rules(&[rule]));
        let result = gdbus(&address, PATH, "Echo", &["hello"]);
        assert_eq!(result.is_ok(), allowed, "{rule:?}: {result:?}");
    }
}

#[test]
fn errors_of_the_service_and_of_the_bus_reach_the_client() {
    let bus = Bus::system();
    let _service = Service::start(&bus.address);
    let setup = Setup::new(&bus, rules(&[(">", "*", "*", "*")]));
    let address = setup.system.address();
    assert!(
        busctl(&address, "Fail", &[])
            .unwrap_err()
            .contains("on purpose")
    );
    let mut command = Command::new("busctl");
    command.args([
        &format!("--address={address}"),
        "call",
        "org.example.Nobody",
        "/",
        "a.b",
        "C",
    ]);
    let error = run(&mut command).unwrap_err();
    assert!(
        error.contains("org.example.Nobody was not provided"),
        "{error}"
    );
}

#[test]
fn a_call_without_interface_needs_the_star() {
    let bus = Bus::system();
    let _service = Service::start(&bus.address);
    let setup = Setup::new(&bus, rules(&[(">", "org.example.*", "*", "*")]));
    let address = setup.system.address();
    assert!(
        client(&address, "no_interface")
            .unwrap_err()
            .contains(DENIED)
    );
    setup.set_rules(rules(&[(">", "*", "*", "Echo")]));
    assert_eq!(client(&address, "no_interface").unwrap(), "hello");
}

#[test]
fn descriptors_travel_both_ways() {
    on_each_bus(|bus| {
        let _service = Service::start(&bus.address);
        let setup = Setup::new(bus, rules(&[(">", INTERFACE, "*", "ReadAndReturn")]));
        assert_eq!(
            client(&setup.system.address(), "descriptors").unwrap(),
            "through a pipe"
        );
    });
}

#[test]
fn signals_arrive_where_a_rule_lets_them_in() {
    on_each_bus(|bus| {
        let _service = Service::start(&bus.address);
        let setup = Setup::new(bus, rules(&[(">", INTERFACE, "*", "E*")]));
        let address = setup.system.address();
        assert_eq!(client(&address, "signals").unwrap(), "");
        setup.set_rules(rules(&[
            (">", INTERFACE, "*", "E*"),
            ("<", INTERFACE, PATH, "Changed"),
        ]));
        assert_eq!(
            client(&address, "signals").unwrap(),
            "Changed to all, Changed to one"
        );
        setup.set_rules(rules(&[
            (">", INTERFACE, "*", "E*"),
            ("*", INTERFACE, PATH, "*"),
        ]));
        assert_eq!(
            client(&address, "signals").unwrap(),
            "Changed to all, Changed to one, Other to one"
        );
    });
}

#[test]
fn a_service_in_the_container_can_be_called_where_a_rule_lets_calls_in() {
    on_each_bus(|bus| {
        let setup = Setup::new(bus, rules(&[OWN, ("<", INTERFACE, PATH, "Echo")]));
        let _service = Service::start(&setup.system.address());
        assert_eq!(
            gdbus(&bus.address, PATH, "Echo", &["hello"]).unwrap(),
            "('hello',)\n"
        );
        assert!(
            gdbus(&bus.address, PATH, "EchoToo", &["x"])
                .unwrap_err()
                .contains(DENIED)
        );
        setup.set_rules(rules(&[("*", INTERFACE, PATH, "*")]));
        assert_eq!(
            gdbus(&bus.address, PATH, "EchoToo", &["x"]).unwrap(),
            "('x',)\n"
        );
        assert_eq!(
            client(&bus.address, "descriptors").unwrap(),
            "through a pipe"
        );
        assert_eq!(
            client(&bus.address, "signals").unwrap(),
            "Changed to all, Changed to one, Other to one"
        );
    });
}

#[test]
fn signals_leave_the_container_where_a_rule_lets_them_out() {
    let bus = Bus::system();
    let setup = Setup::new(&bus, rules(&[OWN, ("<", INTERFACE, PATH, "E*")]));
    let _service = Service::start(&setup.system.address());
    assert_eq!(client(&bus.address, "signals").unwrap(), "");
    setup.set_rules(rules(&[
        ("<", INTERFACE, PATH, "E*"),
        (">", INTERFACE, PATH, "Changed"),
    ]));
    assert_eq!(
        client(&bus.address, "signals").unwrap(),
        "Changed to all, Changed to one"
    );
}

#[test]
fn large_messages_pass_whole() {
    let bus = Bus::open();
    let _service = Service::start(&bus.address);
    let setup = Setup::new(&bus, echo_rules());
    let text = "0123456789abcdef".repeat(7500);
    let reply = gdbus(&setup.system.address(), PATH, "Echo", &[&text]).unwrap();
    assert_eq!(reply, format!("('{text}',)\n"));
}

#[test]
fn both_buses_are_served_with_rules_of_their_own() {
    let (session, system) = (Bus::session_of(1), Bus::system());
    let _services = [&session, &system].map(|bus| Service::start_as(&bus.address, bus.uid));
    let setup = Setup::without_rules(&session, &system);
    let services = [
        Some(
            setup
                .session
                .service(rules(&[(">", INTERFACE, "*", "Echo")])),
        ),
        Some(
            setup
                .system
                .service(rules(&[(">", INTERFACE, "*", "EchoToo")])),
        ),
    ];
    setup.proxy.serve(services).unwrap();
    let (session, system) = (setup.session.address(), setup.system.address());
    for _ in 0..2 {
        assert!(gdbus(&session, PATH, "Echo", &["x"]).is_ok());
        assert!(gdbus(&session, PATH, "EchoToo", &["x"]).is_err());
        assert!(gdbus(&system, PATH, "EchoToo", &["x"]).is_ok());
        assert!(gdbus(&system, PATH, "Echo", &["x"]).is_err());
    }
}
