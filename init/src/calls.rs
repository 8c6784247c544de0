//! The filter of the system calls that a process may make, and how calls are told.

/// Marks a call of a 32-bit instruction set; no number has this bit.
const WIDTH: u32 = 1 << 31;

/// A system call by its number, in the machine's own instruction set or its 32-bit companion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call(u32);

impl Call {
    /// The call with that number.
    #[must_use]
    pub fn new(number: u32, is_32_bit: bool) -> Self {
        Self(number & !WIDTH | if is_32_bit { WIDTH } else { 0 })
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0 & !WIDTH
    }

    /// Whether it is one of a 32-bit instruction set.
    #[must_use]
    pub fn is_32_bit(self) -> bool {
        self.0 & WIDTH != 0
    }

    /// As the value of a [`Message`](crate::Message).
    #[must_use]
    pub fn to_value(self) -> i32 {
        self.0.cast_signed()
    }

    /// From the value of a [`Message`](crate::Message).
    #[must_use]
    pub fn from_value(value: i32) -> Self {
        Self(value.cast_unsigned())
    }
}

/// What a process is told that makes a call it may not make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The call.
    pub call: Call,
    /// The errno.
    pub errno: i32,
}

/// The filter of the system calls that a process may make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// A BPF program in the kernel's form; empty for none.
    pub program: Vec<u8>,
    /// Whether the program leaves it to the init to answer (`SECCOMP_RET_USER_NOTIF`).
    pub listen: bool,
    /// What the init answers; ENOSYS for all other calls.
    pub answers: Vec<Answer>,
}

impl CallFilter {
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let length = |items: usize| u32::try_from(items).unwrap_or(u32::MAX).to_ne_bytes();
        bytes.extend_from_slice(&length(self.program.len()));
        bytes.extend_from_slice(&self.program);
        bytes.extend_from_slice(&u32::from(self.listen).to_ne_bytes());
        bytes.extend_from_slice(&length(self.answers.len()));
        for answer in &self.answers {
            bytes.extend_from_slice(&answer.call.0.to_ne_bytes());
            bytes.extend_from_slice(&answer.errno.to_ne_bytes());
        }
    }

    pub(crate) fn decode(rest: &mut &[u8]) -> Option<Self> {
        let length = usize::try_from(word(rest)?).ok()?;
        let (program, tail) = rest.split_at_checked(length)?;
        *rest = tail;
        let listen = word(rest)? != 0;
        let answers = (0..word(rest)?).map(|_| {
            Some(Answer {
                call: Call(word(rest)?),
                errno: word(rest)?.cast_signed(),
            })
        });
        Some(Self {
            program: program.to_vec(),
            listen,
            answers: answers.collect::<Option<_>>()?,
        })
    }
}

fn word(rest: &mut &[u8]) -> Option<u32> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(u32::from_ne_bytes(*head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_the_wire_and_a_cut_one_is_refused() {
        let filter = CallFilter {
            program: vec![6, 0, 0, 0, 0, 0, 0xff, 0x7f],
            listen: true,
            answers: vec![Answer {
                call: Call::new(165, true),
                errno: 1,
            }],
        };
        let mut bytes = Vec::new();
        filter.encode(&mut bytes);
        assert_eq!(CallFilter::decode(&mut &bytes[..]), Some(filter));
        for end in 0..bytes.len() {
            assert_eq!(CallFilter::decode(&mut &bytes[..end]), None, "{end} bytes");
        }
    }

    #[test]
    fn a_call_survives_as_a_value() {
        for call in [
            Call::new(0, false),
            Call::new(0x4000_0005, true),
            Call::new(471, false),
        ] {
            assert_eq!(Call::from_value(call.to_value()), call);
        }
        assert_eq!(Call::new(471, true).number(), 471);
        assert!(Call::new(471, true).is_32_bit());
    }
}
