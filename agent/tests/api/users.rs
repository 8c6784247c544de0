//! Launchers of several users: whose containers they see, and what of the host they may mount.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use crate::{
    fails_with,
    support::{Client, Setup, TestAgent},
};

const OPTIONS: &str = r#"[{"writeBufferEnabled": false}]"#;
/// Users that every host has: daemon, bin and sys. (The bus lets in none that passwd does not
/// know.)
const FIRST: u32 = 1;
const SECOND: u32 = 2;
const ADMINISTRATOR: u32 = 3;

fn agent() -> TestAgent {
    TestAgent::with(&Setup {
        config: format!("administrators = {ADMINISTRATOR}"),
        ..Setup::default()
    })
}

#[test]
fn a_launcher_sees_the_containers_of_its_user_and_root_and_administrators_see_all() {
    let agent = agent();
    let (first, second) = (agent.client_of(FIRST), agent.client_of(SECOND));
    let administrator = agent.client_of(ADMINISTRATOR);
    let own = first.create(OPTIONS).unwrap();
    let other = second.create(OPTIONS).unwrap();
    let roots = agent.create();
    assert_eq!(first.list().unwrap(), [own]);
    assert_eq!(agent.client_of(FIRST).list().unwrap(), [own], "by user");
    assert_eq!(second.list().unwrap(), [other]);
    for all in [&administrator, agent.client()] {
        let mut seen = all.list().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, [own, other, roots]);
    }
    administrator.suspend(other).unwrap();
    administrator.resume(other).unwrap();
    agent.client().destroy(own).unwrap();
    administrator.destroy(other).unwrap();
    assert_eq!(first.list().unwrap(), [0; 0]);
    fails_with(first.destroy(roots), &[]);
}

#[test]
fn the_container_of_another_user_answers_as_an_unknown_one() {
    let agent = agent();
    let id = agent.client_of(FIRST).create(OPTIONS).unwrap();
    let stranger = agent.client_of(SECOND);
    let unknown = |id: i32| {
        let strings: [&str; 0] = [];
        [
            stranger.destroy(id).map(drop),
            stranger.suspend(id),
            stranger.resume(id),
            stranger.bind_mount(id, "/usr", "/mnt/x", true),
            stranger.set_capabilities(id, &strings),
            stranger.set_capabilities(id, &["com.none"]),
            stranger.execute(id, "true", "", "", &[]).map(drop),
        ]
        .map(|result| result.unwrap_err().1)
    };
    let another_id = 77;
    let expected = unknown(another_id).map(|text| text.replace("77", &id.to_string()));
    assert_eq!(unknown(id), expected);
    assert_eq!(agent.client().list().unwrap(), [id]);
}

/// A directory that only its owner can enter, another that only root can, and one for everybody.
fn host_directories(agent: &TestAgent) -> [PathBuf; 3] {
    let make = |name: &str, owner: u32, mode: u32| {
        let path = agent.path(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), name).unwrap();
        for path in [&path, &path.join("file")] {
            chown(path, Some(owner), Some(owner)).unwrap();
        }
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    };
    [
        make("home", FIRST, 0o700),
        make("secret", 0, 0o700),
        make("public", 0, 0o755),
    ]
}

fn mount(
    client: &Client,
    id: i32,
    host: &Path,
    name: &str,
    read_only: bool,
) -> Result<(), (String, String)> {
    client.bind_mount(
        id,
        host.to_str().unwrap(),
        &format!("/mnt/{name}"),
        read_only,
    )
}

#[test]
fn bind_mount_opens_its_source_with_the_rights_of_the_caller() {
    let agent = agent();
    let [home, secret, public] = host_directories(&agent);
    let client = agent.client_of(FIRST);
    let id = client.create(OPTIONS).unwrap();
    mount(&client, id, &home, "home", false).unwrap();
    mount(&client, id, &public, "public", true).unwrap();
    for (host, read_only, why) in [
        (&secret, true, "read"),
        (&secret, false, "read"),
        (&public, false, "write to"),
    ] {
        let path = host.to_str().unwrap();
        let why = format!("user {FIRST} has no right to {why}");
        fails_with(
            mount(&client, id, host, "refused", read_only),
            &[path, &why],
        );
    }
    fails_with(
        mount(&client, id, &secret.join("file"), "refused", true),
        &["secret/file", "Permission denied"],
    );
    // An administrator controls all containers, but has no more of the host.
    fails_with(
        mount(
            &agent.client_of(ADMINISTRATOR),
            id,
            &secret,
            "refused",
            true,
        ),
        &["secret"],
    );
    // Root mounts what it wants, as ever.
    mount(agent.client(), id, &secret, "secret", false).unwrap();
    assert!(!agent.container_dir(id).join("rootfs/mnt/refused").exists());
}

