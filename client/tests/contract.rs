//! The proxies and errors beside the XML and the agent's own list.
#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command};

use softwarecontainer_client::Error;

#[test]
fn the_proxies_are_what_the_xml_says() {
    let generate = Path::new(env!("CARGO_MANIFEST_DIR")).join("generate");
    let checked = Command::new(generate).arg("--check").output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
}

#[test]
fn every_error_that_the_agent_names_has_a_variant_and_a_line_in_the_book() {
    let agent = include_str!("../../agent/src/bus/error.rs");
    let mut names: Vec<&str> = agent
        .split("named!(\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut known = Error::NAMES.to_vec();
    known.sort_unstable();
    assert_eq!(known, names);
    let book = include_str!("../../docs/src/inside.md");
    for name in names {
        assert!(book.contains(&format!("| `{name}` |")), "{name}");
    }
}
