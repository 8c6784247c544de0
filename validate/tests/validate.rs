//! Runs the program on real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

fn validate(arguments: &[&str], dir: &Path) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_softwarecontainer-validate"))
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap();
    (
        status.code().unwrap(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, content) in files {
        fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

const GOOD: &str = r#"{"version": "1", "capabilities": [
    {"name": "org.example.a", "gateways": [{"id": "env", "config": [{"name": "A", "value": "1"}]}]},
    {"name": "org.example.b"}]}"#;

#[test]
fn the_shipped_manifests_have_no_mistake() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let arguments = ["--strict", "-d", "manifests/default", "manifests/examples"];
    let (status, stdout, stderr) = validate(&arguments, root);
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert!(stdout.ends_with("no mistakes\n"), "{stdout}");
}

#[test]
fn good_manifests_pass_and_are_counted() {
    let dir = directory(&[("m/a.json", GOOD), ("m/README", "no manifest")]);
    assert_eq!(
        validate(&["m"], dir.path()),
        (
            0,
            "1 manifests, 2 capabilities: no mistakes\n".into(),
            String::new()
        )
    );
    assert_eq!(
        validate(&["-q", "m/a.json"], dir.path()),
        (0, String::new(), String::new())
    );
}

#[test]
fn a_mistake_in_a_gateway_config_is_told_with_line_and_column() {
    let dir = directory(&[(
        "m/a.json",
        "{\"version\": \"1\", \"capabilities\": [{\n  \"name\": \"org.example.a\",\n  \"gateways\": [{\n    \"id\": \"devicenode\",\n    \"config\": [\n      {\"name\": \"/dev/x\"},\n      {\"name\": \"/dev/y\", \"mode\": \"999\"}\n    ]\n  }]\n}]}\n",
    )]);
    let (status, stdout, stderr) = validate(&["m"], dir.path());
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert_eq!(
        stderr,
        "m/a.json:7:34: error: capability org.example.a: gateway \"devicenode\", config[1].mode: \"999\" is not three octal digits\n"
    );
}

#[test]
fn all_mistakes_are_found_in_one_run() {
    let dir = directory(&[
        ("m/a.json", "{\n\"version\": 1, \"capabilities\": []}"),
        ("m/b.json", "{"),
        (
            "m/c.json",
            "{\"version\": \"1\", \"capabilities\": [{\"name\": \"c\", \"gateways\": [\n{\"id\": \"bluetooth\", \"config\": [{}]},\n{\"id\": \"env\", \"config\": []},\n{\"id\": \"wayland\", \"config\": [{}]}]}]}",
        ),
    ]);
    let (status, _, stderr) = validate(&["m"], dir.path());
    assert_eq!(status, 1);
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(
        lines,
        [
            "m/a.json:2:12: error: version: must be \"1\", but is 1",
            "m/b.json:1:1: error: EOF while parsing an object",
            "m/c.json:2:8: error: capability c: gateway \"bluetooth\", id: no such gateway, or one that was left out of this build",
            "m/c.json:3:25: error: capability c: gateway \"env\", config: must have at least one element, but is empty",
            "m/c.json:4:30: error: capability c: gateway \"wayland\", config[0].enabled: is missing",
        ]
    );
}

#[test]
fn a_contradiction_between_manifests_is_found() {
    let manifest = |value: &str| {
        format!(
            r#"{{"version": "1", "capabilities": [{{"name": "x", "gateways": [{{"id": "env", "config": [{{"name": "A", "value": "{value}"}}]}}]}}]}}"#
        )
    };
    let (one, two) = (manifest("1"), manifest("2"));
    let same_name = directory(&[("m/a.json", &one), ("m/b.json", &two)]);
    let with_default = directory(&[("m/b.json", &two), ("d/a.json", &one)]);
    for (arguments, dir) in [(&["m"][..], &same_name), (&["-d", "d", "m"], &with_default)] {
        let (status, _, stderr) = validate(arguments, dir.path());
        assert_eq!(status, 1, "{stderr}");
        assert!(
            stderr.starts_with("m/b.json:1:")
                && stderr.contains("\"2\" contradicts the value \"1\""),
            "{stderr}"
        );
    }
}

