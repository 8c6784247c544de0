//! Validity of names and paths (D-Bus specification, "Valid Names").

const LENGTH: usize = 255;

fn element(bytes: &[u8], digit_first: bool, hyphen: bool) -> bool {
    let allowed =
        |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || (hyphen && *byte == b'-');
    match bytes.first() {
        None => false,
        Some(first) => (digit_first || !first.is_ascii_digit()) && bytes.iter().all(allowed),
    }
}

fn dotted(name: &str, digit_first: bool, hyphen: bool) -> bool {
    name.len() <= LENGTH
        && name.contains('.')
        && name
            .split('.')
            .all(|part| element(part.as_bytes(), digit_first, hyphen))
}

pub(super) fn is_interface(name: &str) -> bool {
    dotted(name, false, false)
}

/// Error names follow the rules of interface names.
pub(super) fn is_error(name: &str) -> bool {
    is_interface(name)
}

pub(super) fn is_bus_name(name: &str) -> bool {
    match name.strip_prefix(':') {
        Some(unique) => name.len() <= LENGTH && dotted(unique, true, true),
        None => dotted(name, false, true),
    }
}

pub(super) fn is_member(name: &str) -> bool {
    name.len() <= LENGTH && element(name.as_bytes(), false, false)
}

pub(super) fn is_path(path: &str) -> bool {
    match path.strip_prefix('/') {
        None => false,
        Some("") => true,
        Some(rest) => rest
            .split('/')
            .all(|part| element(part.as_bytes(), true, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_specification() {
        assert!(is_interface("org.freedesktop.DBus"));
        assert!(!is_interface("org"));
        assert!(!is_interface("org..x"));
        assert!(!is_interface("org.1x"));
        assert!(!is_interface("org.x-y"));
        assert!(!is_interface(&format!("a.{}", "b".repeat(254))));
        assert!(is_bus_name(":1.42"));
        assert!(is_bus_name("org.x-y"));
        assert!(!is_bus_name(":"));
        assert!(!is_bus_name("org.1x"));
        assert!(is_member("Echo_2"));
        assert!(!is_member(""));
        assert!(!is_member("2x"));
        assert!(!is_member("a.b"));
    }

    #[test]
    fn paths_follow_the_specification() {
        for path in ["/", "/a", "/1/_x"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["", "a", "/a/", "//", "/a//b", "/a-b", "/ä"] {
            assert!(!is_path(path), "{path}");
        }
    }
}