#[test]
fn listed_paths_are_there_beyond_the_callers_rights() {
    let setup = |config: String| Setup {
        config,
        ..Setup::default()
    };
    let outside = tempfile::TempDir::new().unwrap();
    fs::set_permissions(outside.path(), Permissions::from_mode(0o700)).unwrap();
    let at = |name: &str| {
        let path = outside.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "seen").unwrap();
        path
    };
    let (read, write, neither) = (at("read"), at("write"), at("neither"));
    let agent = TestAgent::with(&setup(format!(
        "launcher-read-paths = {}\nlauncher-write-paths = {}",
        read.display(),
        write.display()
    )));
    let client = agent.client_of(FIRST);
    let id = client.create(OPTIONS).unwrap();
    mount(&client, id, &write, "write", false).unwrap();
    // Asked for writing, listed for reading: it comes read-only, and the log says so.
    mount(&client, id, &read, "read", false).unwrap();
    assert!(
        agent
            .log()
            .contains("is mounted read-only: launcher-read-paths has it")
    );
    fails_with(mount(&client, id, &neither, "neither", true), &["neither"]);
    let output = agent.shell(
        id,
        "cat /mnt/read/file /mnt/write/file; echo; touch /mnt/write/new && touch /mnt/read/new",
    );
    assert!(output.1.starts_with("seenseen\n"), "{output:?}");
    assert!(output.1.contains("Read-only file system"), "{output:?}");
    assert!(write.join("new").exists() && !read.join("new").exists());
}

/// The app is root in its container, and a mount shows it what its launcher can enter: root's own
/// files there, such as shadow, stay root's.
#[test]
fn an_app_gets_no_rights_to_files_that_are_not_its_launchers() {
    let agent = agent();
    let [home, _, public] = host_directories(&agent);
    let closed = |path: &Path| {
        fs::write(path, "root's").unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    };
    closed(&public.join("shadow"));
    closed(&home.join("shadow"));
    let client = agent.client_of(FIRST);
    for options in [OPTIONS, &OPTIONS.replace("false", "true")] {
        let id = client.create(options).unwrap();
        mount(&client, id, &home, "home", false).unwrap();
        mount(&client, id, &public, "public", true).unwrap();
        let script = "cat /mnt/home/file /mnt/public/file; echo; \
             for of in home public; do cat /mnt/$of/shadow && echo read; done; \
             echo more >>/mnt/home/shadow && echo written; true";
        let seen = agent.shell_ok(id, script);
        assert!(seen.starts_with("homepublic\n"), "{seen}");
        assert_eq!(seen.matches("ermission denied").count(), 3, "{seen}");
        assert!(
            !seen.contains("root's") && !seen.contains("written"),
            "{seen}"
        );
        client.destroy(id).unwrap();
    }
    assert_eq!(fs::read_to_string(home.join("shadow")).unwrap(), "root's");
}

#[test]
fn what_an_app_makes_in_a_mount_belongs_to_its_launcher() {
    let agent = agent();
    let [home, ..] = host_directories(&agent);
    let client = agent.client_of(FIRST);
    for (options, name) in [
        (OPTIONS, "plain"),
        (&*OPTIONS.replace("false", "true"), "buffered"),
    ] {
        let id = client.create(options).unwrap();
        mount(&client, id, &home, "home", false).unwrap();
        let script = format!(
            "mkdir /mnt/home/{name} && echo x >/mnt/home/{name}/file && echo {name} >/mnt/home/file"
        );
        agent.shell_ok(id, &script);
        client.destroy(id).unwrap();
        for path in [name, &format!("{name}/file"), "file"] {
            let made = fs::metadata(home.join(path)).unwrap();
            assert_eq!(
                (made.uid(), made.gid()),
                (FIRST, FIRST),
                "{path}, {options}"
            );
        }
        assert_eq!(
            fs::read_to_string(home.join("file")).unwrap(),
            format!("{name}\n")
        );
    }
}

#[test]
fn a_socket_that_the_caller_may_not_use_is_not_mounted_read_only_either() {
    let agent = agent();
    let path = agent.path("root.socket");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let client = agent.client_of(FIRST);
    let id = client.create(OPTIONS).unwrap();
    fails_with(
        mount(&client, id, &path, "socket", true),
        &["no right to write to", "root.socket"],
    );
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    mount(&client, id, &path, "socket", true).unwrap();
}
