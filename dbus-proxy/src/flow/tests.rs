use super::*;
use crate::{
    rule::{BusRule, Pattern},
    wire::{Endian, NewMessage},
};
use proptest::prelude::*;

/// Keeps what it gets.
#[derive(Default)]
struct Kept {
    runs: Vec<(Vec<u8>, usize)>,
    answers: Vec<Vec<u8>>,
    logged: usize,
}

impl Kept {
    fn bytes(&self) -> Vec<u8> {
        self.runs
            .iter()
            .flat_map(|(bytes, _)| bytes.clone())
            .collect()
    }
}

impl Sink for Kept {
    fn forward(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        self.runs.push((bytes.to_vec(), fds.len()));
    }
    fn answer(&mut self, message: Vec<u8>) {
        self.answers.push(message);
    }
    fn log(&mut self, _: &dyn Fn() -> String) {
        self.logged += 1;
    }
}

fn rules() -> RuleSet {
    let rule = BusRule {
        direction: None,
        interface: Pattern::new("org.a.B"),
        path: Pattern::new("*"),
        member: Pattern::new("Yes"),
    };
    [rule].into_iter().collect()
}

fn message(serial: u32, member: &str, text: Option<&str>, fds: Option<u32>) -> Vec<u8> {
    NewMessage {
        kind: 1,
        flags: 0,
        serial,
        names: &[
            (1, b'o', "/a"),
            (2, b's', "org.a.B"),
            (3, b's', member),
            (6, b's', ":1.1"),
        ],
        reply_serial: None,
        unix_fds: fds,
        text,
    }
    .bytes(Endian::Little)
}

fn descriptors(count: usize) -> Vec<OwnedFd> {
    (0..count)
        .map(|_| std::fs::File::open("/dev/null").unwrap().into())
        .collect()
}

/// A flow with what it needs.
struct Bench {
    flow: Flow,
    filter: Filter,
    kept: Kept,
}

impl Bench {
    fn new() -> Self {
        Self {
            flow: Flow::new(BusDirection::Outgoing),
            filter: Filter::new(crate::limits::PENDING_CALLS),
            kept: Kept::default(),
        }
    }

    fn feed(&mut self, data: &[u8], fds: usize) -> Result<(), FlowError> {
        let fds = descriptors(fds);
        self.flow
            .feed(data, fds, &mut self.filter, &rules(), &mut self.kept)
    }
}

#[test]
fn allowed_messages_in_a_row_are_passed_on_at_once() {
    let mut bench = Bench::new();
    let data = [
        message(1, "Yes", Some("x"), None),
        message(2, "Yes", None, None),
    ]
    .concat();
    bench.feed(&data, 0).unwrap();
    assert_eq!(bench.kept.runs, [(data, 0)]);
}

#[test]
fn a_refused_message_is_cut_out_and_answered() {
    let mut bench = Bench::new();
    let (first, last) = (
        message(1, "Yes", None, None),
        message(3, "Yes", Some("y"), None),
    );
    let data = [
        first.clone(),
        message(2, "No", Some("text"), None),
        last.clone(),
    ]
    .concat();
    bench.feed(&data, 0).unwrap();
    assert_eq!(bench.kept.runs, [(first, 0), (last, 0)]);
    assert_eq!(bench.kept.answers.len(), 1);
    let Ok(Parsed::Header(answer)) = wire::parse(&bench.kept.answers[0]) else {
        panic!("no message")
    };
    assert_eq!(answer.reply_serial.map(std::num::NonZeroU32::get), Some(2));
    assert_eq!(
        answer.error_name,
        Some("org.freedesktop.DBus.Error.AccessDenied")
    );
    assert_eq!(answer.sender, Some("org.freedesktop.DBus"));
    assert_eq!(answer.length + answer.body, bench.kept.answers[0].len());
}

#[test]
fn a_message_with_descriptors_is_sent_alone() {
    let mut bench = Bench::new();
    let parts = [
        message(1, "Yes", None, None),
        message(2, "Yes", Some("x"), Some(2)),
        message(3, "Yes", None, None),
    ];
    bench.feed(&parts.concat(), 2).unwrap();
    let [a, b, c] = parts;
    assert_eq!(bench.kept.runs, [(a, 0), (b, 2), (c, 0)]);
}

