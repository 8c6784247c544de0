//! Reading introspection data (D-Bus specification, "Introspection Data Format").

use std::collections::BTreeMap;

/// The members of an interface with their arguments or annotations.
pub fn members(xml: &str, name: &str) -> BTreeMap<String, Vec<BTreeMap<String, String>>> {
    let mut text = xml.to_owned();
    while let Some(start) = text.find("<!--") {
        let end = text[start..].find("-->").unwrap() + start + 3;
        text.replace_range(start..end, "");
    }
    let (_, interface) = text
        .split_once(&format!("<interface name=\"{name}\">"))
        .unwrap();
    let (interface, _) = interface.split_once("</interface>").unwrap();
    let mut members: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut current = String::new();
    for tag in interface.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        let (element, rest) = tag
            .trim_end_matches('/')
            .split_once(' ')
            .unwrap_or((tag, ""));
        let mut attributes = BTreeMap::new();
        for part in rest.split_whitespace() {
            let (name, value) = part.split_once('=').unwrap();
            attributes.insert(name.to_owned(), value.trim_matches('"').to_owned());
        }
        match element {
            "method" | "signal" | "property" => {
                current = format!("{element} {}", attributes["name"]);
                let own = (element == "property").then_some(attributes);
                members.insert(current.clone(), own.into_iter().collect());
            }
            "arg" | "annotation" => members.get_mut(&current).unwrap().push(attributes),
            other => assert!(other.starts_with('/'), "unexpected element {other}"),
        }
    }
    members
}
