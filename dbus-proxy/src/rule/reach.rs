//! Which names on a bus a rule is about.
//!
//! Rules name no destination: who may call a method may call it on whoever has it. But a bus also
//! tells which names there are, and that a container shall see of only those that it has to do
//! with. Names, interfaces and object paths of a service have one origin by convention (D-Bus
//! specification, "Bus names"; "D-Bus API Design Guidelines"), so the patterns of a rule say which
//! names are meant.

use super::{BusDirection, BusRule};

/// Interfaces that any service may have, so that they are about none.
const STANDARD: &str = "org.freedesktop.DBus";
/// What comes below has many origins.
const SHARED: &str = "org.freedesktop";
/// Who starts apps is not meant by rules about other services of its vendor.
const AGENT: &str = "com.pelagicore.SoftwareContainerAgent";

/// Whether `rule` is about `name`, a well-known one.
pub(super) fn reaches(rule: &BusRule, name: &str) -> bool {
    if [&rule.interface, &rule.path, &rule.member]
        .iter()
        .any(|pattern| pattern.as_str().is_empty())
    {
        return false;
    }
    // Anything may be said to anybody.
    let outgoing = rule.direction != Some(BusDirection::Incoming);
    if outgoing && rule.interface.is_any() && rule.path.is_any() {
        return true;
    }
    let interface = rule.interface.as_str();
    if !rule.interface.is_any() && !interface.starts_with(STANDARD) && related(interface, name) {
        return true;
    }
    let path = rule.path.as_str().trim_start_matches('/').replace('/', ".");
    !rule.path.is_any() && related(&path, name)
}

/// Whether a name and what `pattern` stands for, with dots, have one origin.
fn related(pattern: &str, name: &str) -> bool {
    if super::Pattern::new(pattern).matches(name) {
        return true;
    }
    // What comes before the first wildcard.
    let literal = pattern.split(['*', '?']).next().unwrap_or_default();
    let below = |longer: &str, shorter: &str| {
        let rest = longer.strip_prefix(shorter);
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    // org.freedesktop.login1 has org.freedesktop.login1.Manager.
    if below(literal, name) {
        return true;
    }
    if literal.len() < pattern.len() || !literal.contains('.') {
        return false;
    }
    // org.mpris.MediaPlayer2.vlc has /org/mpris/MediaPlayer2.
    if below(name, literal) {
        return true;
    }
    // org.example.Service has org.example.Test, org.freedesktop.portal.Desktop has
    // org.freedesktop.portal.FileChooser.
    let parent = |text: &str| text.rsplit_once('.').map(|(parent, _)| parent.to_owned());
    name != AGENT
        && parent(literal).is_some_and(|common| {
            common.contains('.') && common != SHARED && parent(name).as_deref() == Some(&common)
        })
}

#[cfg(test)]
mod tests {
    use super::{super::tests::rule, *};

    #[test]
    fn a_rule_is_about_names_of_the_same_origin() {
        let cases = [
            ("org.a.Service", "*", "org.a.Service", true),
            ("org.a.Service", "*", "org.aa.Service", false),
            ("org.a.Service", "*", "org.a.Other", true),
            ("org.a.Service", "*", "org.b.Service", false),
            ("com.pelagicore.Temperature", "*", AGENT, false),
            ("com.pelagicore.*", "*", AGENT, true),
            ("org.a.Service.Part", "*", "org.a.Service", true),
            ("org.a.Service.Part", "*", "org.a.Serv", false),
            ("org.a.*", "*", "org.a.Service", true),
            ("org.bluez.*", "*", "org.bluez", true),
            ("org.?luez", "*", "org.bluez", true),
            (
                "org.freedesktop.DBus.Properties",
                "*",
                "org.a.Service",
                false,
            ),
            (
                "org.freedesktop.DBus.Properties",
                "/org/a/Service",
                "org.a.Service",
                true,
            ),
            ("*", "/org/a/Service/7", "org.a.Service", true),
            ("*", "/org/a/*", "org.a.Service", true),
            ("*", "/org/b/*", "org.a.Service", false),
            ("*", "/", "org.a.Service", false),
            ("a.b", "/Object", "Object.x", false),
            (
                "org.mpris.MediaPlayer2.Player",
                "/org/mpris/MediaPlayer2",
                "org.mpris.MediaPlayer2.vlc",
                true,
            ),
            (
                "org.freedesktop.portal.FileChooser",
                "*",
                "org.freedesktop.portal.Desktop",
                true,
            ),
            (
                "org.freedesktop.Notifications",
                "*",
                "org.freedesktop.login1",
                false,
            ),
            ("", "*", "org.a.Service", false),
            ("org.a.Service", "", "org.a.Service", false),
        ];
        for (interface, path, name, expected) in cases {
            for direction in [
                None,
                Some(BusDirection::Outgoing),
                Some(BusDirection::Incoming),
            ] {
                let rule = rule(direction, interface, path, "*");
                assert_eq!(reaches(&rule, name), expected, "{interface} {path}: {name}");
            }
        }
    }

    #[test]
    fn who_may_say_anything_to_anybody_reaches_every_name() {
        assert!(reaches(&rule(None, "*", "*", "*"), "org.a.B"));
        let outgoing = Some(BusDirection::Outgoing);
        assert!(reaches(&rule(outgoing, "*", "*", "Get"), "org.a.B"));
        // Being called by anybody is not that.
        let incoming = Some(BusDirection::Incoming);
        assert!(!reaches(&rule(incoming, "*", "*", "*"), "org.a.B"));
    }
}
