//! Tests of reading directories of manifests, on real directories.

use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn capability(name: &str, variable: &str) -> String {
    format!(
        r#"{{"version": "1", "capabilities": [{{"name": "{name}", "gateways": [
            {{"id": "env", "config": [{{"name": "A", "value": "{variable}", "mode": "append"}}]}}]}}]}}"#
    )
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

fn load(dir: &TempDir) -> Result<Store, ManifestError> {
    Store::load(&ManifestSource::named(dir.path()), &ManifestSource::none())
}

fn values(configs: &[GatewayConfig]) -> Vec<&str> {
    configs
        .iter()
        .filter_map(|c| c.config.pointer("/0/value")?.as_str())
        .collect()
}

fn select<'a>(
    store: &Store,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<GatewayConfig>, UnknownCapability> {
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    store.select(&names)
}

#[test]
fn files_are_read_in_byte_order_and_equal_names_add_up() {
    let dir = directory(&[
        ("b.json", &capability("x", "3")),
        ("a.json", &capability("x", "2")),
        ("B.json", &capability("x", "1")),
        ("\u{e4}.json", &capability("x", "4")),
    ]);
    let store = load(&dir).unwrap();
    assert_eq!(
        values(&select(&store, ["x"]).unwrap()),
        ["1", "2", "3", "4"]
    );
    assert_eq!(store.names().collect::<Vec<_>>(), ["x"]);
}

#[test]
fn only_names_that_end_in_json_and_are_longer_count() {
    let dir = directory(&[
        (".json", "broken"),
        ("a.json.bak", "broken"),
        ("b.JSON", "broken"),
        ("cjson", "broken"),
        (".d.json", &capability("hidden", "1")),
    ]);
    fs::create_dir(dir.path().join("e.json")).unwrap();
    assert_eq!(load(&dir).unwrap().names().collect::<Vec<_>>(), ["hidden"]);
}

#[test]
fn one_file_may_be_named_instead_of_a_directory() {
    let dir = directory(&[
        ("a.json", &capability("a", "1")),
        ("b.json", &capability("b", "1")),
        ("c.txt", "{}"),
    ]);
    let load = |name: &str| {
        Store::load(
            &ManifestSource::named(dir.path().join(name)),
            &ManifestSource::none(),
        )
    };
    assert_eq!(load("b.json").unwrap().names().collect::<Vec<_>>(), ["b"]);
    let error = load("c.txt").unwrap_err().to_string();
    assert!(
        error.ends_with("/c.txt: is not a file whose name ends in \".json\""),
        "{error}"
    );
}

#[test]
fn defaults_come_first_and_are_neither_listed_nor_found_by_name() {
    let dir = directory(&[("a.json", &capability("a", "1"))]);
    let default = directory(&[("d.json", &capability("d", "0"))]);
    let store = Store::load(
        &ManifestSource::named(dir.path()),
        &ManifestSource::named(default.path()),
    )
    .unwrap();
    assert_eq!(store.names().collect::<Vec<_>>(), ["a"]);
    assert_eq!(values(&select(&store, ["a"]).unwrap()), ["0", "1"]);
    assert_eq!(values(&select(&store, []).unwrap()), ["0"]);
    let error = select(&store, ["a", "d"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no service manifest defines capability \"d\": it is a default capability, which every container \
         has without naming it"
    );
}

#[test]
fn named_capabilities_keep_their_order_and_count_once() {
    let dir = directory(&[
        ("a.json", &capability("a", "1")),
        ("b.json", &capability("b", "2")),
    ]);
    let store = load(&dir).unwrap();
    assert_eq!(
        values(&select(&store, ["b", "a", "b"]).unwrap()),
        ["2", "1"]
    );
}

#[test]
fn the_root_directory_is_refused_however_it_is_spelt() {
    for path in ["/", "//", "/usr/.."] {
        let error = Store::load(&ManifestSource::named(path), &ManifestSource::none()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{path}: the root directory cannot hold manifests")
        );
    }
    let dir = TempDir::new().unwrap();
    symlink("/", dir.path().join("link")).unwrap();
    assert!(
        Store::load(
            &ManifestSource::named(dir.path().join("link")),
            &ManifestSource::none()
        )
        .is_err()
    );
}

#[test]
fn a_named_place_must_exist_and_a_default_one_may_be_absent() {
    let absent = "/nonexistent/manifests";
    let error = Store::load(&ManifestSource::named(absent), &ManifestSource::none()).unwrap_err();
    assert_eq!(error.to_string(), "/nonexistent/manifests: cannot be read");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("No such file"), "{cause}");
    let store = Store::load(
        &ManifestSource::default_place(absent),
        &ManifestSource::none(),
    )
    .unwrap();
    assert_eq!(
        store.warnings()[0].to_string(),
        "/nonexistent/manifests: does not exist, counts as empty"
    );
}

