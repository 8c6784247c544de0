//! How launchers written for SoftwareContainer 0.19 call the agent: the app's directory below
//! `/gateways`, which is also the working directory and has the program that is run, and
//! capabilities that are set as they come.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::PathBuf,
    process::Command,
};

use nix::sys::stat::Mode;
use serde_json::{Value, json};
use support::{Setup, TestAgent};

const FAILED: &str = "org.freedesktop.DBus.Error.Failed";
const APP: &str = "/gateways/app";

/// An agent, and the directory of an app on the host.
struct Launcher {
    agent: TestAgent,
    app: PathBuf,
}

fn manifest(capabilities: &[(&str, Value)]) -> String {
    let capabilities: Vec<Value> = capabilities
        .iter()
        .map(|(name, gateways)| json!({"name": name, "gateways": gateways}))
        .collect();
    // As the classic one's tests have it: without a version.
    json!({"capabilities": capabilities}).to_string()
}

fn dbus_rules(direction: &str, method: Value) -> Value {
    let pattern = if direction.is_empty() { "" } else { "*" };
    let rule = json!({
        "direction": direction, "interface": pattern, "object-path": pattern, "method": method
    });
    let config = json!([{
        "dbus-gateway-config-session": [rule], "dbus-gateway-config-system": []
    }]);
    json!([{"id": "dbus", "config": config}])
}

impl Launcher {
    fn new(capabilities: &[(&str, Value)]) -> Self {
        Self::with(Setup::manifest(&manifest(capabilities)))
    }

    fn with(setup: Setup) -> Self {
        let agent = TestAgent::with(&setup);
        let app = agent.path("app");
        fs::create_dir(&app).unwrap();
        let program = app.join("program");
        fs::write(&program, "#!/bin/sh\n. ./steps\n").unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { agent, app }
    }

    /// A container with the app's directory, writable.
    fn start(&self, write_buffer: bool) -> i32 {
        let options = json!([{"writeBufferEnabled": write_buffer}]).to_string();
        let id = self.agent.client().create(&options).unwrap();
        self.bind(id, self.app.to_str().unwrap(), APP, false);
        id
    }

    fn bind(&self, id: i32, host: &str, container: &str, read_only: bool) {
        let client = self.agent.client();
        client.bind_mount(id, host, container, read_only).unwrap();
    }

    /// Runs the app's program, whose steps are those of `script`; what it printed, and its status.
    fn launch(&self, id: i32, script: &str) -> (u32, String) {
        fs::write(self.app.join("steps"), script).unwrap();
        let output = self.agent.path("stdout");
        let client = self.agent.client();
        let command = format!("{APP}/program");
        let pid = client
            .execute(id, &command, APP, output.to_str().unwrap(), &[])
            .unwrap();
        let status = client.wait_ended(id, pid).exit_code;
        (status, fs::read_to_string(output).unwrap())
    }

    fn refused(&self, id: i32, capability: &str) -> String {
        let refused = self.agent.client().set_capabilities(id, &[capability]);
        let (name, text) = refused.unwrap_err();
        assert_eq!(name, FAILED);
        text
    }
}

#[test]
fn an_app_below_gateways_works_in_its_directory() {
    for write_buffer in [false, true] {
        let launcher = Launcher::new(&[]);
        let id = launcher.start(write_buffer);
        // With a buffer, what the launcher writes later need not be seen any more.
        let script = "pwd; echo made > file && cat file && ls";
        let (status, output) = launcher.launch(id, script);
        assert_eq!(
            (status, output.as_str()),
            (0, "/gateways/app\nmade\nfile\nprogram\nsteps\n")
        );
        assert_eq!(launcher.app.join("file").exists(), !write_buffer);
        let (status, _) = launcher.launch(id, script);
        assert_eq!(status, 0);
        launcher.agent.client().destroy(id).unwrap();
        assert!(launcher.app.join("file").exists());
    }
}

