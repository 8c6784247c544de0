//! What an element of a gateway's configuration opens, in plain words.

use serde_json::{Map, Value};

use crate::output::harmless;

type Element = Map<String, Value>;

/// One or more sentences without a subject, such as `connects to example.org, tcp, port 443`.
pub fn of(gateway: &str, element: &str) -> Vec<String> {
    let parsed: Option<Element> = serde_json::from_str(element).ok();
    let words = parsed.map(|element| match gateway {
        "env" => env(&element),
        "file" => file(&element),
        "devicenode" => device(&element),
        "cgroups" => cgroups(&element),
        "network" => network(&element),
        "dbus" => dbus(&element),
        "wayland" if is(&element, "enabled") => vec![placed("shows windows", &element, "display")],
        "pulseaudio" if is(&element, "audio") => {
            vec![placed("plays and records sound", &element, "zone")]
        }
        "pipewire" => pipewire(&element),
        "ipc" if is(&element, "host") => vec!["shares System V IPC with the host".to_owned()],
        "privileges" => privileges(&element),
        _ => Vec::new(),
    });
    match words {
        Some(words) if !words.is_empty() => words.iter().map(|text| harmless(text)).collect(),
        _ => vec![harmless(&format!("{gateway}: {element}"))],
    }
}

fn text<'a>(element: &'a Element, key: &str) -> &'a str {
    element.get(key).and_then(Value::as_str).unwrap_or("?")
}

