//! Tests of reading one manifest.

use super::*;
use crate::gateway::tests::any_json;
use proptest::prelude::*;
use serde_json::json;

fn read(source: &str) -> Result<Manifest, FormatError> {
    parse(Path::new("/m/a.json"), source.as_bytes())
}

fn error(source: &str) -> String {
    read(source).unwrap_err().to_string()
}

#[test]
fn reads_capabilities_and_gateways_in_their_order() {
    let manifest = read(
        r#"{"version": "1", "capabilities": [
            {"name": "b", "gateways": [{"id": "x", "config": [{"k": 1}]}, {"id": "env", "config": []}]},
            {"name": "a", "gateways": []}, {"name": "a"}]}"#,
    )
    .unwrap();
    let names: Vec<&str> = manifest
        .capabilities
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(names, ["b", "a", "a"]);
    let gateways = &manifest.capabilities[0].gateways;
    assert_eq!(gateways[0].config, json!([{"k": 1}]));
    assert_eq!(gateways[1].id, "env");
    assert_eq!(gateways[1].origin.to_string(), "capability b in /m/a.json");
    assert_eq!(
        gateways[1].origin.path.to_string(),
        "capabilities[0].gateways[1]"
    );
    assert_eq!(manifest.warnings, []);
}

#[test]
fn a_syntax_error_tells_file_line_and_column() {
    assert_eq!(
        error("{\"version\": \"1\",\n  capabilities: []}"),
        "/m/a.json:2:3: key must be a string"
    );
    assert!(error("").starts_with("/m/a.json:1:0: EOF"), "{}", error(""));
    assert!(error("{} {}").starts_with("/m/a.json:1:4: trailing characters"));
    assert!(error(&"[".repeat(5000)).contains("recursion limit"));
    assert!(
        parse(Path::new("/m/a.json"), b"{\"version\": \"\xff\"}")
            .unwrap_err()
            .to_string()
            .starts_with("/m/a.json:1:")
    );
}

#[test]
fn a_structural_error_tells_file_line_column_and_key() {
    for (source, expected) in [
        (
            "[]",
            "/m/a.json:1:1: manifest: must be an object, but is []",
        ),
        (
            "{\"version\": \"1\"}",
            "/m/a.json:1:1: capabilities: is missing",
        ),
        (
            "{\"version\": \"1\",\n\"capabilities\": {}}",
            "/m/a.json:2:17: capabilities: must be an array, but is {}",
        ),
        (
            "{\"version\": \"2\", \"capabilities\": []}",
            "/m/a.json:1:13: version: must be \"1\", but is \"2\"",
        ),
        (
            "{\"version\": 1, \"capabilities\": []}",
            "/m/a.json:1:13: version: must be \"1\", but is 1",
        ),
        (
            "{\"capabilities\": [\n 7]}",
            "/m/a.json:2:2: capabilities[0]: must be an object, but is 7",
        ),
        (
            "{\"capabilities\": [{}]}",
            "/m/a.json:1:19: capabilities[0].name: is missing",
        ),
        (
            "{\"capabilities\": [{\"name\": \"\"}]}",
            "/m/a.json:1:28: capabilities[0].name: must be a non-empty string, but is \"\"",
        ),
        (
            "{\"capabilities\": [{\"name\": \"a\\u0000b\"}]}",
            "/m/a.json:1:28: capabilities[0].name: \"a\\0b\" contains a NUL character",
        ),
        (
            "{\"capabilities\": [{\"name\": \"a\",\n\"gateways\": null}]}",
            "/m/a.json:2:13: capabilities[0].gateways: must be an array, but is null",
        ),
        (
            "{\"capabilities\": [{\"name\": \"a\", \"gateways\": [\n{\"config\": []}]}]}",
            "/m/a.json:2:1: capabilities[0].gateways[0].id: is missing",
        ),
        (
            "{\"capabilities\": [{\"name\": \"a\", \"gateways\": [\n{\"id\": \"env\"}]}]}",
            "/m/a.json:2:1: capabilities[0].gateways[0].config: is missing",
        ),
        (
            "{\"capabilities\": [{\"name\": \"a\", \"gateways\": [{\"id\": \"env\",\n\"config\": {}}]}]}",
            "/m/a.json:2:11: capabilities[0].gateways[0].config: must be an array, but is {}",
        ),
    ] {
        assert_eq!(error(source), expected, "{source}");
    }
}

