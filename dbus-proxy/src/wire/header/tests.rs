use super::*;

/// A header from its fields, each given as bytes that follow its alignment.
fn header(endian: Endian, kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![endian.mark(), kind, 0, 1];
    out.extend(endian.bytes(0));
    out.extend(endian.bytes(1));
    out.extend([0; 4]);
    for field in fields {
        out.resize(out.len().next_multiple_of(8), 0);
        out.extend_from_slice(field);
    }
    let length = endian.bytes(u32::try_from(out.len() - FIXED).unwrap());
    out[12..16].copy_from_slice(&length);
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

fn text(endian: Endian, code: u8, kind: u8, value: &str) -> Vec<u8> {
    let mut out = vec![code, 1, kind, 0];
    out.extend(endian.bytes(u32::try_from(value.len()).unwrap()));
    out.extend(value.as_bytes());
    out.push(0);
    out
}

fn number(endian: Endian, code: u8, value: u32) -> Vec<u8> {
    let mut out = vec![code, 1, b'u', 0];
    out.extend(endian.bytes(value));
    out
}

const LE: Endian = Endian::Little;

fn little(kind: u8, fields: &[Vec<u8>]) -> Result<(), WireError> {
    let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
    parse(&header(LE, kind, &fields)).map(|_| ())
}

fn path() -> Vec<u8> {
    text(LE, 1, b'o', "/a/b")
}

fn member() -> Vec<u8> {
    text(LE, 3, b's', "Do")
}

#[test]
fn all_fields_are_read_in_both_byte_orders() {
    for endian in [Endian::Little, Endian::Big] {
        let signature = [8, 1, b'g', 0, 2, b'a', b's', 0];
        let fields = [
            text(endian, 1, b'o', "/a/b"),
            text(endian, 2, b's', "org.a.B"),
            text(endian, 3, b's', "Do"),
            text(endian, 4, b's', "org.a.Error"),
            number(endian, 5, 77),
            text(endian, 6, b's', "org.x-y"),
            text(endian, 7, b's', ":1.2"),
            signature.to_vec(),
            number(endian, 9, 3),
        ];
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let bytes = header(endian, 1, &fields);
        let Parsed::Header(header) = parse(&bytes).unwrap() else {
            panic!("too short")
        };
        assert_eq!(header.endian, endian);
        assert_eq!(header.path, Some("/a/b"));
        assert_eq!(header.interface, Some("org.a.B"));
        assert_eq!(header.member, Some("Do"));
        assert_eq!(header.error_name, Some("org.a.Error"));
        assert_eq!(header.reply_serial.map(NonZeroU32::get), Some(77));
        assert_eq!(header.destination, Some("org.x-y"));
        assert_eq!(header.sender, Some(":1.2"));
        assert_eq!(header.signature, Some("as"));
        assert_eq!(header.unix_fds, 3);
        assert_eq!(header.length, bytes.len());
        for length in 0..bytes.len() {
            assert!(matches!(parse(&bytes[..length]), Ok(Parsed::Need(more)) if more > length));
        }
    }
}

#[test]
fn fields_that_are_missing_twice_or_wrong_are_refused() {
    assert_eq!(little(1, &[path(), member()]), Ok(()));
    assert_eq!(little(1, &[path()]), Err(WireError::FieldMissing(3)));
    assert_eq!(little(1, &[member()]), Err(WireError::FieldMissing(1)));
    assert_eq!(
        little(4, &[path(), member()]),
        Err(WireError::FieldMissing(2))
    );
    assert_eq!(little(2, &[]), Err(WireError::FieldMissing(5)));
    assert_eq!(
        little(3, &[number(LE, 5, 1)]),
        Err(WireError::FieldMissing(4))
    );
    assert_eq!(
        little(1, &[path(), member(), member()]),
        Err(WireError::FieldTwice(3))
    );
    assert_eq!(
        little(2, &[number(LE, 5, 0)]),
        Err(WireError::FieldValue(5))
    );
    assert_eq!(
        little(2, &[number(LE, 9, 254)]),
        Err(WireError::FieldValue(9))
    );
    assert_eq!(
        little(9, &[text(LE, 1, b's', "/a")]),
        Err(WireError::FieldType(1))
    );
    assert_eq!(
        little(9, &[text(LE, 1, b'o', "a")]),
        Err(WireError::FieldValue(1))
    );
    assert_eq!(
        little(9, &[text(LE, 2, b's', "a")]),
        Err(WireError::FieldValue(2))
    );
    assert_eq!(
        little(9, &[text(LE, 3, b's', "a.b")]),
        Err(WireError::FieldValue(3))
    );
    assert_eq!(
        little(9, &[text(LE, 6, b's', "a")]),
        Err(WireError::FieldValue(6))
    );
    assert_eq!(
        little(9, &[text(LE, 0, b's', "a")]),
        Err(WireError::FieldCode)
    );
}

#[test]
fn messages_that_libraries_make_for_themselves_are_refused() {
    let local = text(LE, 1, b'o', "/org/freedesktop/DBus/Local");
    assert_eq!(
        little(4, &[local, member(), text(LE, 2, b's', "a.b")]),
        Err(WireError::FieldValue(1))
    );
    let local = text(LE, 2, b's', "org.freedesktop.DBus.Local");
    assert_eq!(
        little(4, &[path(), member(), local]),
        Err(WireError::FieldValue(2))
    );
}

#[test]
fn unknown_fields_are_skipped_by_their_signatures() {
    // Field 10 with (yv), in which the variant holds a string.
    let mut unknown = vec![10, 4];
    unknown.extend(b"(yv)\0");
    unknown.resize(8, 0);
    unknown.extend([7, 1, b's', 0, 2, 0, 0, 0, b'h', b'i', 0]);
    assert_eq!(little(1, &[unknown.clone(), path(), member()]), Ok(()));
    assert_eq!(little(1, &[path(), member(), unknown]), Ok(()));
    assert_eq!(
        little(9, &[vec![10, 2, b'y', b'y', 0, 1, 1]]),
        Err(WireError::Signature)
    );
}

#[test]
fn strings_must_be_text_and_padding_zero() {
    let mut bad = path();
    *bad.last_mut().unwrap() = 1;
    assert_eq!(little(9, &[bad]), Err(WireError::String));
    let mut bytes = header(LE, 9, &[&path(), &member()]);
    let last = bytes.len() - 1;
    bytes[last] = 1;
    assert_eq!(parse(&bytes), Err(WireError::Padding));
}

#[test]
fn lengths_beyond_the_limits_are_refused_at_once() {
    let mut bytes = header(LE, 9, &[]);
    bytes[4..8].copy_from_slice(&LE.bytes(128 * 1024 * 1024));
    assert_eq!(parse(&bytes), Err(WireError::TooLong));
    bytes[4..8].copy_from_slice(&LE.bytes(128 * 1024 * 1024 - 16));
    assert_eq!(parse(&bytes), Err(WireError::FieldMissing(8)));
    bytes[12..16].copy_from_slice(&LE.bytes(64 * 1024 + 1));
    assert_eq!(parse(&bytes), Err(WireError::TooLong));
    bytes[12..16].copy_from_slice(&LE.bytes(u32::MAX));
    assert_eq!(parse(&bytes), Err(WireError::TooLong));
    assert_eq!(parse(b"x"), Err(WireError::Endian(b'x')));
}
