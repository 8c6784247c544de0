//! What a hostile app may try. After each attempt the proxy must live, serve others, and have let
//! nothing through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use softwarecontainer_dbus_proxy::limits;
use softwarecontainer_dbus_proxy::wire::{Endian, Kind, NewMessage};
use support::raw::{Raw, call, driver_call, reply, signal};
use support::{Bus, Setup, eventually, resources, rules};

const DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";
const INTERFACE: &str = "org.example.Test";

/// A bus with a victim on it, and a proxy that allows nothing.
struct Scene {
    bus: Bus,
    victim: Raw,
    setup: Setup,
    life: u32,
}

impl Scene {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(allowed: &[(&str, &str, &str, &str)]) -> Self {
        let bus = Bus::open();
        let setup = Setup::new(&bus, rules(allowed));
        let mut victim = Raw::hello(&bus.path());
        victim.settle(2);
        Self {
            life: setup.pid(),
            victim,
            setup,
            bus,
        }
    }

    fn attacker(&self) -> Raw {
        Raw::hello(&self.setup.system.path)
    }

    /// What reached the victim that was not of the bus.
    fn reached(&mut self) -> Vec<support::raw::Message> {
        let all = self.victim.settle(77);
        all.into_iter()
            .filter(|message| message.sender.as_deref() != Some("org.freedesktop.DBus"))
            .collect()
    }

    /// The proxy is the same process and serves others.
    fn survives(&self) {
        self.attacker().settle(2);
        assert_eq!(self.setup.pid(), self.life);
    }
}

fn call_victim(scene: &Scene, serial: u32, interface: Option<&str>) -> Vec<u8> {
    call(serial, &scene.victim.name, interface, "/", "Steal", None)
}

#[test]
fn a_call_without_interface_slips_past_no_rule_that_names_one() {
    let mut scene = Scene::with(&[
        (">", "org.example.*", "*", "*"),
        (">", "org.*", "*", "Steal"),
    ]);
    let mut attacker = scene.attacker();
    attacker.send(&call_victim(&scene, 5, None));
    assert_eq!(attacker.reply_to(5).error.as_deref(), Some(DENIED));
    assert_eq!(scene.reached(), []);
    scene.survives();
}

#[test]
fn a_forged_sender_is_replaced_and_gives_no_right() {
    let mut scene = Scene::with(&[(">", INTERFACE, "*", "Allowed")]);
    let mut attacker = scene.attacker();
    for (serial, member) in [(5, "Forbidden"), (6, "Allowed")] {
        let names = [
            (1, b'o', "/"),
            (2, b's', INTERFACE),
            (3, b's', member),
            (6, b's', scene.victim.name.as_str()),
            (7, b's', "org.freedesktop.DBus"),
        ];
        let message = NewMessage {
            kind: 4,
            flags: 1,
            serial,
            names: &names,
            reply_serial: None,
            unix_fds: None,
            text: None,
        };
        attacker.send(&message.bytes(Endian::Little));
    }
    attacker.settle(7);
    let all = scene.victim.settle(77);
    let got: Vec<_> = all
        .iter()
        .filter(|message| message.member.as_deref() != Some("NameAcquired"))
        .collect();
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(got[0].member.as_deref(), Some("Allowed"));
    assert_eq!(got[0].sender.as_deref(), Some(attacker.name.as_str()));
}

#[test]
fn replies_that_nobody_asked_for_disappear() {
    let mut scene = Scene::with(&[("<", INTERFACE, "*", "Ask")]);
    let mut attacker = scene.attacker();
    for serial in 1..50 {
        attacker.send(&reply(
            100 + serial,
            &scene.victim.name,
            serial,
            Some("forged"),
        ));
    }
    attacker.settle(500);
    assert_eq!(scene.reached(), []);

    // A call that passed may be answered once, by its serial, and to nobody else.
    scene
        .victim
        .send(&call(60, &attacker.name, Some(INTERFACE), "/", "Ask", None));
    let question = attacker.message().unwrap();
    assert_eq!(question.kind, Kind::Call);
    attacker.send(&reply(501, &scene.victim.name, 61, Some("other serial")));
    attacker.send(&reply(502, &scene.victim.name, 60, Some("answer")));
    attacker.send(&reply(503, &scene.victim.name, 60, Some("again")));
    attacker.settle(504);
    let answers: Vec<_> = scene
        .reached()
        .into_iter()
        .map(|message| message.serial)
        .collect();
    assert_eq!(answers, [502]);
}