fn is(element: &Element, key: &str) -> bool {
    element.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn placed(what: &str, element: &Element, key: &str) -> String {
    match element.get(key).and_then(Value::as_str) {
        Some(place) => format!("{what} ({key} {place})"),
        None => what.to_owned(),
    }
}

/// A value or the values of an array, without quotes.
fn several(value: &Value) -> String {
    let one = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    match value {
        Value::Array(values) => values.iter().map(one).collect::<Vec<_>>().join(", "),
        value => one(value),
    }
}

fn env(element: &Element) -> Vec<String> {
    let (name, value) = (text(element, "name"), text(element, "value"));
    let mode = element
        .get("mode")
        .and_then(Value::as_str)
        .unwrap_or_default();
    vec![match mode.to_lowercase().as_str() {
        "append" => format!("has {value:?} at the end of the variable {name}"),
        "prepend" => format!("has {value:?} at the start of the variable {name}"),
        _ => format!("has the variable {name}={value}"),
    }]
}

fn file(element: &Element) -> Vec<String> {
    let (host, container) = (text(element, "path-host"), text(element, "path-container"));
    let does = match is(element, "read-only") {
        true => "reads",
        false => "reads and writes",
    };
    let place = match host == container {
        true => String::new(),
        false => format!(" as {container}"),
    };
    vec![format!("{does} {host} of the host{place}")]
}

fn device(element: &Element) -> Vec<String> {
    let what = match element.get("class").and_then(Value::as_str) {
        Some(class) => {
            let mut what = format!("devices of class {class}");
            for key in ["driver", "seat", "parent", "by-path"] {
                if let Some(value) = element.get(key).and_then(Value::as_str) {
                    what += &format!(", {key} {value}");
                }
            }
            what
        }
        None => format!("the device {}", text(element, "name")),
    };
    let mode = element.get("mode").map(several);
    let mode = mode.map_or_else(String::new, |mode| format!(", mode {mode}"));
    let optional = if is(element, "optional") {
        ", if it is there"
    } else {
        ""
    };
    vec![format!("uses {what}{mode}{optional}")]
}

fn cgroups(element: &Element) -> Vec<String> {
    let (setting, value) = (text(element, "setting"), text(element, "value"));
    let default = if is(element, "default") {
        ", unless another capability says otherwise"
    } else {
        ""
    };
    vec![format!("has {setting} = {value}{default}")]
}

fn network(element: &Element) -> Vec<String> {
    let mut words = Vec::new();
    let does = match text(element, "direction") {
        "INCOMING" => "is reached from",
        _ => "connects to",
    };
    let allowed = element.get("allow").and_then(Value::as_array);
    for allowed in allowed.into_iter().flatten().filter_map(Value::as_object) {
        let host = match text(allowed, "host") {
            "*" => "any host of the world outside",
            "gateway" => "the host itself",
            host => host,
        };
        let protocols = allowed.get("protocols").map(several);
        let protocols = protocols.map_or_else(String::new, |it| format!(", {it}"));
        let ports = allowed.get("ports").map(several);
        let ports = ports.map_or_else(String::new, |it| format!(", port {it}"));
        words.push(format!("{does} {host}{protocols}{ports}"));
    }
    for (key, does) in [("egress-rate", "sends"), ("ingress-rate", "receives")] {
        if let Some(rate) = element.get(key) {
            words.push(format!("{does} at most {}", several(rate)));
        }
    }
    words
}

fn dbus(element: &Element) -> Vec<String> {
    let mut words = Vec::new();
    for bus in ["session", "system"] {
        let rules = element.get(&format!("dbus-gateway-config-{bus}"));
        let Some(rules) = rules.and_then(Value::as_array) else {
            continue;
        };
        if rules.is_empty() {
            words.push(format!("is on the {bus} bus, and reaches nobody there"));
        }
        for rule in rules.iter().filter_map(Value::as_object) {
            let does = match text(rule, "direction") {
                "outgoing" => "calls",
                "incoming" => "is called, and hears signals, of",
                _ => "calls, is called, and hears signals, of",
            };
            let method = rule.get("method").map(several).unwrap_or_default();
            let method = match &*method {
                "*" => "anything".to_owned(),
                _ => method,
            };
            let (interface, path) = (text(rule, "interface"), text(rule, "object-path"));
            words.push(format!(
                "{does} {method} of interface {interface} at {path} on the {bus} bus"
            ));
        }
    }
    words
}

fn pipewire(element: &Element) -> Vec<String> {
    let all = [
        ("playback", "plays sound"),
        ("capture", "records sound"),
        ("camera", "sees cameras"),
    ];
    let opened = all.into_iter().filter(|(key, _)| is(element, key));
    opened
        .map(|(_, what)| placed(what, element, "zone"))
        .collect()
}

fn privileges(element: &Element) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(calls) = element.get("allow-syscalls") {
        words.push(format!("makes the system calls {}", several(calls)));
    }
    if let Some(capabilities) = element.get("capabilities") {
        words.push(format!(
            "has the kernel capabilities {}",
            several(capabilities)
        ));
    }
    let limits = element.get("limits").and_then(Value::as_object);
    for (name, value) in limits.into_iter().flatten() {
        words.push(format!("has the limit {name} = {}", several(value)));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gateway_has_words() {
        for (gateway, element, words) in [
            (
                "env",
                r#"{"name": "A", "value": "b"}"#,
                &["has the variable A=b"][..],
            ),
            (
                "file",
                r#"{"path-host": "/a", "path-container": "/b", "read-only": true}"#,
                &["reads /a of the host as /b"],
            ),
            (
                "devicenode",
                r#"{"name": "/dev/x", "mode": 660}"#,
                &["uses the device /dev/x, mode 660"],
            ),
            (
                "devicenode",
                r#"{"class": "drm-render", "driver": "msm", "optional": true}"#,
                &["uses devices of class drm-render, driver msm, if it is there"],
            ),
            (
                "cgroups",
                r#"{"setting": "memory.limit_in_bytes", "value": "64M"}"#,
                &["has memory.limit_in_bytes = 64M"],
            ),
            (
                "network",
                r#"{"direction": "OUTGOING", "egress-rate": "1mbit", "allow": [
                    {"host": "*", "ports": [80, 443], "protocols": "tcp"}, {"host": "gateway"}]}"#,
                &[
                    "connects to any host of the world outside, tcp, port 80, 443",
                    "connects to the host itself",
                    "sends at most 1mbit",
                ],
            ),
            (
                "dbus",
                r#"{"dbus-gateway-config-session": [], "dbus-gateway-config-system": [
                    {"direction": "outgoing", "interface": "org.x.*", "object-path": "*", "method": ["A", "B"]}]}"#,
                &[
                    "is on the session bus, and reaches nobody there",
                    "calls A, B of interface org.x.* at * on the system bus",
                ],
            ),
            ("wayland", r#"{"enabled": true}"#, &["shows windows"]),
            (
                "pulseaudio",
                r#"{"audio": true, "zone": "rear"}"#,
                &["plays and records sound (zone rear)"],
            ),
            (
                "pipewire",
                r#"{"playback": true, "camera": true}"#,
                &["plays sound", "sees cameras"],
            ),
            (
                "ipc",
                r#"{"host": true}"#,
                &["shares System V IPC with the host"],
            ),
            (
                "privileges",
                r#"{"allow-syscalls": ["ptrace"], "limits": {"nofile": 8192}}"#,
                &[
                    "makes the system calls ptrace",
                    "has the limit nofile = 8192",
                ],
            ),
        ] {
            assert_eq!(of(gateway, element), words, "{gateway}");
        }
    }

    #[test]
    fn what_has_no_words_is_shown_as_it_is() {
        assert_eq!(of("new", r#"{"x": 1}"#), [r#"new: {"x": 1}"#]);
        assert_eq!(of("ipc", r#"{"host": false}"#), [r#"ipc: {"host": false}"#]);
        assert_eq!(of("env", "\u{1b}"), ["env: \u{fffd}"]);
    }
}
