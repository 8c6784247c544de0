//! Signatures, and skipping values by them: a header may hold fields that a later specification
//! adds.

use super::{Reader, WireError, names};

/// Nesting that the specification allows, arrays and structs together.
const DEPTH: u32 = 64;
const DEPTH_PER_KIND: u32 = 32;

/// Checks a signature of any number of complete types.
pub(super) fn check(signature: &str) -> Result<(), WireError> {
    let mut rest = signature.as_bytes();
    while !rest.is_empty() {
        rest = complete(rest, 0, 0)?;
    }
    Ok(())
}

/// Checks the first complete type of `signature` and returns what follows it.
fn complete(signature: &[u8], arrays: u32, structs: u32) -> Result<&[u8], WireError> {
    if arrays > DEPTH_PER_KIND || structs > DEPTH_PER_KIND {
        return Err(WireError::Depth);
    }
    let (&first, rest) = signature.split_first().ok_or(WireError::Signature)?;
    match first {
        b'y' | b'b' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd' | b'h' | b's' | b'o'
        | b'g' | b'v' => Ok(rest),
        b'a' if rest.first() == Some(&b'{') => {
            let rest = rest.get(1..).ok_or(WireError::Signature)?;
            let key = rest.first().ok_or(WireError::Signature)?;
            if !key.is_ascii_lowercase() || matches!(key, b'a' | b'v') {
                return Err(WireError::Signature);
            }
            // A dict entry counts as a struct in libdbus, too.
            let rest = complete(rest, arrays + 1, structs + 1)?;
            let rest = complete(rest, arrays + 1, structs + 1)?;
            rest.strip_prefix(b"}").ok_or(WireError::Signature)
        }
        b'a' => complete(rest, arrays + 1, structs),
        b'(' => {
            let mut rest = complete(rest, arrays, structs + 1)?;
            loop {
                if let Some(rest) = rest.strip_prefix(b")") {
                    return Ok(rest);
                }
                rest = complete(rest, arrays, structs + 1)?;
            }
        }
        _ => Err(WireError::Signature),
    }
}

fn alignment(kind: u8) -> usize {
    match kind {
        b'n' | b'q' => 2,
        b'b' | b'i' | b'u' | b'h' | b's' | b'o' | b'a' => 4,
        b'x' | b't' | b'd' | b'(' | b'{' => 8,
        _ => 1,
    }
}

/// Skips one value whose type is the whole of `signature`, as a variant holds it.
pub(super) fn skip_single(
    reader: &mut Reader<'_>,
    signature: &str,
    depth: u32,
) -> Result<(), WireError> {
    let signature = signature.as_bytes();
    if !complete(signature, 0, 0)?.is_empty() {
        return Err(WireError::Signature);
    }
    skip(reader, signature, depth).map(|_| ())
}

/// Skips a value of the first complete type of `signature`, which is valid, and returns what
/// follows the type.
fn skip<'s>(
    reader: &mut Reader<'_>,
    signature: &'s [u8],
    depth: u32,
) -> Result<&'s [u8], WireError> {
    if depth > DEPTH {
        return Err(WireError::Depth);
    }
    let (&kind, rest) = signature.split_first().ok_or(WireError::Signature)?;
    reader.align(alignment(kind))?;
    match kind {
        b'y' => reader.take(1).map(drop)?,
        b'n' | b'q' => reader.take(2).map(drop)?,
        b'i' | b'u' | b'h' => reader.take(4).map(drop)?,
        b'x' | b't' | b'd' => reader.take(8).map(drop)?,
        b'b' => {
            if reader.u32()? > 1 {
                return Err(WireError::Boolean);
            }
        }
        b's' => reader.string().map(drop)?,
        b'o' => {
            if !names::is_path(reader.string()?) {
                return Err(WireError::String);
            }
        }
        b'g' => check(reader.signature()?)?,
        b'v' => {
            let inner = reader.signature()?;
            skip_single(reader, inner, depth + 1)?;
        }
        b'a' => {
            let length = reader.length()?;
            let (&element, _) = rest.split_first().ok_or(WireError::Signature)?;
            reader.align(alignment(element))?;
            let end = reader.position().checked_add(length);
            let end = end.ok_or(WireError::TooLong)?;
            while reader.position() < end {
                skip(reader, rest, depth + 1)?;
            }
            if reader.position() != end {
                return Err(WireError::Truncated);
            }
            return complete(rest, 0, 0);
        }
        b'(' | b'{' => {
            let mut fields = rest;
            while !matches!(fields.first(), Some(b')' | b'}')) {
                fields = skip(reader, fields, depth + 1)?;
            }
            return fields.get(1..).ok_or(WireError::Signature);
        }
        _ => return Err(WireError::Signature),
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::super::Endian;
    use super::*;

    #[test]
    fn signatures_of_the_specification_are_told_from_malformed_ones() {
        let valid = [
            "",
            "s",
            "a{sv}",
            "a(ii)",
            "(i(ss)a{ya(b)})",
            "aaaav",
            "yqnuixtdhog",
        ];
        for signature in valid {
            assert_eq!(check(signature), Ok(()), "{signature}");
        }
        for signature in [
            "a", "()", "(i", "i)", "{sv}", "a{vs}", "a{s}", "a{sss}", "a{(i)s}", "z", "m",
        ] {
            assert!(check(signature).is_err(), "{signature}");
        }
        assert_eq!(check(&"a".repeat(33)), Err(WireError::Depth));
        assert_eq!(check(&("(".repeat(33) + "i")), Err(WireError::Depth));
    }

    #[test]
    fn values_are_skipped_exactly() {
        // a(ys) with two elements, little endian, at offset 0.
        let mut data = vec![22, 0, 0, 0, 0, 0, 0, 0];
        data.extend([1, 0, 0, 0, 1, 0, 0, 0, b'x', 0, 0, 0, 0, 0, 0, 0]);
        data.extend([2, 0, 0, 0, 0, 0]);
        let mut reader = Reader::new(&data, 0, Endian::Little);
        assert_eq!(
            skip_single(&mut reader, "a(ys)", 0),
            Err(WireError::Truncated)
        );
        data.extend([0, 0, 0]);
        data[0] = 25;
        let mut reader = Reader::new(&data, 0, Endian::Little);
        assert_eq!(skip_single(&mut reader, "a(ys)", 0), Ok(()));
        assert!(reader.at_end());
    }

    #[test]
    fn variants_cannot_nest_without_end() {
        let mut data = Vec::new();
        for _ in 0..200 {
            data.extend([1, b'v', 0]);
        }
        let mut reader = Reader::new(&data, 0, Endian::Little);
        assert_eq!(skip_single(&mut reader, "v", 0), Err(WireError::Depth));
    }
}