#[test]
fn replies_that_nobody_in_the_container_asked_for_do_not_come_in() {
    let mut scene = Scene::new();
    let mut attacker = scene.attacker();
    for serial in 1..50 {
        scene
            .victim
            .send(&reply(100 + serial, &attacker.name, serial, Some("forged")));
        scene.victim.send(&signal(
            200 + serial,
            Some(&attacker.name),
            INTERFACE,
            "/",
            "Changed",
        ));
    }
    scene.victim.settle(300);
    let got = attacker.settle(2);
    assert!(
        got.iter()
            .all(|message| message.sender.as_deref() == Some("org.freedesktop.DBus")),
        "{got:?}"
    );
}

#[test]
fn a_reused_serial_opens_no_way_for_a_second_reply() {
    let mut scene = Scene::with(&[(">", INTERFACE, "*", "Ask")]);
    let mut attacker = scene.attacker();
    let ask = |member| call(5, &scene.victim.name, Some(INTERFACE), "/", member, None);
    attacker.send(&[ask("Ask"), ask("Ask"), ask("Refused")].concat());
    for _ in 0..2 {
        assert_eq!(attacker.reply_to(5).error.as_deref(), Some(DENIED));
    }
    let questions = scene.reached();
    assert_eq!(questions.len(), 1);
    scene
        .victim
        .send(&reply(90, &attacker.name, 5, Some("first")));
    scene
        .victim
        .send(&reply(91, &attacker.name, 5, Some("second")));
    scene.victim.settle(92);
    let replies = attacker.settle(6);
    assert_eq!(
        replies
            .iter()
            .filter(|message| message.kind == Kind::Return)
            .count(),
        1
    );
}

#[test]
fn oversized_and_malformed_messages_close_their_connection_only() {
    let scene = Scene::with(&[("*", "*", "*", "*")]);
    let mut other = scene.attacker();
    let good = call_victim(&scene, 5, Some(INTERFACE));
    let patched = |at: usize, bytes: &[u8]| {
        let mut message = good.clone();
        message[at..at + bytes.len()].copy_from_slice(bytes);
        message
    };
    let cases = [
        ("byte order", patched(0, b"x")),
        ("type", patched(1, &[0])),
        ("version", patched(3, &[2])),
        ("body length", patched(4, &[0, 0, 0, 8])),
        ("body length", patched(4, &[255; 4])),
        ("serial", patched(8, &[0; 4])),
        ("fields length", patched(12, &[255; 4])),
        ("fields length", patched(12, &[1, 0, 1, 0])),
        ("field code", patched(16, &[0])),
        ("field type", patched(18, b"s")),
        ("descriptors", {
            let mut raw = NewMessage {
                kind: 1,
                flags: 0,
                serial: 5,
                names: &[
                    (1, b'o', "/"),
                    (3, b's', "M"),
                    (6, b's', &scene.victim.name),
                ],
                reply_serial: None,
                unix_fds: Some(3),
                text: None,
            }
            .bytes(Endian::Big);
            raw.extend(driver_call(6, "GetId", None));
            raw
        }),
    ];
    for (what, bytes) in cases {
        let mut attacker = scene.attacker();
        attacker.send(&bytes);
        assert!(attacker.is_closed(), "{what}");
    }
    other.settle(2);
    scene.survives();
}

#[test]
fn a_truncated_message_keeps_only_its_own_connection_waiting() {
    let mut scene = Scene::with(&[("*", "*", "*", "*")]);
    let message = call(
        5,
        &scene.victim.name,
        Some(INTERFACE),
        "/",
        "Cut",
        Some("a text of some length"),
    );
    for length in [1, 15, 16, 40, message.len() - 1] {
        let mut attacker = scene.attacker();
        attacker.send(&message[..length]);
        scene.survives();
        drop(attacker);
    }
    assert_eq!(scene.reached(), []);
}