#[test]
fn a_warning_is_a_mistake_only_if_asked_for() {
    let dir = directory(&[("a.json", "{\"capabilities\": [], \"capabilites\": []}")]);
    let (status, stdout, stderr) = validate(&["a.json"], dir.path());
    assert_eq!(
        (status, stdout.as_str()),
        (0, "1 manifests, 0 capabilities: no mistakes\n")
    );
    assert!(
        stderr.contains("a.json:1:1: warning: version is missing"),
        "{stderr}"
    );
    assert!(
        stderr.contains("a.json:1:37: warning: capabilites: unknown key, ignored"),
        "{stderr}"
    );
    assert_eq!(validate(&["--strict", "a.json"], dir.path()).0, 1);
}

#[test]
fn wrong_usage_and_unreadable_paths_have_their_own_status() {
    let dir = directory(&[("notes.txt", "")]);
    for (arguments, expected) in [
        (&[][..], "no manifest or directory named"),
        (&["--frobnicate"], "'--frobnicate'"),
        (
            &["absent"],
            "absent: cannot be read: No such file or directory",
        ),
        (
            &["notes.txt"],
            "notes.txt: is not a file whose name ends in \".json\"",
        ),
        (&["/"], "/: the root directory cannot hold manifests"),
    ] {
        let (status, stdout, stderr) = validate(arguments, dir.path());
        assert_eq!((status, stdout.as_str()), (2, ""), "{stderr}");
        assert!(
            stderr.starts_with("softwarecontainer-validate: ") && stderr.contains(expected),
            "{stderr}"
        );
    }
    assert!(
        validate(&["--help"], dir.path())
            .1
            .starts_with("Usage: softwarecontainer-validate")
    );
    assert!(
        validate(&["-V"], dir.path())
            .1
            .starts_with("softwarecontainer-validate 0.")
    );
}

#[test]
fn host_paths_that_only_a_shell_would_understand_are_mistakes_with_their_place() {
    let file = |host: &str| {
        format!(
            "{{\"path-host\": \"{host}\", \"path-container\": \"/mnt/x\", \"read-only\": true}}"
        )
    };
    let dir = directory(&[(
        "m/a.json",
        &format!(
            "{{\"version\": \"1\", \"capabilities\": [{{\"name\": \"a\", \"gateways\": [\n\
             {{\"id\": \"file\", \"config\": [\n{},\n{},\n{}]}},\n\
             {{\"id\": \"devicenode\", \"config\": [{{\"name\":\n\"/dev/dri/*\"}}]}},\n\
             {{\"id\": \"cgroups\", \"config\": [{{\"setting\":\n\"memory.limit_in_byte\", \"value\": \"1M\"}}]}}]}}]}}",
            file("~/music"),
            file("$HOME/music"),
            file("music")
        ),
    )]);
    let (status, _, stderr) = validate(&["m"], dir.path());
    assert_eq!(status, 1);
    for expected in [
        "m/a.json:3:15: error: capability a: gateway \"file\", config[0].path-host: \"~/music\" begins with",
        "m/a.json:4:15: error: capability a: gateway \"file\", config[1].path-host: \"$HOME/music\" has a variable",
        "m/a.json:5:15: error: capability a: gateway \"file\", config[2].path-host: \"music\" is not an absolute",
        "m/a.json:7:1: error: capability a: gateway \"devicenode\", config[0].name: \"/dev/dri/*\" has wildcards",
        "m/a.json:9:1: warning: capabilities[0].gateways[2].config[0].setting: \"memory.limit_in_byte\" is no control file",
    ] {
        assert!(stderr.contains(expected), "{expected}\n{stderr}");
    }
    assert_eq!(stderr.lines().count(), 5, "{stderr}");
}
