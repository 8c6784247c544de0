//! Netfilter's messages as bytes: built for the kernel, and taken apart again.
//!
//! Sources: linux/netlink.h, linux/netfilter/nfnetlink.h. Headers are in the host's byte order,
//! numbers in attributes of netfilter in the network's.

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Length of `struct nfgenmsg`, which every message of netfilter begins with.
const GENERAL: usize = 4;
/// NLA_F_NESTED.
const NESTED: u16 = 1 << 15;
/// NLA_TYPE_MASK.
const KIND_MASK: u16 = 0x3fff;

// linux/netlink.h
pub(crate) const REQUEST: u16 = 1;
pub(crate) const ACK: u16 = 4;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const APPEND: u16 = 0x800;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// Some attributes, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<u8>);

/// What was in an attribute that holds others.
impl From<&[u8]> for Attributes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Attributes {
    /// One with these bytes.
    pub(crate) fn bytes(mut self, kind: u16, bytes: &[u8]) -> Self {
        self.push(kind, bytes);
        self
    }

    /// One with a number.
    pub(crate) fn number(self, kind: u16, number: u32) -> Self {
        self.bytes(kind, &number.to_be_bytes())
    }

    /// One with a long number.
    pub(crate) fn long(self, kind: u16, number: u64) -> Self {
        self.bytes(kind, &number.to_be_bytes())
    }

    /// One with a text, and the NUL that the kernel wants behind it.
    pub(crate) fn text(self, kind: u16, text: &str) -> Self {
        self.bytes(kind, &[text.as_bytes(), b"\0"].concat())
    }

    /// One that holds others.
    pub(crate) fn nested(mut self, kind: u16, inner: &Self) -> Self {
        self.push(kind | NESTED, &inner.0);
        self
    }

    fn push(&mut self, kind: u16, bytes: &[u8]) {
        // What is longer than an attribute can be is cut, and refused by the kernel.
        let length = u16::try_from(4 + bytes.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        let bytes = bytes.get(..usize::from(length - 4)).unwrap_or_default();
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// One message to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The subsystem and what is asked of it.
    pub(crate) kind: (u8, u8),
    /// NLM_F_ flags beside NLM_F_REQUEST.
    pub(crate) flags: u16,
    /// Address family, AF_ or NFPROTO_.
    pub(crate) family: u8,
    /// What the subsystem takes it for.
    pub(crate) resource: u16,
    pub(crate) attributes: Attributes,
}

impl Message {
    /// What begins or ends several messages to `subsystem` that are one step.
    pub(crate) fn batch(kind: u8, subsystem: u8) -> Self {
        Self {
            kind: (0, kind),
            flags: 0,
            family: 0,
            resource: subsystem.into(),
            attributes: Attributes::default(),
        }
    }

    /// Appends it to what is sent in one go.
    pub(crate) fn append(&self, sequence: u32, to: &mut Vec<u8>) {
        let length = HEADER + GENERAL + self.attributes.0.len();
        to.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        let (subsystem, kind) = self.kind;
        to.extend_from_slice(&(u16::from(subsystem) << 8 | u16::from(kind)).to_ne_bytes());
        to.extend_from_slice(&(self.flags | REQUEST).to_ne_bytes());
        to.extend_from_slice(&sequence.to_ne_bytes());
        to.extend_from_slice(&0u32.to_ne_bytes());
        to.extend_from_slice(&[self.family, 0]);
        to.extend_from_slice(&self.resource.to_be_bytes());
        to.extend_from_slice(&self.attributes.0);
    }
}

/// What the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// A message of netfilter, behind its headers.
    Part(u16, &'a [u8]),
    /// An acknowledgement (0), or a positive errno.
    Error(i32),
    /// The end of a dump.
    Done,
}

/// The messages in what was received, each with its sequence number. What is cut short is left
/// out.
pub(crate) fn answers(received: &[u8]) -> impl Iterator<Item = (u32, Answer<'_>)> {
    let mut rest = received;
    std::iter::from_fn(move || {
        let header = rest.first_chunk::<HEADER>()?;
        let [l0, l1, l2, l3, k0, k1, _, _, s0, s1, s2, s3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        let body = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16::from_ne_bytes([k0, k1]);
        let answer = match kind {
            NLMSG_ERROR => {
                let errno = i32::from_ne_bytes(*body.first_chunk()?);
                Answer::Error(errno.saturating_neg())
            }
            NLMSG_DONE => Answer::Done,
            kind => Answer::Part(kind, body.get(GENERAL..)?),
        };
        Some((u32::from_ne_bytes([s0, s1, s2, s3]), answer))
    })
}

/// The attributes in `bytes`, with their kinds. What is cut short is left out.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let [l0, l1, k0, k1] = *rest.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let payload = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]) & KIND_MASK, payload))
    })
}

/// The first attribute of a kind.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(found, payload)| (found == kind).then_some(payload))
}

/// The first attribute of a kind, as a number.
pub(crate) fn number(bytes: &[u8], kind: u16) -> Option<u32> {
    let payload = attribute(bytes, kind)?;
    payload.try_into().ok().map(u32::from_be_bytes)
}

/// The first attribute of a kind, as a long number.
pub(crate) fn long(bytes: &[u8], kind: u16) -> Option<u64> {
    let payload = attribute(bytes, kind)?;
    payload.try_into().ok().map(u64::from_be_bytes)
}

/// The first attribute of a kind, as a text: up to its NUL.
pub(crate) fn text(bytes: &[u8], kind: u16) -> Option<String> {
    let payload = attribute(bytes, kind)?.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(payload).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_built_is_found_again() {
        let inner = Attributes::default()
            .bytes(1, &7u32.to_be_bytes())
            .bytes(2, b"abc");
        let message = Message {
            kind: (10, 16),
            flags: ACK,
            family: 2,
            resource: 5,
            attributes: Attributes::default()
                .nested(3, &inner)
                .bytes(4, &9u32.to_be_bytes()),
        };
        let mut sent = Vec::new();
        message.append(77, &mut sent);
        assert_eq!(sent.len() % 4, 0);
        let found: Vec<_> = answers(&sent).collect();
        let [(77, Answer::Part(kind, body))] = found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(kind, 10 << 8 | 16);
        assert_eq!(number(body, 4), Some(9));
        let inner = attribute(body, 3).unwrap();
        assert_eq!(number(inner, 1), Some(7));
        assert_eq!(attribute(inner, 2), Some(b"abc".as_slice()));
        assert_eq!(number(inner, 2), None);
    }

    #[test]
    fn errors_are_told_from_acknowledgements_and_ends() {
        let mut received = Vec::new();
        for (kind, errno) in [(NLMSG_ERROR, -2), (NLMSG_ERROR, 0), (NLMSG_DONE, 0)] {
            received.extend_from_slice(&20u32.to_ne_bytes());
            received.extend_from_slice(&kind.to_ne_bytes());
            received.extend_from_slice(&[0; 10]);
            received.extend_from_slice(&i32::to_ne_bytes(errno));
        }
        let found: Vec<_> = answers(&received).map(|(_, answer)| answer).collect();
        assert_eq!(found, [Answer::Error(2), Answer::Error(0), Answer::Done]);
    }

    proptest! {
        #[test]
        fn garbage_ends(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(attributes(&bytes).count() <= bytes.len());
            prop_assert!(answers(&bytes).count() <= bytes.len());
        }
    }
}