#[test]
fn descriptors_of_a_refused_message_are_not_given_to_the_next() {
    let mut bench = Bench::new();
    bench.feed(&message(1, "No", None, Some(2)), 2).unwrap();
    bench.feed(&message(2, "Yes", None, Some(1)), 1).unwrap();
    assert_eq!(bench.kept.runs.len(), 1);
    assert_eq!(bench.kept.runs[0].1, 1);
    assert_eq!(bench.flow.fds.len(), 0);
}

#[test]
fn missing_and_surplus_descriptors_end_the_connection() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.feed(&message(1, "Yes", None, Some(1)), 0),
        Err(FlowError::Descriptors)
    );
    let mut bench = Bench::new();
    assert_eq!(
        bench.feed(&message(1, "Yes", None, None), 1),
        Err(FlowError::Descriptors)
    );
    let mut bench = Bench::new();
    assert_eq!(
        bench.feed(&message(1, "Yes", None, Some(1)), 2),
        Err(FlowError::Descriptors)
    );
}

#[test]
fn a_long_body_is_passed_on_while_it_comes() {
    let mut bench = Bench::new();
    let data = message(1, "Yes", Some(&"x".repeat(100_000)), None);
    bench.feed(&data[..1000], 0).unwrap();
    assert_eq!(bench.kept.bytes().len(), 1000);
    assert!(!bench.flow.between_messages());
    bench.feed(&data[1000..], 0).unwrap();
    assert_eq!(bench.kept.bytes(), data);
    assert!(bench.flow.between_messages());
}

proptest! {
    #[test]
    fn what_passes_does_not_depend_on_how_the_stream_is_cut(
        messages in prop::collection::vec((any::<bool>(), 0_usize..300), 1..20),
        cuts in prop::collection::vec(1_usize..200, 1..100),
    ) {
        let mut data = Vec::new();
        let mut expected = Vec::new();
        for (serial, (yes, length)) in (1..).zip(&messages) {
            let text = "t".repeat(*length);
            let message = message(serial, if *yes { "Yes" } else { "No" }, Some(&text), None);
            data.extend_from_slice(&message);
            if *yes {
                expected.extend(message);
            }
        }
        let mut bench = Bench::new();
        let mut rest = data.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, left) = rest.split_at((*cut).min(rest.len()));
            bench.feed(piece, 0).unwrap();
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(bench.kept.bytes(), expected);
        let refused = messages.iter().filter(|(yes, _)| !yes).count();
        prop_assert_eq!(bench.kept.answers.len(), refused);
        prop_assert_eq!(bench.kept.logged, refused);
    }

    #[test]
    fn any_bytes_are_either_taken_or_refused(data in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Bench::new().feed(&data, 0);
    }

    #[test]
    fn a_message_with_a_wrong_byte_is_either_taken_or_refused(at in 0_usize..120, value in any::<u8>()) {
        let mut data = message(1, "Yes", Some("text"), Some(0));
        let at = at % data.len();
        data[at] = value;
        let mut bench = Bench::new();
        if bench.feed(&data, 0).is_ok() && bench.flow.between_messages() {
            // What passed is a prefix of what came.
            prop_assert!(data.starts_with(&bench.kept.bytes()));
        }
    }
}

#[test]
fn a_message_with_an_oversized_header_is_skipped_in_pieces_of_any_size() {
    let path = format!("/{}", "x".repeat(crate::limits::HEADER_FIELDS));
    let long = NewMessage {
        kind: 1,
        flags: 0,
        serial: 2,
        names: &[(1, b'o', &path), (3, b's', "Yes")],
        reply_serial: None,
        unix_fds: None,
        text: Some("body"),
    }
    .bytes(Endian::Big);
    let good = message(3, "Yes", Some("text"), None);
    for size in [1, 16, 1000, 100_000] {
        let mut bench = Bench::new();
        for part in [long.clone(), good.clone()].concat().chunks(size) {
            bench.feed(part, 0).unwrap();
        }
        assert_eq!(bench.kept.bytes(), good);
        assert_eq!(bench.kept.answers.len(), 1);
    }
    // Descriptors with it cannot be told from those of the next one.
    let result = Bench::new().feed(&long, 1);
    assert_eq!(result, Err(FlowError::Descriptors));
}
