//! Messages of a container on their way to the bus: the parser, and that nothing passes but what
//! the rule allows.

use softwarecontainer_dbus_proxy::{
    filter::{DRIVER, Filter},
    flow::{Flow, Sink},
    rule::{BusDirection, BusRule, Pattern, RuleSet},
    wire::{self, Endian, Header, Kind, NewMessage, Parsed},
};
use std::{os::fd::OwnedFd, sync::LazyLock};

#[derive(Default)]
struct Passed {
    bytes: Vec<u8>,
    answers: usize,
}

impl Sink for Passed {
    fn forward(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        assert!(fds.is_empty() && !bytes.is_empty());
        self.bytes.extend_from_slice(bytes);
    }
    fn answer(&mut self, message: Vec<u8>) {
        let Ok(Parsed::Header(header)) = wire::parse(&message) else {
            panic!("an answer is a message")
        };
        assert_eq!(header.length + header.body, message.len());
        assert!(matches!(header.kind, Kind::Error | Kind::Return));
        self.answers += 1;
    }
    fn log(&mut self, what: &dyn Fn() -> String) {
        assert!(!what().contains(char::is_control));
    }
}

static RULES: LazyLock<RuleSet> = LazyLock::new(|| {
    let rule = BusRule {
        direction: Some(BusDirection::Outgoing),
        interface: Pattern::new("org.a.*"),
        path: Pattern::new("/a*"),
        member: Pattern::new("Get?"),
    };
    [rule].into_iter().collect()
});

/// What the bus may be asked without a rule, about some names at least.
const DRIVER_CALLS: [&str; 15] = [
    "Hello",
    "AddMatch",
    "RemoveMatch",
    "GetId",
    "GetNameOwner",
    "NameHasOwner",
    "ListQueuedOwners",
    "GetConnectionUnixUser",
    "GetConnectionUnixProcessID",
    "GetConnectionCredentials",
    "GetConnectionSELinuxSecurityContext",
    "GetAdtAuditSessionData",
    "ListNames",
    "ListActivatableNames",
    "StartServiceByName",
];

/// The rule and the exceptions, written down a second time.
fn may_pass(header: &Header<'_>) -> bool {
    let member = header.member.unwrap_or_default();
    let by_rule = header
        .interface
        .is_some_and(|interface| interface.starts_with("org.a."))
        && header.path.is_some_and(|path| path.starts_with("/a"))
        && member.starts_with("Get")
        && member.chars().count() == 4;
    match header.kind {
        Kind::Call if header.destination == Some(DRIVER) => DRIVER_CALLS.contains(&member),
        Kind::Call | Kind::Signal => by_rule,
        // No call has come in that could be replied to.
        Kind::Return | Kind::Error | Kind::Unknown(_) => false,
    }
}

/// Makes a well-formed message out of bytes, for most bytes are none by themselves.
fn made(data: &[u8]) -> Vec<u8> {
    let (head, texts) = data.split_at(data.len().min(4));
    let at = |index: usize| head.get(index).copied().unwrap_or(1);
    let texts: Vec<&str> = texts
        .split(|&byte| byte == b'\n')
        .map(|text| std::str::from_utf8(text).unwrap_or(""))
        .collect();
    let fields = [
        (1, b'o'),
        (2, b's'),
        (3, b's'),
        (6, b's'),
        (4, b's'),
        (7, b's'),
    ];
    let names: Vec<(u8, u8, &str)> = fields
        .iter()
        .zip(&texts)
        .filter(|(_, text)| !text.is_empty())
        .map(|(field, text)| (field.0, field.1, *text))
        .collect();
    NewMessage {
        kind: at(0),
        flags: at(1),
        serial: u32::from(at(2)),
        names: &names,
        reply_serial: (at(3) != 0).then(|| u32::from(at(3))),
        unix_fds: None,
        text: texts.get(6).copied(),
    }
    .bytes(if at(1) & 2 == 0 {
        Endian::Little
    } else {
        Endian::Big
    })
}

/// One execution.
pub fn run(input: &[u8]) {
    let data = input;
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let mut stream = Vec::new();
    if first & 1 == 0 {
        stream.extend_from_slice(data);
    } else {
        data.split(|&byte| byte == 0xff)
            .for_each(|part| stream.extend(made(part)));
    }
    let (mut flow, mut filter, mut passed) = (
        Flow::new(BusDirection::Outgoing),
        Filter::new(128),
        Passed::default(),
    );
    let chunk = usize::from(first >> 1).max(1);
    let mut failed = false;
    for part in stream.chunks(chunk * chunk) {
        if flow
            .feed(part, [], &mut filter, &RULES, &mut passed)
            .is_err()
        {
            failed = true;
            break;
        }
    }
    // The bus sees a row of messages, each of which may pass; the last one may be cut.
    let mut rest = passed.bytes.as_slice();
    while !rest.is_empty() {
        let Ok(Parsed::Header(header)) = wire::parse(rest) else {
            panic!("what passes begins with a header")
        };
        assert!(may_pass(&header), "{header:?}");
        if header.member == Some("AddMatch") && header.destination == Some(DRIVER) {
            let body = &rest[header.length..header.length + header.body];
            // Buses allow white space between a key and its `=`, and nowhere in a key.
            let before_values = body.split(|&byte| byte == b'=').rev().skip(1);
            for text in before_values {
                assert!(!text.trim_ascii_end().ends_with(b"eavesdrop"), "{header:?}");
            }
        }
        let end = header.length + header.body;
        if end > rest.len() {
            assert!(failed || !flow.between_messages());
            break;
        }
        rest = &rest[end..];
    }
}
