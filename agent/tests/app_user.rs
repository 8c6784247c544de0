//! Apps as another user of the container than its root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        net::UnixListener,
    },
};

use softwarecontainer_agent::host::credentials::Credentials;
use support::{Setup, TestAgent};

const USER: u32 = 1000;

fn create(agent: &TestAgent, write_buffer: bool) -> i32 {
    let options = format!(r#"[{{"writeBufferEnabled": {write_buffer}, "userID": {USER}}}]"#);
    agent.client().create(&options).unwrap()
}

#[test]
fn apps_are_that_user_with_a_home_and_no_rights_of_root() {
    let agent = TestAgent::start();
    let id = create(&agent, false);
    assert_eq!(
        agent.shell_ok(id, "id -u; id -g; id -G; id -un"),
        "1000\n1000\n1000\napp"
    );
    assert_eq!(
        agent.shell_ok(id, "echo $HOME; stat -c '%a %u' $HOME"),
        "/home/app\n700 1000"
    );
    assert_eq!(
        agent.shell_ok(
            id,
            "grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status | cut -f 2 | uniq"
        ),
        "0000000000000000"
    );
    for denied in [
        "touch /etc/x",
        "touch /usr/x",
        "chown 0 /tmp",
        "cat /root/x; touch /root/x",
        "rm /etc/hosts",
    ] {
        assert_ne!(agent.shell(id, denied).0, 0, "{denied}");
    }
    agent.shell_ok(id, "touch ~/x /tmp/x /var/tmp/x");
    // The directory of the runtime is the app's, and nobody else's.
    assert_eq!(
        agent.shell_ok(
            id,
            "stat -c '%a %u' $XDG_RUNTIME_DIR; touch $XDG_RUNTIME_DIR/x"
        ),
        "700 1000"
    );
    // Nothing gives rights back.
    assert_ne!(agent.shell(id, "/bin/busybox su -c true").0, 0);
}

#[test]
fn what_an_app_writes_belongs_to_that_user_on_the_host() {
    let agent = TestAgent::start();
    for write_buffer in [false, true] {
        let id = create(&agent, write_buffer);
        let home = agent.path(&format!("home-{write_buffer}"));
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        chown(&home, Some(USER), Some(USER)).unwrap();
        fs::write(home.join("settings"), "old\n").unwrap();
        chown(home.join("settings"), Some(USER), Some(USER)).unwrap();
        agent
            .client()
            .bind_mount(id, home.to_str().unwrap(), "/home/app/data", false)
            .unwrap();
        let script = "cd ~/data && cat settings && echo new > settings && echo x > file";
        assert_eq!(agent.shell_ok(id, script), "old");
        agent.client().destroy(id).unwrap();
        assert_eq!(fs::read_to_string(home.join("settings")).unwrap(), "new\n");
        for name in ["settings", "file"] {
            let metadata = fs::metadata(home.join(name)).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (USER, USER), "{name}");
        }
    }
}

/// A home as an installer makes it for quotas: each app's files belong to another user of the host.
#[test]
fn the_files_of_a_home_belong_to_the_host_user_that_the_launcher_names() {
    const HOST_USER: u32 = 70_001;
    let agent = TestAgent::start();
    for (inside, write_buffer) in [(0, false), (USER, false), (USER, true)] {
        let options = format!(
            r#"[{{"writeBufferEnabled": {write_buffer}, "userID": {inside}, "hostUserID": {HOST_USER}}}]"#
        );
        let id = agent.client().create(&options).unwrap();
        let home = agent.path(&format!("home-{inside}-{write_buffer}"));
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(home.join("settings"), "old\n").unwrap();
        for path in [&home, &home.join("settings")] {
            chown(path, Some(HOST_USER), Some(HOST_USER)).unwrap();
        }
        let root = home.join("root");
        fs::write(&root, "of the host's root").unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o600)).unwrap();
        agent
            .client()
            .bind_mount(id, home.to_str().unwrap(), "/home/app/data", false)
            .unwrap();
        let script = "cd /home/app/data && cat settings && stat -c %u settings && \
                      mkdir -p one/two && echo x > one/two/file && echo new > settings";
        assert_eq!(agent.shell_ok(id, script), format!("old\n{inside}"));
        assert_ne!(agent.shell(id, "cat /home/app/data/root").0, 0);
        agent.client().destroy(id).unwrap();
        for name in ["settings", "one", "one/two/file"] {
            let metadata = fs::metadata(home.join(name)).unwrap();
            assert_eq!(
                (metadata.uid(), metadata.gid()),
                (HOST_USER, HOST_USER),
                "{name}, {options}"
            );
        }
        // What a quota of that user would count, and that user can remove.
        let owner = Credentials {
            user: HOST_USER,
            groups: vec![HOST_USER],
            process: None,
        };
        let removed = owner.act(|| fs::remove_dir_all(home.join("one"))).unwrap();
        removed.unwrap();
    }
}

