//! The little of DNS that tells a time to live: a question, and of its answer the times alone.
//!
//! Whoever answers may be hostile, and nothing here can fail but by finding nothing. Names in
//! answers are skipped and never followed, so that no pointer leads anywhere.
//!
//! Sources: RFC 1035, section 4.1; RFC 2181, section 8.

/// Type of the records with an IPv4 address.
pub(super) const A: u16 = 1;
/// Type of the records with an IPv6 address.
pub(super) const AAAA: u16 = 28;
const CNAME: u16 = 5;
const DNAME: u16 = 39;
const CLASS_IN: u16 = 1;

/// Length of the header: ID, flags, and the numbers of questions, answers, authorities and more.
const HEADER: usize = 12;
const RECURSION_DESIRED: u8 = 1;
const IS_RESPONSE: u8 = 1 << 7;
const CODE_MASK: u8 = 0xf;
const LONGEST_LABEL: usize = 63;
const POINTER: u8 = 0xc0;

/// A question for records of a type; `None` if that is no name.
pub(super) fn question(id: u16, name: &str, kind: u16) -> Option<Vec<u8>> {
    let [high, low] = id.to_be_bytes();
    let mut message = vec![high, low, RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        if label.is_empty() || label.len() > LONGEST_LABEL {
            return None;
        }
        message.push(u8::try_from(label.len()).ok()?);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    Some(message)
}

/// What came in return for a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reply {
    /// It answers another question, or is none.
    Foreign,
    /// There are no such records.
    Nothing,
    /// The shortest time to live of the records that lead to addresses, in seconds.
    Lives(u32),
}

/// What `message` says to `question`.
pub(super) fn reply(message: &[u8], question: &[u8]) -> Reply {
    let Some((header, rest)) = message.split_first_chunk::<HEADER>() else {
        return Reply::Foreign;
    };
    let [id0, id1, flags, more_flags, q0, q1, a0, a1, ..] = *header;
    let asked = question.get(HEADER..).unwrap_or_default();
    let echo = rest.get(..asked.len()).unwrap_or_default();
    let is_for_us = question.get(..2) == Some(&[id0, id1])
        && flags & IS_RESPONSE != 0
        && u16::from_be_bytes([q0, q1]) == 1
        && echo.eq_ignore_ascii_case(asked);
    if !is_for_us {
        return Reply::Foreign;
    }
    let mut records = rest.get(asked.len()..).unwrap_or_default();
    let mut shortest: Option<u32> = None;
    if more_flags & CODE_MASK == 0 {
        for _ in 0..u16::from_be_bytes([a0, a1]) {
            // What is cut off is missing; what came before it counts.
            let Some((kind, lives, rest)) = record(records) else {
                break;
            };
            if [A, AAAA, CNAME, DNAME].contains(&kind) {
                shortest = Some(shortest.map_or(lives, |other| other.min(lives)));
            }
            records = rest;
        }
    }
    shortest.map_or(Reply::Nothing, Reply::Lives)
}

/// Type and time to live of the first of some records, and the rest.
fn record(bytes: &[u8]) -> Option<(u16, u32, &[u8])> {
    let (fixed, rest) = after_name(bytes)?.split_first_chunk::<10>()?;
    let [k0, k1, _, _, t0, t1, t2, t3, l0, l1] = *fixed;
    let lives = u32::from_be_bytes([t0, t1, t2, t3]);
    // A number with the highest bit is to be taken for zero.
    let lives = i32::try_from(lives).map_or(0, i32::unsigned_abs);
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    Some((u16::from_be_bytes([k0, k1]), lives, rest.get(length..)?))
}

/// What follows a name, which ends with an empty label or with a pointer.
fn after_name(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, rest) = bytes.split_first()?;
        bytes = match *length {
            0 => return Some(rest),
            pointer if pointer & POINTER == POINTER => return rest.get(1..),
            length if usize::from(length) <= LONGEST_LABEL => rest.get(usize::from(length)..)?,
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked() -> Vec<u8> {
        question(0x1234, "maps.example.org", A).unwrap()
    }

    /// An answer with records: type, time to live, and data.
    fn answer(records: &[(u16, u32, &[u8])]) -> Vec<u8> {
        let mut message = asked();
        message[2] |= IS_RESPONSE;
        message[7] = u8::try_from(records.len()).unwrap();
        for (kind, lives, data) in records {
            // A pointer to the name in the question.
            message.extend([0xc0, 12]);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1]);
            message.extend(lives.to_be_bytes());
            message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend(*data);
        }
        message
    }

    #[test]
    fn a_question_is_one_name_of_labels() {
        let expected = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04maps\x07example\x03org\0\0\x01\0\x01";
        assert_eq!(asked(), expected);
        let long = "x".repeat(64);
        for name in ["", "a..b", &long] {
            assert_eq!(question(1, name, A), None, "{name}");
        }
    }

    #[test]
    fn the_shortest_time_of_the_way_to_the_addresses_counts() {
        let alias = b"\x03cdn\xc0\x11".as_slice();
        let records = [
            (CNAME, 300, alias),
            (A, 60, &[192, 0, 2, 1][..]),
            (A, 20, &[192, 0, 2, 2]),
            // A signature (RRSIG) leads nowhere.
            (46, 5, &[0; 20]),
        ];
        assert_eq!(reply(&answer(&records), &asked()), Reply::Lives(20));
        let negative = [(A, u32::MAX, &[192, 0, 2, 1][..])];
        assert_eq!(reply(&answer(&negative), &asked()), Reply::Lives(0));
        assert_eq!(reply(&answer(&[]), &asked()), Reply::Nothing);
    }

    #[test]
    fn what_answers_another_question_does_not_count() {
        let records = [(A, 60, &[192, 0, 2, 1][..])];
        let good = answer(&records);
        let mut other_case = good.clone();
        other_case[13] = b'M';
        assert_eq!(reply(&other_case, &asked()), Reply::Lives(60));
        for (at, byte) in [(0, 0), (2, 0x01), (5, 2), (14, b'x'), (29, 28)] {
            let mut wrong = good.clone();
            wrong[at] = byte;
            assert_eq!(reply(&wrong, &asked()), Reply::Foreign, "byte {at}");
        }
        let mut refused = good;
        refused[3] |= 3;
        assert_eq!(reply(&refused, &asked()), Reply::Nothing);
    }

    #[test]
    fn what_is_cut_off_is_missing() {
        let whole = answer(&[(A, 60, &[192, 0, 2, 1]), (A, 20, &[192, 0, 2, 2])]);
        for length in 0..whole.len() {
            let found = reply(&whole[..length], &asked());
            assert_ne!(found, Reply::Lives(20), "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_comes_to_an_end(
            tail in prop::collection::vec(any::<u8>(), 0..300),
            count: u16,
        ) {
            let mut message = answer(&[]);
            message[6..8].copy_from_slice(&count.to_be_bytes());
            message.extend(&tail);
            let _ = reply(&message, &asked());
            let _ = reply(&tail, &asked());
        }
    }
}