#[test]
fn single_bytes_are_as_good_as_whole_messages() {
    let scene = Scene::new();
    let mut attacker = scene.attacker();
    for byte in driver_call(9, "GetId", None) {
        attacker.send(&[byte]);
    }
    assert_eq!(attacker.reply_to(9).kind, Kind::Return);
}

#[test]
fn thousands_of_unanswered_calls_are_bounded() {
    let scene = Scene::with(&[(">", INTERFACE, "*", "*")]);
    let mut attacker = scene.attacker();
    let limit = u32::try_from(limits::PENDING_CALLS).unwrap();
    let before = resources(scene.life);
    let mut batch = Vec::new();
    for serial in 10..limit + 100 {
        batch.extend(call(
            serial,
            &scene.victim.name,
            Some(INTERFACE),
            "/",
            "Wait",
            None,
        ));
    }
    attacker.send(&batch);
    let refused = attacker.reply_to(limit + 99);
    assert_eq!(
        refused.error.as_deref(),
        Some("org.freedesktop.DBus.Error.LimitsExceeded")
    );
    let grown = resources(scene.life).memory.saturating_sub(before.memory);
    assert!(grown < 1024, "{grown} KiB for {limit} calls");
    scene.survives();
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_either() {
    let scene = Scene::new();
    let attacker = scene.attacker();
    attacker.stream.set_nonblocking(true).unwrap();
    let before = resources(scene.life);
    // Each of them is answered with AccessDenied.
    let flood: Vec<u8> = (10..2000)
        .flat_map(|serial| call_victim(&scene, serial, Some(INTERFACE)))
        .collect();
    let mut sent = 0;
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        match std::io::Write::write(&mut &attacker.stream, &flood) {
            Ok(count) => sent += count,
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    assert!(sent < 4 << 20, "took {sent} bytes");
    let grown = resources(scene.life).memory.saturating_sub(before.memory);
    assert!(grown < 1024, "{grown} KiB for a client that does not read");
    scene.survives();
}

#[test]
fn a_receiver_that_does_not_read_costs_bounded_memory() {
    let scene = Scene::with(&[("*", "*", "*", "*")]);
    let attacker = scene.attacker();
    scene.victim.stream.set_nonblocking(true).unwrap();
    let before = resources(scene.life);
    let big = "x".repeat(60_000);
    let message = call(5, &attacker.name, Some(INTERFACE), "/", "Big", Some(&big));
    for _ in 0..200 {
        let _ = std::io::Write::write(&mut &scene.victim.stream, &message);
        std::thread::sleep(Duration::from_millis(2));
    }
    let grown = resources(scene.life).memory.saturating_sub(before.memory);
    assert!(
        grown < 1024,
        "{grown} KiB for a receiver that does not read"
    );
    scene.survives();
}

#[test]
fn descriptor_floods_end_with_their_connection() {
    let mut scene = Scene::with(&[(">", INTERFACE, "*", "Allowed")]);
    let before = resources(scene.life);
    let file: std::os::fd::OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    for round in 0..20 {
        let mut attacker = scene.attacker();
        // More than the message says, more than one message may have, and with no message at all.
        for fds in [2, 250] {
            let one = fd_message(round + 10, &scene.victim.name, "Refused", 1);
            let _ = support::raw::send_fds(&attacker.stream, &one, &file, fds);
        }
        let _ = support::raw::send_fds(&attacker.stream, b"l", &file, 250);
        assert!(attacker.is_closed());
    }
    // Those of refused messages are closed, too, however many there are.
    let mut attacker = scene.attacker();
    for serial in 10..200 {
        let message = fd_message(serial, &scene.victim.name, "Refused", 16);
        support::raw::send_fds(&attacker.stream, &message, &file, 16).unwrap();
        assert_eq!(attacker.reply_to(serial).error.as_deref(), Some(DENIED));
    }
    drop(attacker);
    assert_eq!(scene.reached(), []);
    eventually("descriptors are closed", || {
        resources(scene.life).files <= before.files
    });
    scene.survives();
}

fn fd_message(serial: u32, destination: &str, member: &str, fds: u32) -> Vec<u8> {
    NewMessage {
        kind: 1,
        flags: 0,
        serial,
        names: &[
            (1, b'o', "/"),
            (2, b's', INTERFACE),
            (3, b's', member),
            (6, b's', destination),
        ],
        reply_serial: None,
        unix_fds: Some(fds),
        text: None,
    }
    .bytes(Endian::Little)
}

#[test]
fn authentication_garbage_closes_its_connection() {
    let scene = Scene::new();
    let long = [b"\0".as_slice(), &[b'A'; 40_000]].concat();
    let endless = [b"\0".as_slice(), &b"AUTH NONSENSE\r\n".repeat(100)].concat();
    let cases: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0BEGIN\r\n",
        b"\0AUTH EXTERNAL\r\nBEGIN\r\n",
        b"\0AUTH EXTERNAL 30\r\nBEGIN\r\nnonsense",
        &long,
        &endless,
        b"\xff\xff\xff\xff",
    ];
    for garbage in cases {
        let mut attacker = Raw::connect(&scene.setup.system.path);
        let _ = std::io::Write::write_all(&mut attacker.stream, garbage);
        assert!(
            attacker.is_closed(),
            "{:?}",
            String::from_utf8_lossy(&garbage[..20.min(garbage.len())])
        );
    }
    scene.survives();
}

#[test]
fn half_open_connections_never_reach_the_bus_and_leave_room_for_others() {
    let scene = Scene::new();
    let bus_before = resources(scene.bus.pid()).files;
    let mut half_open: Vec<UnixStream> = Vec::new();
    for _ in 0..limits::UNAUTHENTICATED - 1 {
        half_open.push(UnixStream::connect(&scene.setup.system.path).unwrap());
    }
    scene.survives();
    assert!(resources(scene.bus.pid()).files <= bus_before + 1);
    // Beyond the limit connections are closed, also for the honest, but those that are open work
    // on.
    for _ in 0..10 {
        half_open.push(UnixStream::connect(&scene.setup.system.path).unwrap());
    }
    drop(half_open);
    eventually("room again", || {
        let mut probe = Raw::connect(&scene.setup.system.path);
        std::io::Write::write_all(&mut probe.stream, b"\0AUTH EXTERNAL 30\r\n").is_ok()
            && probe.has_answer()
    });
    scene.survives();
}

#[test]
fn connections_are_bounded_and_given_back() {
    let scene = Scene::new();
    let before = resources(scene.life);
    let mut open = Vec::new();
    let limit = usize::try_from(limits::CONNECTIONS).unwrap();
    for _ in 0..limit + 20 {
        let mut raw = Raw::connect(&scene.setup.system.path);
        let greeting = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n";
        if std::io::Write::write_all(&mut raw.stream, greeting).is_ok() && raw.has_answer() {
            open.push(raw);
        }
    }
    assert!(open.len() <= limit, "{} connections", open.len());
    assert!(open.len() > 200, "{} connections", open.len());
    drop(open);
    eventually("descriptors are closed", || {
        resources(scene.life).files <= before.files
    });
    scene.survives();
}

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

#[test]
fn a_thousand_connections_one_after_the_other_leave_nothing_behind() {
    let scene = Scene::with(&[("*", "*", "*", "*")]);
    scene.attacker();
    let before = resources(scene.life);
    for round in 0..1000 {
        let mut attacker = scene.attacker();
        if round % 3 == 0 {
            attacker.send(b"nonsense");
        }
    }
    eventually("descriptors are closed", || {
        resources(scene.life).files <= before.files
    });
    let grown = resources(scene.life).memory.saturating_sub(before.memory);
    assert!(grown < 256, "{grown} KiB after a thousand connections");
    scene.survives();
}

#[test]
fn random_bytes_after_authentication_are_survived() {
    let mut scene = Scene::new();
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..300 {
        let mut attacker = Raw::connect(&scene.setup.system.path);
        let mut bytes = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n".to_vec();
        let mut message = call_victim(&scene, 5, Some(INTERFACE));
        for _ in 0..1 + random() % 4 {
            let at = usize::try_from(random()).unwrap() % message.len();
            message[at] = random().to_le_bytes()[0];
        }
        bytes.extend(message);
        let _ = std::io::Write::write_all(&mut attacker.stream, &bytes);
    }
    assert_eq!(scene.reached(), []);
    scene.survives();
}

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
