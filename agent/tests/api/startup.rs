//! Command line, configuration and manifests, as the started program takes them.

use std::{
    fs,
    process::{Command, Output},
    time::Instant,
};

use serde_json::json;

use crate::{
    capabilities::{env, manifest},
    support::{Client, PATIENCE, Setup, TestAgent, wait_until},
};

/// Runs an agent that must end by itself.
fn run(command: &mut Command) -> Output {
    let started = Instant::now();
    let output = command.output().unwrap();
    assert!(started.elapsed() < *PATIENCE);
    output
}

/// The one line on standard error of an agent that does not start.
fn refusal(command: &mut Command) -> String {
    let output = run(command);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code().is_some_and(|code| code != 0),
        "{:?}: {text}",
        output.status
    );
    let last = text.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("softwarecontainer-agent: "), "{text}");
    last
}

#[track_caller]
fn refused(command: &mut Command, parts: &[&str]) {
    let line = refusal(command);
    for part in parts {
        assert!(line.contains(part), "{part:?} is missing from {line:?}");
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_softwarecontainer-agent"))
}

#[test]
fn help_and_version_need_nothing() {
    for option in ["-h", "--help"] {
        let output = run(program().arg(option).env_clear());
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("--manifest-dir"), "{text}");
        assert!(output.stderr.is_empty());
    }
    for option in ["-V", "--version"] {
        let output = run(program().arg(option).env_clear());
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            text,
            format!("softwarecontainer-agent {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn a_command_line_that_is_wrong_is_refused_with_one_line() {
    for (arguments, part) in [
        (&["--no-such-option"][..], "--no-such-option"),
        (&["-c"], "-c"),
        (&["-t", "soon"], "soon"),
        (&["stray"], "stray"),
    ] {
        let line = refusal(program().args(arguments));
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn a_configuration_that_is_wrong_is_named_by_file_line_group_and_key() {
    for (extra, parts) in [
        (
            "no-such-key = 1",
            &["[SoftwareContainer]", "no-such-key"][..],
        ),
        ("shutdown-timeout = soon", &["shutdown-timeout", "soon"]),
        ("shutdown-timeout = -1", &["shutdown-timeout", "-1"]),
        ("create-bridge = maybe", &["create-bridge", "maybe"]),
        ("bridge-ip = 10.0.3", &["bridge-ip", "10.0.3"]),
        (
            "bridge-netmask-bitlength = 25",
            &["bridge-netmask-bitlength", "25"],
        ),
        (
            "bridge-netmask-bitlength = 32",
            &["bridge-netmask-bitlength", "32"],
        ),
        ("bridge-netaddr = 192.168.0.0", &["bridge-netaddr"]),
        ("lxc-path = relative", &["lxc-path", "relative"]),
        ("no assignment", &["="]),
        ("[Other]", &["[Other]"]),
    ] {
        let agent = TestAgent::prepared(&Setup {
            config: extra.to_owned(),
            ..Setup::default()
        });
        let line = refusal(&mut agent.command());
        let config = fs::read_to_string(agent.path("config")).unwrap();
        let number = config.lines().position(|line| line == extra).unwrap() + 1;
        let place = format!("{}:{number}:", agent.path("config").display());
        // Values that contradict each other are reported where one of them is.
        let place = if extra.starts_with("bridge-net") {
            format!("{}:", agent.path("config").display())
        } else {
            place
        };
        assert!(line.contains(&place), "{place} is missing from {line}");
        for part in parts {
            assert!(line.contains(part), "{part:?} is missing from {line:?}");
        }
    }
}

#[test]
fn what_was_named_must_exist() {
    let agent = TestAgent::prepared(&Setup::default());
    let missing = agent.path("missing");
    let path = missing.to_str().unwrap();
    refused(program().args(["-c", path]), &[path, "No such file"]);
    for option in ["-m", "--manifest-dir", "-d", "--default-manifest-dir"] {
        refused(
            agent.command().args([option, path]),
            &[path, "No such file"],
        );
    }
    for extra in [
        format!("deprecated-lxc-config-path = {path}"),
        format!("service-manifest-dir = {path}"),
        format!("default-service-manifest-dir = {path}"),
    ] {
        let agent = TestAgent::prepared(&Setup {
            config: extra,
            ..Setup::default()
        });
        refused(&mut agent.command(), &[path, "No such file"]);
    }
    refused(agent.command().args(["-m", "/"]), &["/"]);
    let text = agent.path("manifest.txt");
    fs::write(&text, "{}").unwrap();
    let text = text.to_str().unwrap();
    refused(agent.command().args(["-m", text]), &[text, ".json"]);
}

#[test]
fn a_manifest_that_is_broken_stops_the_start_with_its_place() {
    let good = manifest(&[("com.good", json!([]))]);
    for (text, place, parts) in [
        ("", ":1:", &[][..]),
        ("{\n  \"version\": \"1\",\n  oops\n}", ":3:3", &[]),
        (
            "{\n  \"version\": \"2\",\n  \"capabilities\": []\n}",
            ":2:",
            &["version", "2"],
        ),
        (
            "{\"version\": 1, \"capabilities\": []}",
            ":1:",
            &["version"],
        ),
        ("[]", ":1:1", &["object"]),
        ("{\"version\": \"1\"}", ":1:1", &["capabilities"]),
        (
            "{\"version\": \"1\",\n \"capabilities\": [\n  {\"gateways\": []}]}",
            ":3:3",
            &["name"],
        ),
        (
            "{\"version\": \"1\",\n \"capabilities\": [{\"name\": \"x\", \"gateways\":\n [{\"id\": 1, \"config\": []}]}]}",
            ":3:",
            &["id"],
        ),
        (
            "{\"version\": \"1\",\n \"capabilities\": [{\"name\": \"x\", \"gateways\":\n [{\"id\": \"env\", \"config\": {}}]}]}",
            ":3:",
            &["config"],
        ),
    ] {
        for default in [false, true] {
            let files = vec![
                ("a.json".to_owned(), good.clone()),
                ("broken.json".to_owned(), text.to_owned()),
            ];
            let (directory, setup) = if default {
                let default_manifests = files;
                (
                    "default-manifests",
                    Setup {
                        default_manifests,
                        ..Setup::default()
                    },
                )
            } else {
                (
                    "manifests",
                    Setup {
                        manifests: files,
                        ..Setup::default()
                    },
                )
            };
            let agent = TestAgent::prepared(&setup);
            let file = agent.path(directory).join("broken.json");
            let place = format!("{}{place}", file.display());
            refused(&mut agent.command(), &[&place]);
            refused(&mut agent.command(), parts);
        }
    }
}

#[test]
fn a_manifest_without_version_is_taken_with_a_warning() {
    let agent = TestAgent::with(&Setup::manifest(
        r#"{"capabilities": [{"name": "com.old", "gateways": []}]}"#,
    ));
    assert_eq!(agent.client().list_capabilities(), ["com.old"]);
    let log = agent.log();
    assert!(
        log.contains("test.json") && log.contains("version"),
        "{log}"
    );
}

/// Starts an agent by hand and asks it something.
fn with_running<T>(agent: &TestAgent, command: &mut Command, ask: impl FnOnce(&Client) -> T) -> T {
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let client = Client::connect(agent.address());
    wait_until("the agent answers", || {
        assert!(child.try_wait().unwrap().is_none(), "the agent has ended");
        client.list().is_ok()
    });
    let answer = ask(&client);
    crate::support::signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    answer
}

#[test]
fn the_command_line_wins_over_the_file() {
    let agent = TestAgent::prepared(&Setup {
        config: "shutdown-timeout = 60\nuse-session-bus = false".to_owned(),
        manifests: vec![("m.json".to_owned(), manifest(&[("com.file", json!([]))]))],
        ..Setup::default()
    });
    let single = agent.path("single.json");
    fs::write(&single, manifest(&[("com.line", json!([]))])).unwrap();
    let defaults = agent.path("other-defaults");
    fs::create_dir(&defaults).unwrap();
    fs::write(
        defaults.join("d.json"),
        manifest(&[("com.d", json!([env("FROM", "line")]))]),
    )
    .unwrap();
    let mut command = agent.command();
    command
        .args(["-b", "-t", "1", "-u", "1000"])
        .args(["--manifest-dir", single.to_str().unwrap()])
        .args(["--default-manifest-dir", defaults.to_str().unwrap()]);
    with_running(&agent, &mut command, |client| {
        assert_eq!(client.list_capabilities(), ["com.line"]);
        let id = client.create("[]").unwrap();
        let output = agent.path("output");
        let stubborn = "sh -c 'trap \"\" TERM; echo $FROM; while :; do sleep 1; done'";
        client
            .execute(id, stubborn, "", output.to_str().unwrap(), &[])
            .unwrap();
        wait_until("it runs", || {
            fs::read_to_string(&output).is_ok_and(|text| text == "line\n")
        });
        client.destroy(id).unwrap();
    });
    // An empty path means no manifests.
    let mut command = agent.command();
    command.args(["-b", "-m", "", "-d", ""]);
    let names = with_running(&agent, &mut command, Client::list_capabilities);
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn the_file_wins_over_the_defaults() {
    let agent = TestAgent::with(&Setup {
        manifests: vec![("m.json".to_owned(), manifest(&[("com.file", json!([]))]))],
        ..Setup::default()
    });
    assert_eq!(agent.client().list_capabilities(), ["com.file"]);
    agent.create();
    assert!(agent.path("mounts/SC-0").exists());
    assert!(fs::metadata(format!("/sys/class/net/{}", agent.bridge)).is_ok());
}

#[test]
fn a_start_that_lxc_fails_quotes_the_first_cause() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let file = dir.path().join("lxc.conf");
    fs::write(&file, "").unwrap();
    let agent = TestAgent::with(&Setup {
        config: format!("deprecated-lxc-config-path = {}", file.display()),
        ..Setup::default()
    });
    let create = || agent.client().create(r#"[{"writeBufferEnabled": false}]"#);
    for (setting, cause) in [
        (
            "lxc.mount.entry = /none/source opt none bind,create=dir 0 0",
            "No such file or directory - Failed to mount \"/none/source\"",
        ),
        (
            "lxc.hook.pre-start = /none/hook",
            "Script exited with status 127: Failed to run lxc.hook.pre-start",
        ),
        (
            "lxc.net.7.type = phys\nlxc.net.7.link = none0",
            "No such device - Failed to retrieve ifindex for \"none0\"",
        ),
        (
            "lxc.seccomp.profile = /none/profile",
            "No such file or directory - Failed to open seccomp policy file /none/profile",
        ),
        (
            "lxc.sysctl.net.none = 1",
            "No such file or directory - Failed to setup sysctl parameters net.none",
        ),
    ] {
        fs::write(&file, format!("{setting}\n")).unwrap();
        let (_, text) = create().unwrap_err();
        assert!(text.contains(&format!("(LXC log: {cause}")), "{text}");
    }
    fs::write(&file, "").unwrap();
    assert_eq!(create().unwrap(), 0, "nothing is left of those that failed");
}

#[test]
fn more_settings_for_lxc_count_for_every_container() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let file = dir.path().join("lxc.conf");
    let ran = dir.path().join("ran");
    let hook = format!("/usr/bin/touch {}", ran.display());
    let lines = format!("lxc.uts.name = renamed\nlxc.hook.post-stop = {hook}\n");
    fs::write(&file, lines).unwrap();
    let agent = TestAgent::with(&Setup {
        config: format!("deprecated-lxc-config-path = {}", file.display()),
        ..Setup::default()
    });
    let id = agent.create();
    assert_eq!(agent.shell_ok(id, "hostname"), "renamed");
    assert!(!ran.exists());
    agent.client().destroy(id).unwrap();
    assert!(ran.exists(), "its hook has run when Destroy returns");
}

#[test]
fn without_an_installed_seccomp_profile_the_agents_own_copy_counts() {
    let mut agent = TestAgent::prepared(&Setup::default());
    let config = fs::read_to_string(agent.path("config")).unwrap();
    let lines = config
        .lines()
        .filter(|line| !line.starts_with("seccomp-profile"));
    fs::write(
        agent.path("config"),
        lines.collect::<Vec<_>>().join("\n") + "\n",
    )
    .unwrap();
    agent.start_agent();
    let id = agent.create();
    // Filters of each kind: the profile's, the list's, and the one that the init adds.
    let filters = agent.shell_ok(id, "grep Seccomp_filters: /proc/self/status");
    assert_eq!(filters.trim(), "Seccomp_filters:\t3");
    let log = agent.log();
    let notice = log.contains("with the seccomp profile; the agent's own copy is used");
    let own_copy = agent.path("mounts/seccomp.profile");
    assert_eq!(notice, own_copy.exists(), "{log}");
}

#[test]
fn without_a_bus_the_agent_says_so() {
    let agent = TestAgent::prepared(&Setup::default());
    let mut command = agent.command();
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/no/such/bus");
    refused(&mut command, &["D-Bus"]);
    assert!(agent.mounts().is_empty());
}

#[test]
fn a_second_agent_does_not_start_and_leaves_the_first_one_alone() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let pid = client.execute(id, "sleep 100", "", "", &[]).unwrap();
    refused(
        &mut agent.command(),
        &["com.pelagicore.SoftwareContainerAgent"],
    );
    assert_eq!(client.list().unwrap(), [id]);
    assert!(crate::support::is_alive(pid));
    assert_eq!(agent.shell_ok(id, "echo untouched"), "untouched");
    assert!(client.unclaimed().is_empty());
    let second = agent.create();
    assert_eq!(agent.shell_ok(second, "ls /usr/bin/env"), "/usr/bin/env");
}

#[test]
fn a_directory_that_containers_cannot_enter_stops_the_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let agent = TestAgent::prepared(&Setup::default());
    let closed = agent.path("");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let output = agent.command().output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    let closed = closed.to_str().unwrap().trim_end_matches('/');
    assert!(text.contains("shared-mounts-dir"), "{text}");
    assert!(
        text.contains(&format!("cannot go through {closed}:")),
        "{text}"
    );
}

#[test]
fn how_much_is_logged_is_chosen_and_what_is_no_level_is_told() {
    let agent = |level: &str| {
        TestAgent::with(&Setup {
            environment: vec![("SOFTWARECONTAINER_LOG".into(), level.into())],
            ..Setup::default()
        })
    };
    let log = |level: &str| {
        let agent = agent(level);
        agent.create();
        agent.log()
    };
    assert!(log("info").contains("INFO: container 0 created"));
    assert_eq!(log("off"), "");
    let told = log("loud");
    assert!(
        told.contains("WARN: SOFTWARECONTAINER_LOG: \"loud\" is none of off, error"),
        "{told}"
    );
    assert!(told.contains("INFO: container 0 created"), "{told}");
}
