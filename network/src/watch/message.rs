//! The form of netlink messages: headers and attributes (netlink(7), rtnetlink(7)).

/// The messages of a datagram: type and what follows the header. What is cut off is left out.
pub(super) fn messages(datagram: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        // struct nlmsghdr: length, type, flags, sequence number, port.
        let (header, _) = rest.split_first_chunk::<16>()?;
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
        let length = usize::try_from(length).ok()?;
        let body = rest.get(16..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([header[4], header[5]]), body))
    })
}

/// The payload of the first attribute of that type behind a header of `header` bytes.
pub(super) fn attribute(body: &[u8], header: usize, kind: u16) -> Option<&[u8]> {
    let mut rest = body.get(header.next_multiple_of(4)..)?;
    loop {
        // struct rtattr: length, type.
        let (head, _) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let payload = rest.get(4..length)?;
        if u16::from_ne_bytes([head[2], head[3]]) == kind {
            return Some(payload);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// Four bytes in the order of this machine.
pub(super) fn number(bytes: &[u8]) -> Option<i32> {
    Some(i32::from_ne_bytes(*bytes.first_chunk()?))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message as the kernel makes it.
    pub(in super::super) fn message(kind: u16, header: &[u8], list: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = header.to_vec();
        for (kind, payload) in list {
            body.resize(body.len().next_multiple_of(4), 0);
            let length = u16::try_from(4 + payload.len()).unwrap();
            body.extend(length.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*payload);
        }
        let mut bytes = u32::try_from(16 + body.len())
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn several_messages_of_a_datagram_and_their_attributes_are_found() {
        let mut datagram = message(16, &[0; 16], &[(1, b"x"), (3, b"eth0\0")]);
        datagram.extend(message(20, &[7; 8], &[]));
        let found: Vec<_> = messages(&datagram).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(attribute(found[0].1, 16, 3), Some(b"eth0\0".as_slice()));
        assert_eq!(attribute(found[0].1, 16, 4), None);
        assert_eq!(found[1], (20, [7; 8].as_slice()));
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for (_, body) in messages(&bytes) {
                let _ = attribute(body, 16, 3);
            }
        }
    }
}
