//! What real buses would catch, too, has to be caught by the proxy alone.

use softwarecontainer_dbus_proxy::wire::{Endian, NewMessage};

use crate::{
    DENIED, INTERFACE,
    support::{
        Setup,
        raw::{Raw, call, driver_call, reply, signal},
        rules,
    },
};

/// A bus that guards nothing and shows what it gets: what real ones would catch, too, has to be
/// caught by the proxy alone.
struct FakeBus {
    connection: Raw,
    attacker: Raw,
    _setup: Setup,
    _directory: tempfile::TempDir,
}

impl FakeBus {
    fn new(allowed: &[(&str, &str, &str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bus");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(&path, everybody).unwrap();
        let setup = Setup::at(&path, rules(allowed));
        let mut attacker = Raw::connect(&setup.system.path);
        attacker.send(b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n");
        attacker.read_lines(2);
        let mut connection = Raw::of(listener.accept().unwrap().0);
        connection.read_lines(3);
        connection.send(b"OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n");
        Self {
            connection,
            attacker,
            _setup: setup,
            _directory: directory,
        }
    }
}

#[test]
fn a_bus_that_guards_nothing_gets_only_what_may_pass() {
    let mut scene = FakeBus::new(&[
        (">", INTERFACE, "*", "Allowed"),
        ("<", INTERFACE, "*", "Ask"),
    ]);
    let to = ":1.7";
    let attacks = [
        reply(10, to, 1, Some("unasked")),
        call(11, to, Some(INTERFACE), "/", "Forbidden", None),
        call(12, to, None, "/", "Allowed", None),
        signal(13, Some(to), INTERFACE, "/", "Forbidden"),
        signal(14, None, INTERFACE, "/", "Forbidden"),
        driver_call(15, "BecomeMonitor", None),
        driver_call(16, "AddMatch", Some("eavesdrop=true")),
        driver_call(17, "UpdateActivationEnvironment", None),
        call(18, to, Some(INTERFACE), "/", "Allowed", None),
        call(18, to, Some(INTERFACE), "/", "Allowed", None),
        driver_call(19, "GetId", None),
    ];
    scene.attacker.send(&attacks.concat());
    let passed = [
        scene.connection.message().unwrap(),
        scene.connection.message().unwrap(),
    ];
    assert_eq!(passed.map(|message| message.serial), [18, 19]);

    // A call that passed may be answered once, and by whom was called.
    let ask = incoming(1, 30, ":1.8", "Ask", None);
    scene.connection.send(&ask);
    assert_eq!(
        scene.attacker.message_of_serial(30).member.as_deref(),
        Some("Ask")
    );
    let answers = [
        reply(20, ":1.9", 30, None),
        reply(21, ":1.8", 30, None),
        reply(22, ":1.8", 30, None),
    ];
    scene
        .attacker
        .send(&[answers.concat(), driver_call(23, "GetId", None)].concat());
    let passed = [
        scene.connection.message().unwrap(),
        scene.connection.message().unwrap(),
    ];
    assert_eq!(passed.map(|message| message.serial), [21, 23]);
}

#[test]
fn a_container_gets_only_what_may_pass_from_a_bus_that_guards_nothing() {
    let mut scene = FakeBus::new(&[(">", INTERFACE, "*", "Allowed")]);
    scene
        .attacker
        .send(&call(5, ":1.7", Some(INTERFACE), "/", "Allowed", None));
    assert_eq!(scene.connection.message().unwrap().serial, 5);
    let messages = [
        incoming(2, 40, ":1.7", "", Some(6)),
        incoming(2, 41, ":1.8", "", Some(5)),
        incoming(4, 42, ":1.7", "Changed", None),
        incoming(1, 43, ":1.7", "Ask", None),
        incoming(2, 44, ":1.7", "", Some(5)),
        incoming(2, 45, ":1.7", "", Some(5)),
        incoming(4, 46, "org.freedesktop.DBus", "NameAcquired", None),
    ];
    scene.connection.send(&messages.concat());
    let passed = [
        scene.attacker.message().unwrap(),
        scene.attacker.message().unwrap(),
    ];
    assert_eq!(passed.map(|message| message.serial), [44, 46]);
    // The refused call is answered on behalf of the app.
    let refused = scene.connection.message().unwrap();
    assert_eq!(
        (refused.reply_serial, refused.error.as_deref()),
        (Some(43), Some(DENIED))
    );
}

fn incoming(
    kind: u8,
    serial: u32,
    sender: &str,
    member: &str,
    reply_serial: Option<u32>,
) -> Vec<u8> {
    let mut names = vec![(7, b's', sender), (6, b's', ":1.99")];
    if reply_serial.is_none() {
        names.extend([(1, b'o', "/"), (2, b's', INTERFACE), (3, b's', member)]);
    }
    NewMessage {
        kind,
        flags: 0,
        serial,
        names: &names,
        reply_serial,
        unix_fds: None,
        text: None,
    }
    .bytes(Endian::Big)
}