#[test]
fn gateways_under_another_name_are_an_error_since_the_capability_would_open_nothing() {
    assert_eq!(
        error(
            "{\"capabilities\": [{\"name\": \"a\",\n \"gateway\": [{\"id\": \"env\", \"config\": []}]}]}"
        ),
        "/m/a.json:2:13: capabilities[0].gateway: unknown key; did you mean \"gateways\"?"
    );
}

#[test]
fn a_byte_order_mark_is_no_mistake_and_takes_no_column() {
    let manifest = read("\u{feff}{\"version\": \"1\", \"capabilities\": []}").unwrap();
    assert_eq!(manifest.warnings, []);
    assert_eq!(
        error("\u{feff}{\"version\": 7}"),
        "/m/a.json:1:13: version: must be \"1\", but is 7"
    );
    assert!(error("\u{feff}oops").starts_with("/m/a.json:1:1: "));
}

#[test]
fn a_mistyped_setting_of_the_cgroups_gateway_is_a_warning() {
    let manifest = read(
        r#"{"version": "1", "capabilities": [{"name": "a", "gateways": [{"id": "cgroups", "config": [
            {"setting": "memory.limit_in_byte", "value": "1M"}]}]}]}"#,
    )
    .unwrap();
    assert_eq!(
        manifest.warnings[0].to_string(),
        "/m/a.json:2:25: capabilities[0].gateways[0].config[0].setting: \"memory.limit_in_byte\" is no control \
         file of cgroups that is known; did you mean \"memory.limit_in_bytes\"?"
    );
}

#[test]
fn comments_and_single_quotes_are_called_by_their_names() {
    for (text, place, advice) in [
        ("// apps\n{}", "/m/a.json:1:1: ", "JSON has no comments"),
        ("# apps\n{}", "/m/a.json:1:1: ", "JSON has no comments"),
        ("{/* a */}", "/m/a.json:1:2: ", "JSON has no comments"),
        (
            "{\"version\": \"1\", // one\n\"capabilities\": []}",
            "/m/a.json:1:18: ",
            "JSON has no comments",
        ),
        (
            "{\"version\": \"1\" # one\n}",
            "/m/a.json:1:17: ",
            "JSON has no comments",
        ),
        ("{'version': 1}", "/m/a.json:1:2: ", "\"double quotes\""),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.starts_with(place), "{text}: {error}");
        assert!(error.contains(advice), "{text}: {error}");
    }
    let error = read("{\"version\": 1,}").unwrap_err().to_string();
    assert!(error.ends_with("trailing comma"), "{error}");
}

#[test]
fn a_missing_version_is_accepted_with_a_warning() {
    let manifest = read("{\"capabilities\": []}").unwrap();
    assert_eq!(manifest.warnings.len(), 1);
    assert_eq!(
        manifest.warnings[0].to_string(),
        "/m/a.json:1:1: version is missing; \"1\" is assumed"
    );
}

#[test]
fn a_misspelt_key_is_a_warning_with_its_place_at_any_depth() {
    let manifest = read(
        r#"{"version": "1", "capabilities": [{"name": "a", "gateway": [],
            "gateways": [{"id": "devicenode", "config": [
                {"name": "/dev/x", "mod": "600"}]}]}]}"#,
    )
    .unwrap();
    let warnings: Vec<String> = manifest.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        warnings,
        [
            "/m/a.json:1:60: capabilities[0].gateway: unknown key, ignored; did you mean \"gateways\"?",
            "/m/a.json:3:43: capabilities[0].gateways[0].config[0].mod: unknown key, ignored; did you mean \"mode\"?",
        ]
    );
}

proptest! {
    #[test]
    fn any_bytes_are_a_manifest_or_an_error_with_the_file_name(source: Vec<u8>) {
        if let Err(error) = parse(Path::new("/m/a.json"), &source) {
            prop_assert!(error.to_string().starts_with("/m/a.json:"));
        }
    }

    #[test]
    fn any_json_inside_is_accepted_or_an_error_that_lies_in_the_file(json in any_json(), depth in 0..4) {
        let json = match depth {
            0 => json,
            1 => json!({"version": "1", "capabilities": json}),
            2 => json!({"version": "1", "capabilities": [{"name": "a", "gateways": json}]}),
            _ => json!({"version": "1", "capabilities": [{"name": "a", "gateways": [{"id": "env", "config": json}]}]}),
        };
        let source = serde_json::to_string_pretty(&json).unwrap();
        if let Err(FormatError { position, .. }) = read(&source) {
            let line = source.lines().nth(position.line - 1).unwrap();
            prop_assert!(position.column <= line.len(), "{position} of {source}");
        }
    }
}
