//! Bytes that are no messages.

use softwarecontainer_dbus_proxy::{
    limits,
    wire::{Endian, Kind, NewMessage},
};

use crate::{
    INTERFACE, LIMITS_EXCEEDED, Scene, call_victim,
    support::raw::{Raw, call, driver_call, signal},
};

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
fn a_header_that_is_too_long_costs_its_message_only() {
    let mut scene = Scene::with(&[("*", "*", "*", "*")]);
    let mut attacker = scene.attacker();
    // The specification allows a path of this length.
    let path = format!("/{}", "x".repeat(limits::HEADER_FIELDS));
    let long = |serial| {
        call(
            serial,
            &scene.victim.name,
            Some(INTERFACE),
            &path,
            "Big",
            None,
        )
    };
    let good = call_victim(&scene, 7, Some(INTERFACE));
    attacker.send(&[long(5), long(6), good].concat());
    for serial in [5, 6] {
        let answer = attacker.reply_to(serial);
        assert_eq!(answer.error.as_deref(), Some(LIMITS_EXCEEDED));
    }
    attacker.settle(8);
    assert_eq!(scene.reached().len(), 1);

    // One from the bus disappears, and what follows arrives.
    let name = attacker.name.clone();
    let messages = [
        call(20, &name, Some(INTERFACE), &path, "Big", None),
        signal(21, Some(&name), INTERFACE, "/", "Small"),
    ];
    scene.victim.send(&messages.concat());
    assert_eq!(
        attacker.message_of_serial(21).member.as_deref(),
        Some("Small")
    );
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
