#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs::Permissions, os::unix::fs::PermissionsExt};

use super::*;

#[test]
fn a_command_is_enough() {
    let app = App::parse(r#"{"command": "/bin/true"}"#, "clock").unwrap();
    assert_eq!(app.name, "clock");
    assert_eq!(app.home_in_container, Path::new("/home/clock"));
    assert_eq!(app.directory, Path::new("/home/clock"));
    assert_eq!((app.home, app.output), (None, None));
    assert!(!app.write_buffer && app.mounts.is_empty() && app.capabilities.is_empty());
}

#[test]
fn every_key_is_taken() {
    let app = App::parse(
        r#"{
            "name": "map", "command": "/app/map --dark", "capabilities": ["com.example.net"],
            "home": "/data/map", "home-in-container": "/home/user", "working-directory": "/app",
            "mounts": [{"host": "/opt/map", "container": "/app", "read-only": true}],
            "environment": {"LANG": "C.UTF-8"}, "output": "/var/log/map", "write-buffer": true,
            "user": 1000, "home-owner": 2001
        }"#,
        "file",
    )
    .unwrap();
    assert_eq!(app.name, "map");
    assert_eq!(app.capabilities, ["com.example.net"]);
    assert_eq!(app.home.unwrap(), Path::new("/data/map"));
    assert_eq!(app.home_in_container, Path::new("/home/user"));
    assert_eq!(app.directory, Path::new("/app"));
    assert!(app.mounts[0].read_only);
    assert_eq!(app.environment["LANG"], "C.UTF-8");
    assert!(app.write_buffer);
    assert_eq!((app.user, app.home_owner), (Some(1000), Some(2001)));
}

#[test]
fn the_reason_names_the_key_that_is_wrong() {
    for (text, key) in [
        (r#"{"comand": "x"}"#, "command"),
        (r#"{"command": "x", "hom": "/h"}"#, "hom"),
        (r#"{"command": 1}"#, "command"),
        (r#"{"command": "x", "home": "relative"}"#, "home"),
        (r#"{"command": "x", "capabilities": [1]}"#, "capabilities"),
        (r#"{"command": "x", "write-buffer": "yes"}"#, "write-buffer"),
        (r#"{"command": "x", "environment": {"A": 1}}"#, "A"),
        (
            r#"{"command": "x", "mounts": [{"host": "/h"}]}"#,
            "container",
        ),
        (r#"{"command": "x", "name": "../x"}"#, "../x"),
        (r#"{"command": "x", "user": "app"}"#, "user"),
        (r#"{"command": "x", "user": -1}"#, "user"),
        (
            r#"{"command": "x", "home-owner": 4294967296}"#,
            "home-owner",
        ),
    ] {
        let reason = App::parse(text, "app").unwrap_err().to_string();
        assert!(reason.contains(key), "{text}: {reason}");
    }
}

#[test]
fn a_manifest_that_others_could_have_written_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.json");
    std::fs::write(&path, r#"{"command": "/bin/true"}"#).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(App::load(&path).unwrap().name, "app");
    for mode in [0o664, 0o646] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = softwarecontainer_client::chain(&App::load(&path).unwrap_err());
        assert!(error.contains("others"), "{error}");
    }
}

#[test]
fn a_name_is_looked_up_among_the_apps_and_a_path_is_not() {
    let apps = Path::new("/apps");
    assert_eq!(find(apps, "map"), Path::new("/apps/map.json"));
    assert_eq!(find(apps, "./map.json"), Path::new("./map.json"));
}