#[test]
fn files_fifos_and_sockets_are_mounted_beside_the_app_below_gateways() {
    for write_buffer in [false, true] {
        let launcher = Launcher::new(&[]);
        let file = launcher.agent.path("file");
        fs::write(&file, "content").unwrap();
        let fifo = launcher.agent.path("fifo");
        nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
        let socket = launcher.agent.path("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        for (host, kind) in [(&file, "-f"), (&fifo, "-p"), (&socket, "-S")] {
            let id = launcher.start(write_buffer);
            launcher.bind(id, host.to_str().unwrap(), "/gateways/testfile", true);
            let (status, output) =
                launcher.launch(id, &format!("test {kind} /gateways/testfile && echo there"));
            assert_eq!((status, output.as_str()), (0, "there\n"), "{kind}");
            launcher.agent.client().destroy(id).unwrap();
            assert!(host.exists());
        }
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
        assert_eq!(fs::read_to_string(&file).unwrap(), "content");
    }
}

#[test]
fn a_broken_gateway_configuration_is_an_error_of_its_capability_only() {
    let launcher = Launcher::new(&[
        (
            "test.broken",
            json!([{"id": "dbus", "config": ["malformed"]}]),
        ),
        ("test.empty", json!([{"id": "network", "config": []}])),
        ("test.unknown", json!([{"id": "test", "config": []}])),
        (
            "test.good",
            json!([{"id": "env", "config": [{"name": "GOOD", "value": "yes"}]}]),
        ),
    ]);
    let mut names = launcher.agent.client().list_capabilities();
    names.sort();
    assert_eq!(
        names,
        ["test.broken", "test.empty", "test.good", "test.unknown"]
    );
    let id = launcher.start(false);
    for (name, named) in [
        ("test.broken", "malformed"),
        ("test.empty", "network"),
        ("test.unknown", "test"),
        ("test.none", "test.none"),
    ] {
        let text = launcher.refused(id, name);
        assert!(text.contains(named), "{name}: {text}");
    }
    launcher
        .agent
        .client()
        .set_capabilities(id, &["test.good"])
        .unwrap();
    assert_eq!(launcher.launch(id, "echo $GOOD"), (0, "yes\n".to_owned()));
}

#[test]
fn rules_of_empty_strings_match_nothing_and_later_ones_count() {
    let launcher = Launcher::new(&[
        ("test.deny", dbus_rules("", json!(""))),
        (
            "test.allow",
            dbus_rules("outgoing", json!(["Ping", "Introspect", "List"])),
        ),
    ]);
    let id = launcher.start(false);
    let client = launcher.agent.client();
    client.set_capabilities(id, &["test.deny"]).unwrap();
    let name = "com.pelagicore.SoftwareContainerAgent";
    let call =
        format!("busctl --user call {name} /com/pelagicore/SoftwareContainerAgent {name} List");
    let (status, output) = launcher.launch(id, &format!("{call} 2>&1"));
    assert_ne!(status, 0);
    assert!(output.to_lowercase().contains("denied"), "{output}");
    client.set_capabilities(id, &["test.allow"]).unwrap();
    assert_eq!(
        launcher.launch(id, &format!("{call} 2>&1")),
        (0, "ai 1 0\n".to_owned())
    );
}

#[test]
fn busybox_pings_where_icmp_is_allowed() {
    let allowed = |protocols: &str| {
        let rules = json!([
            {"direction": "OUTGOING", "allow": [{"host": "*", "protocols": protocols}]},
            {"direction": "INCOMING", "allow": [{"host": "*", "protocols": protocols}]}
        ]);
        json!([{"id": "network", "config": rules}])
    };
    let launcher = Launcher::new(&[
        ("test.ping", allowed("icmp")),
        ("test.none", allowed("tcp")),
    ]);
    let gateway = format!(
        "10.{}.{}.1",
        launcher.agent.network.0, launcher.agent.network.1
    );
    let ping = format!("busybox ping -c1 -W2 {gateway}");
    let id = launcher.start(false);
    launcher
        .agent
        .client()
        .set_capabilities(id, &["test.none"])
        .unwrap();
    assert_ne!(launcher.launch(id, &ping).0, 0);
    launcher
        .agent
        .client()
        .set_capabilities(id, &["test.ping"])
        .unwrap();
    let (status, output) = launcher.launch(id, &ping);
    assert_eq!(status, 0, "{output}");
}

