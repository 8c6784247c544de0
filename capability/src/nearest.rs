//! What somebody may have meant who mistyped a name.

/// The one of `names` that is most like `typed`, if one is like enough to be meant.
#[must_use]
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Two slips in a name of six letters; of a short name hardly anything would be left.
    let allowed = (typed.chars().count() / 3).min(3);
    let lower = typed.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `; did you mean "…"?`, or nothing.
#[must_use]
pub fn suggestion<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, names).map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let names = ["gateways", "name", "read-only", "id"];
        for (typed, meant) in [
            ("gateway", Some("gateways")),
            ("Name", Some("name")),
            ("nmae", Some("name")),
            ("readonly", Some("read-only")),
            ("read_only", Some("read-only")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
        assert_eq!(suggestion("gateway", names), "; did you mean \"gateways\"?");
    }
}
