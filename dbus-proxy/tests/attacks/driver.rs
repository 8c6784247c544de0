//! The bus driver, and what it would give away.

use softwarecontainer_dbus_proxy::wire::{Endian, Kind, Reader};

use crate::{
    DENIED, INTERFACE, Scene,
    support::raw::{Raw, call, driver_call, reply, request_name},
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

const DRIVER: &str = "org.freedesktop.DBus";

fn text(message: &crate::support::raw::Message) -> String {
    let mut reader = Reader::new(&message.body, 0, Endian::Little);
    reader.string().unwrap().to_owned()
}

fn names(message: &crate::support::raw::Message) -> Vec<String> {
    let mut reader = Reader::new(&message.body, 0, Endian::Little);
    let names = reader.strings().unwrap();
    names.into_iter().map(str::to_owned).collect()
}

/// Owns a name on the bus itself, as a service of the host does.
fn service(scene: &Scene, name: &str) -> Raw {
    let mut service = Raw::hello(&scene.bus.path());
    service.send(&request_name(3, name));
    assert_eq!(service.reply_to(3).kind, Kind::Return);
    service
}

#[test]
fn an_app_without_rules_sees_nobody_and_owns_no_name() {
    let scene = Scene::new();
    let mut secret = service(&scene, "org.other.Secret");
    let mut attacker = scene.attacker();
    attacker.send(&driver_call(5, "ListNames", None));
    assert_eq!(names(&attacker.reply_to(5)), [DRIVER, &attacker.name]);
    attacker.send(&driver_call(6, "ListActivatableNames", None));
    assert_eq!(names(&attacker.reply_to(6)), [DRIVER]);
    for name in ["org.other.Secret", &secret.name, "org.other.Nobody"] {
        attacker.send(&driver_call(7, "GetNameOwner", Some(name)));
        let error = attacker.reply_to(7).error;
        assert_eq!(
            error.as_deref(),
            Some("org.freedesktop.DBus.Error.NameHasNoOwner")
        );
        attacker.send(&driver_call(8, "NameHasOwner", Some(name)));
        let answer = attacker.reply_to(8);
        assert_eq!((answer.kind, answer.body), (Kind::Return, vec![0; 4]));
        attacker.send(&driver_call(9, "GetConnectionUnixProcessID", Some(name)));
        assert!(attacker.reply_to(9).error.is_some());
    }
    attacker.send(&request_name(10, "org.other.Mine"));
    assert_eq!(attacker.reply_to(10).error.as_deref(), Some(DENIED));
    for member in ["ReloadConfig", "Introspect", "GetAllMatchRules"] {
        attacker.send(&driver_call(11, member, None));
        assert_eq!(
            attacker.reply_to(11).error.as_deref(),
            Some(DENIED),
            "{member}"
        );
    }
    // Nobody can be watched coming and going.
    let everything = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'";
    attacker.send(&driver_call(12, "AddMatch", Some(everything)));
    assert_eq!(attacker.reply_to(12).kind, Kind::Return);
    secret.send(&driver_call(4, "ReleaseName", Some("org.other.Secret")));
    secret.reply_to(4);
    drop(secret);
    service(&scene, "org.other.Another");
    let seen = attacker.settle(13);
    assert_eq!(seen, [], "{seen:?}");
    scene.survives();
}

#[test]
fn an_app_sees_the_names_that_its_rules_are_about() {
    let scene = Scene::with(&[(">", "org.example.Test", "*", "*")]);
    let service = service(&scene, "org.example.Service");
    let _secret = self::service(&scene, "org.other.Secret");
    let mut app = scene.attacker();
    app.send(&driver_call(5, "GetNameOwner", Some("org.example.Service")));
    assert_eq!(text(&app.reply_to(5)), service.name);
    app.send(&driver_call(6, "ListNames", None));
    let mut seen = names(&app.reply_to(6));
    seen.sort();
    let mut expected = [
        app.name.clone(),
        service.name.clone(),
        DRIVER.to_owned(),
        "org.example.Service".to_owned(),
    ];
    expected.sort();
    assert_eq!(seen, expected);
    let changes = "member='NameOwnerChanged'";
    app.send(&driver_call(7, "AddMatch", Some(changes)));
    app.reply_to(7);
    drop(service);
    let gone = loop {
        let message = app.message().unwrap();
        if message.member.as_deref() == Some("NameOwnerChanged") {
            break text(&message);
        }
    };
    assert!(
        gone == "org.example.Service" || gone.starts_with(':'),
        "{gone}"
    );
}

#[test]
fn a_name_is_owned_where_a_rule_allows_the_request() {
    let scene = Scene::with(&[(">", DRIVER, "/org/freedesktop/DBus", "RequestName")]);
    let mut app = scene.attacker();
    app.send(&request_name(5, "org.example.Mine"));
    assert_eq!(app.reply_to(5).kind, Kind::Return);
    app.send(&driver_call(6, "GetNameOwner", Some("org.example.Mine")));
    assert_eq!(text(&app.reply_to(6)), app.name);
}