#[test]
fn the_write_buffer_of_the_root_tree_is_a_tmpfs_of_the_asked_size() {
    const MIB: usize = 1 << 20;
    let launcher = Launcher::new(&[]);
    for (options, size) in [
        (json!({"writeBufferEnabled": true}), 100),
        (
            json!({
                "writeBufferEnabled": true,
                "temporaryFileSystemWriteBufferEnabled": true,
                "temporaryFileSystemSize": 10 * MIB
            }),
            10,
        ),
        (
            json!({"writeBufferEnabled": true, "temporaryFileSystemSize": 10 * MIB}),
            100,
        ),
    ] {
        let id = launcher
            .agent
            .client()
            .create(&json!([options]).to_string())
            .unwrap();
        let directory = launcher.agent.container_dir(id);
        let kind = Command::new("findmnt")
            .args(["-no", "FSTYPE"])
            .arg(&directory)
            .output();
        assert_eq!(kind.unwrap().stdout, b"tmpfs\n");
        let file = directory.join("rootfs-upper/file");
        fs::write(&file, vec![0; (size - 1) * MIB]).unwrap();
        fs::write(&file, vec![0; (size + 1) * MIB]).unwrap_err();
        launcher.agent.client().destroy(id).unwrap();
    }
}

#[test]
fn variables_of_the_call_win_and_defaults_come_without_a_call() {
    let env = |value: &str| json!([{"id": "env", "config": [{"name": "WHO", "value": value}]}]);
    let launcher = Launcher::with(Setup {
        default_manifests: vec![("default.json".into(), manifest(&[("d", env("default"))]))],
        ..Setup::manifest(&manifest(&[("test.other", env("other"))]))
    });
    let id = launcher.start(false);
    assert_eq!(
        launcher.launch(id, "echo $WHO"),
        (0, "default\n".to_owned())
    );
    let text = launcher.refused(id, "test.other");
    assert!(text.contains("WHO"), "{text}");
    let client = launcher.agent.client();
    let output = launcher.agent.path("stdout");
    let command = format!("{APP}/program");
    let pid = client
        .execute(
            id,
            &command,
            APP,
            output.to_str().unwrap(),
            &[("WHO", "caller")],
        )
        .unwrap();
    client.wait_ended(id, pid);
    assert_eq!(fs::read_to_string(output).unwrap(), "caller\n");
}

#[test]
fn a_suspended_app_stands_still_until_it_is_resumed() {
    let launcher = Launcher::new(&[]);
    let id = launcher.start(false);
    let client = launcher.agent.client();
    let ticks = launcher.app.join("ticks");
    let script = "i=0; while :; do i=$((i+1)); echo $i > ticks; sleep 0.01; done";
    fs::write(launcher.app.join("steps"), script).unwrap();
    client
        .execute(id, &format!("{APP}/program"), APP, "", &[])
        .unwrap();
    support::wait_until("the app counts", || ticks.exists());
    client.suspend(id).unwrap();
    let (name, _) = client.execute(id, "/bin/true", "", "", &[]).unwrap_err();
    assert_eq!(name, FAILED);
    let still = fs::read_to_string(&ticks).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(fs::read_to_string(&ticks).unwrap(), still);
    client.resume(id).unwrap();
    support::wait_until("the app counts again", || {
        fs::read_to_string(&ticks).unwrap() != still
    });
}