#[test]
fn one_broken_manifest_stops_the_reading_with_its_place() {
    let dir = directory(&[
        ("a.json", &capability("a", "1")),
        ("b.json", "{\n \"version\" \"1\"}"),
    ]);
    let error = load(&dir).unwrap_err().to_string();
    assert!(error.ends_with("/b.json:2:12: expected `:`"), "{error}");
}

#[test]
fn a_dangling_link_is_an_error_and_not_a_missing_capability() {
    let dir = directory(&[]);
    symlink("/nonexistent/a.json", dir.path().join("a.json")).unwrap();
    assert!(matches!(load(&dir), Err(ManifestError::Read { .. })));
}

#[test]
fn what_a_gateway_cannot_use_is_a_warning_with_its_place_and_stops_nothing() {
    let dir = directory(&[(
        "a.json",
        "{\"version\": \"1\", \"capabilities\": [\n\
         {\"name\": \"bad\", \"gateways\": [{\"id\": \"dbus\", \"config\": [\"malformed\",\n\
           {\"dbus-gateway-config-session\": 7}]}]},\n\
         {\"name\": \"empty\", \"gateways\": [{\"id\": \"env\", \"config\": []}]},\n\
         {\"name\": \"odd\", \"gateways\": [{\"id\": \"bluetooth\", \"config\": [{}]}]},\n\
         {\"name\": \"good\"}]}",
    )]);
    let store = load(&dir).unwrap();
    assert_eq!(
        store.names().collect::<Vec<_>>(),
        ["bad", "empty", "good", "odd"]
    );
    let warnings: Vec<String> = store.warnings().iter().map(ToString::to_string).collect();
    let file = dir.path().join("a.json").display().to_string();
    for expected in [
        ":2:56: capability bad: gateway \"dbus\", config[0]: must be an object, but is \"malformed\"",
        ":3:33: capability bad: gateway \"dbus\", config[1].dbus-gateway-config-session: must be an array, but is 7",
        ":4:56: capability empty: gateway \"env\", config: must have at least one element, but is empty",
        ":5:37: capability odd: gateway \"bluetooth\", id: no such gateway, or one that was left out of this build",
    ] {
        let expected = format!("{file}{expected}");
        assert!(warnings.contains(&expected), "{expected}\n{warnings:#?}");
    }
    assert_eq!(warnings.len(), 4, "{warnings:#?}");
}

#[test]
fn a_manifest_or_directory_that_everybody_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = directory(&[("a.json", &capability("x", "1"))]);
    let file = dir.path().join("a.json");
    for path in [&file, dir.path()] {
        let before = fs::metadata(path).unwrap().permissions();
        fs::set_permissions(path, fs::Permissions::from_mode(before.mode() | 0o002)).unwrap();
        let error = load(&dir).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{}: everybody can write", path.display())),
            "{error}"
        );
        fs::set_permissions(path, before).unwrap();
        load(&dir).unwrap();
    }
}

#[test]
fn an_unknown_name_comes_with_advice() {
    let dir = directory(&[("a.json", &capability("com.example.radio", "1"))]);
    let default = directory(&[("d.json", &capability("com.example.base", "1"))]);
    let store = Store::load(
        &ManifestSource::named(dir.path()),
        &ManifestSource::named(default.path()),
    )
    .unwrap();
    for (name, advice) in [
        ("com.example.raido", "; did you mean \"com.example.radio\"?"),
        (
            "com.example.base",
            ": it is a default capability, which every container has without naming it",
        ),
        ("org.other", ""),
    ] {
        let error = select(&store, [name]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no service manifest defines capability {name:?}{advice}")
        );
    }
}
