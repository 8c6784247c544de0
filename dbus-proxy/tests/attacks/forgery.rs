//! Messages that pretend to be others.

use softwarecontainer_dbus_proxy::wire::{Endian, Kind, NewMessage};

use crate::{
    DENIED, INTERFACE, Scene, call_victim,
    support::raw::{call, reply, signal},
};

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