#[test]
fn only_root_names_another_host_user() {
    let agent = TestAgent::start();
    let launcher = agent.client_of(2);
    let options = |user: u32| format!(r#"[{{"writeBufferEnabled": false, "hostUserID": {user}}}]"#);
    for stranger in [0, 3] {
        let (_, text) = launcher.create(&options(stranger)).unwrap_err();
        assert!(
            text.contains(&format!("hostUserID is {stranger}"))
                && text.contains("the caller is user 2"),
            "{text}"
        );
    }
    launcher.create(&options(2)).unwrap();
}

#[test]
fn without_a_user_namespace_no_host_user_can_be_named() {
    let agent = TestAgent::with(&Setup {
        config: "user-namespace = off".to_owned(),
        ..Setup::default()
    });
    let options = r#"[{"writeBufferEnabled": false, "hostUserID": 70001}]"#;
    let (_, text) = agent.client().create(options).unwrap_err();
    assert!(text.contains("hostUserID needs a user namespace"), "{text}");
}

#[test]
fn devices_and_sockets_of_gateways_are_that_users() {
    let socket_dir = tempfile::TempDir::with_prefix("sc-test-wayland-").unwrap();
    let socket = socket_dir.path().join("display");
    let _listener = UnixListener::bind(&socket).unwrap();
    // As compositors make it: for its own user alone.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o700)).unwrap();
    let agent = TestAgent::with(&Setup {
        config: format!("wayland-socket = {}", socket.display()),
        ..Setup::manifest(
            r#"{"version": "1", "capabilities": [{"name": "test.all", "gateways": [
                {"id": "wayland", "config": [{"enabled": true}]},
                {"id": "devicenode", "config": [{"name": "/dev/kmsg", "mode": "600"}]},
                {"id": "dbus", "config": [{"dbus-gateway-config-session": []}]}
            ]}]}"#,
        )
    });
    let id = create(&agent, false);
    agent.client().set_capabilities(id, &["test.all"]).unwrap();
    assert_eq!(agent.shell_ok(id, "stat -c '%a %u' /dev/kmsg"), "600 1000");
    let connect = "python3 -c \"import os, socket; s = socket.socket(socket.AF_UNIX); \
                   s.connect(os.environ['XDG_RUNTIME_DIR'] + '/' + os.environ['WAYLAND_DISPLAY'])\"";
    agent.shell_ok(id, connect);
    let bus = "python3 -c \"import dbus; print(dbus.SessionBus().get_unique_name()[0])\"";
    assert_eq!(agent.shell_ok(id, bus), ":");
}

#[test]
fn a_capability_that_a_manifest_gives_is_that_users_too() {
    let agent = TestAgent::with(&Setup::manifest(
        r#"{"version": "1", "capabilities": [{"name": "test.raw", "gateways": [
            {"id": "privileges", "config": [{"capabilities": ["net_raw"]}]}
        ]}]}"#,
    ));
    let id = create(&agent, false);
    agent.client().set_capabilities(id, &["test.raw"]).unwrap();
    assert_eq!(
        agent.shell_ok(
            id,
            "grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status | cut -f 2 | uniq"
        ),
        "0000000000002000"
    );
}

#[test]
fn a_user_that_no_container_has_is_an_error() {
    let agent = TestAgent::start();
    for wrong in ["65534", "-1", "\"app\""] {
        let options = format!(r#"[{{"writeBufferEnabled": false, "userID": {wrong}}}]"#);
        let (_, text) = agent.client().create(&options).unwrap_err();
        assert!(text.contains("[0].userID must be a whole number"), "{text}");
    }
}
