//! The bus driver, and what it would give away.

use softwarecontainer_dbus_proxy::wire::Kind;

use crate::{
    DENIED, INTERFACE, Scene,
    support::raw::{Raw, call, driver_call, reply},
};

#[test]
fn eavesdropping_is_refused_in_every_spelling() {
    let mut scene = Scene::with(&[("*", "*", "*", "*")]);
    let mut attacker = scene.attacker();
    let mut serial = 10;
    let mut refused = |message: &dyn Fn(u32) -> Vec<u8>| {
        serial += 1;
        attacker.send(&message(serial));
        assert_eq!(attacker.reply_to(serial).error.as_deref(), Some(DENIED));
    };
    for rule in [
        "eavesdrop=true",
        "eavesdrop='true'",
        "type='method_call', eavesdrop =true",
        "eavesdrop='false'",
    ] {
        refused(&|serial| driver_call(serial, "AddMatch", Some(rule)));
        let driver = "org.freedesktop.DBus";
        for (interface, path) in [
            (None, "/"),
            (Some("org.example.Other"), "/x"),
            (Some(driver), "/"),
        ] {
            refused(&|serial| call(serial, driver, interface, path, "AddMatch", Some(rule)));
        }
    }
    refused(&|serial| driver_call(serial, "AddMatch", None));
    refused(&|serial| driver_call(serial, "BecomeMonitor", None));
    let monitoring = Some("org.freedesktop.DBus.Monitoring");
    for interface in [None, monitoring] {
        refused(&|serial| {
            call(
                serial,
                "org.freedesktop.DBus",
                interface,
                "/",
                "BecomeMonitor",
                Some("x"),
            )
        });
    }
    attacker.send(&driver_call(400, "AddMatch", Some("type='method_call'")));
    assert_eq!(attacker.reply_to(400).kind, Kind::Return);

    // Two others talk; nothing of it reaches the attacker although its rules would let everything
    // in.
    let mut friend = Raw::hello(&scene.bus.path());
    friend.send(&call(
        5,
        &scene.victim.name,
        Some(INTERFACE),
        "/",
        "Secret",
        Some("secret"),
    ));
    assert_eq!(scene.reached().len(), 1);
    scene
        .victim
        .send(&reply(80, &friend.name, 5, Some("secret")));
    assert_eq!(friend.reply_to(5).kind, Kind::Return);
    let overheard = attacker.settle(500);
    assert!(
        overheard
            .iter()
            .all(|message| message.sender.as_deref() == Some("org.freedesktop.DBus")),
        "{overheard:?}"
    );
}
