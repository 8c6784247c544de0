//! Floods: memory, descriptors and connections are bounded.

use std::time::{Duration, Instant};

use softwarecontainer_dbus_proxy::{
    limits,
    wire::{Endian, NewMessage},
};

use crate::{
    DENIED, INTERFACE, LIMITS_EXCEEDED, Scene, call_victim,
    support::{
        eventually,
        raw::{Raw, call, driver_call, request_name},
        resources,
    },
};

#[test]
fn thousands_of_unanswered_calls_are_bounded() {
    let scene = Scene::with(&[(">", INTERFACE, "*", "*")]);
    let mut attacker = scene.attacker();
    let limit = limits::PENDING_CALLS;
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
    assert_eq!(refused.error.as_deref(), Some(LIMITS_EXCEEDED));
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
            let _ = crate::support::raw::send_fds(&attacker.stream, &one, &file, fds);
        }
        let _ = crate::support::raw::send_fds(&attacker.stream, b"l", &file, 250);
        assert!(attacker.is_closed());
    }
    // Those of refused messages are closed, too, however many there are.
    let mut attacker = scene.attacker();
    for serial in 10..200 {
        let message = fd_message(serial, &scene.victim.name, "Refused", 16);
        crate::support::raw::send_fds(&attacker.stream, &message, &file, 16).unwrap();
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
fn clients_that_ask_the_bus_and_never_read_do_not_make_it_grow() {
    let mut scene = Scene::new();
    // So that an answer is much longer than the question.
    for number in 0..50 {
        let name = format!("org.example.{}{number}", "x".repeat(200));
        scene.victim.send(&request_name(100 + number, &name));
        scene.victim.reply_to(100 + number);
    }
    let attackers: Vec<Raw> = (0..8).map(|_| scene.attacker()).collect();
    let before = resources(scene.bus.pid()).memory;
    let mut left: Vec<Vec<u8>> = vec![Vec::new(); attackers.len()];
    for attacker in &attackers {
        attacker.stream.set_nonblocking(true).unwrap();
    }
    let mut serials = 10..;
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        let mut all_full = true;
        for (attacker, left) in attackers.iter().zip(&mut left) {
            if left.is_empty() {
                let calls = serials.by_ref().take(200);
                left.extend(calls.flat_map(|serial| driver_call(serial, "ListNames", None)));
            }
            if let Ok(count) = std::io::Write::write(&mut &attacker.stream, left) {
                left.drain(..count);
                all_full = false;
            }
        }
        if all_full {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let grown = resources(scene.bus.pid()).memory.saturating_sub(before);
    // As many answers of 11 KiB to each of them as may be under way, and not more.
    assert!(grown < 24 * 1024, "the bus has grown by {grown} KiB");
    let grown = resources(scene.life).memory;
    assert!(grown < 16 * 1024, "the proxy has {grown} KiB");
    scene.survives();
}
