//! What somebody may have meant who mistyped a name.

/// The one of `names` that is meant by `typed`: the only one that it is the beginning of, or that
/// has its words and others between them; else the one that is most like it, if one is like enough.
#[must_use]
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = spelt(typed);
    let names: Vec<_> = names.into_iter().map(|name| (spelt(name), name)).collect();
    only_longer(&typed, &names).or_else(|| most_like(&typed, &names))
}

/// Large and small letters, and the signs between words, are easily mistaken.
fn spelt(name: &str) -> String {
    name.to_lowercase().replace(BETWEEN_WORDS, "_")
}

const BETWEEN_WORDS: [char; 4] = ['.', '-', '_', ' '];
/// Fewer letters are the beginning of anything.
const BEGINNING: usize = 4;

fn only_longer<'a>(typed: &str, names: &[(String, &'a str)]) -> Option<&'a str> {
    if typed.chars().count() < BEGINNING {
        return None;
    }
    let words = |text: &str| {
        let mut rest = text.split('_');
        let mut words = typed.split('_');
        words.all(|word| rest.any(|other| other == word))
    };
    let mut longer = names
        .iter()
        .filter(|(name, _)| name.starts_with(typed) || (typed.contains('_') && words(name)));
    match (longer.next(), longer.next()) {
        (Some((_, only)), None) => Some(only),
        _ => None,
    }
}

fn most_like<'a>(typed: &str, names: &[(String, &'a str)]) -> Option<&'a str> {
    names
        .iter()
        .filter_map(|(name, shown)| {
            // The words that both begin with do not make the others more alike.
            let alike = alike(typed, name);
            let (rest, other) = (&typed[alike..], &name[alike..]);
            // Two slips in a name of six letters; of a short name hardly anything would be left.
            let allowed = (rest.chars().count() / 3).min(3);
            let distance = strsim::osa_distance(rest, other);
            (distance <= allowed).then_some((distance, *shown))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many bytes the words have that both begin with.
fn alike(one: &str, other: &str) -> usize {
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b);
    let same = same.map(|(byte, _)| byte).collect::<Vec<_>>();
    same.iter()
        .rposition(|byte| *byte == b'_')
        .map_or(0, |at| at + 1)
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
            ("read", Some("read-only")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
        let settings = [
            "cpu.cfs_period_us",
            "cpu.cfs_quota_us",
            "memory.limit_in_bytes",
            "memory.max",
            "memory.min",
            "memory.swap.high",
            "memory.swap.max",
        ];
        for (typed, meant) in [
            // Fewer slips lead to memory.min.
            ("memory.limit", Some("memory.limit_in_bytes")),
            ("memory-limit-in-bytes", Some("memory.limit_in_bytes")),
            ("memory.limit_in_byte", Some("memory.limit_in_bytes")),
            ("cpu.quota", Some("cpu.cfs_quota_us")),
            ("memory.swap", None),
            ("memory.", None),
            ("memory.usage", None),
            ("memory.swapp.max", Some("memory.swap.max")),
        ] {
            assert_eq!(nearest(typed, settings), meant, "{typed}");
        }
        // One letter is the whole of the last word.
        assert_eq!(nearest("com.example.a", ["com.example.b"]), None);
        assert_eq!(suggestion("gateway", names), "; did you mean \"gateways\"?");
    }
}
