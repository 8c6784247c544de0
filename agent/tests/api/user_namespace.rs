//! The containers' user namespaces, and life without them.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use serde_json::json;

use crate::{
    capabilities::manifest,
    support::{Setup, TestAgent, mounted_for_the_agent},
};

/// The first host ID of container 0, and how many IDs each container has.
const BASE: u32 = 524_288;
const RANGE: u32 = 65_536;

fn uid_of(pid: u32) -> u32 {
    fs::metadata(format!("/proc/{pid}")).unwrap().uid()
}

#[test]
fn each_container_has_a_range_of_ids_of_its_own() {
    let agent = TestAgent::start();
    for id in [0, 1] {
        assert_eq!(agent.create(), id);
        let base = BASE + u32::try_from(id).unwrap() * RANGE;
        for map in ["uid_map", "gid_map"] {
            let text = agent.shell_ok(id, &format!("cat /proc/self/{map}"));
            let numbers: Vec<u32> = text
                .split_whitespace()
                .map(|number| number.parse().unwrap())
                .collect();
            assert_eq!(numbers, [0, base, RANGE], "{map}");
        }
        let pid = agent
            .client()
            .execute(id, "sleep 100", "", "", &[])
            .unwrap();
        assert_eq!(uid_of(pid), base);
        assert_eq!(uid_of(agent.init_pid(id)), base);
        assert_eq!(agent.shell_ok(id, "id -u; id -g"), "0\n0");
    }
}

#[test]
fn the_root_tree_belongs_to_the_containers_root() {
    let agent = TestAgent::start();
    let id = agent.create();
    for path in ["/", "/etc", "/etc/passwd", "/tmp", "/home", "/root"] {
        let owner = agent.shell_ok(id, &format!("stat -L -c %u:%g {path}"));
        assert_eq!(owner, "0:0", "{path}");
    }
    agent.shell_ok(
        id,
        "touch /etc/new /root/new /tmp/new /home/new; mkdir /new",
    );
    assert_ne!(agent.shell(id, "touch /usr/new").0, 0);
    let new = agent.container_dir(id).join("rootfs-upper/etc/new");
    assert_eq!(fs::metadata(new).unwrap().uid(), BASE);
}

/// Owners as seen on both sides of a bind mount; true with and without user namespaces.
fn owners_are_the_same_on_both_sides(agent: &TestAgent) {
    let id = agent.create();
    let host = agent.path("owners");
    fs::create_dir(&host).unwrap();
    for (name, owner) in [("root", 0), ("user", 1000)] {
        fs::write(host.join(name), name).unwrap();
        std::os::unix::fs::chown(host.join(name), Some(owner), Some(owner)).unwrap();
    }
    agent
        .client()
        .bind_mount(id, host.to_str().unwrap(), "/mnt/owners", false)
        .unwrap();
    assert_eq!(
        agent.shell_ok(id, "cd /mnt/owners; stat -c '%n %u:%g' root user"),
        "root 0:0\nuser 1000:1000"
    );
    agent.shell_ok(id, "cd /mnt/owners; touch new given; chown 33:44 given");
    let owner = |name: &str| {
        let metadata = fs::metadata(host.join(name)).unwrap();
        (metadata.uid(), metadata.gid())
    };
    assert_eq!(owner("new"), (0, 0));
    assert_eq!(owner("given"), (33, 44));
}

#[test]
fn owners_on_bind_mounts_are_the_hosts() {
    owners_are_the_same_on_both_sides(&TestAgent::start());
}

#[test]
fn owners_on_bind_mounts_are_the_hosts_without_user_namespace_too() {
    let agent = TestAgent::with(&Setup {
        config: "user-namespace = off".to_owned(),
        ..Setup::default()
    });
    owners_are_the_same_on_both_sides(&agent);
}

#[test]
fn everything_works_without_user_namespaces() {
    let device = json!([
        {"id": "devicenode", "config": [{"name": "/dev/loop-control", "mode": "640"}]},
        {"id": "env", "config": [{"name": "A", "value": "1"}]},
    ]);
    let mut setup = Setup::manifest(&manifest(&[("com.a", device)]));
    setup.config = "user-namespace = off".to_owned();
    let mut agent = TestAgent::with(&setup);
    let client = agent.client();
    let id = agent.create();
    let pid = client.execute(id, "sleep 100", "", "", &[]).unwrap();
    assert_eq!(uid_of(pid), 0);
    client.set_capabilities(id, &["com.a"]).unwrap();
    assert_eq!(
        agent.shell_ok(id, "echo $A; stat -c %a /dev/loop-control; hostname"),
        "1\n640\ncontained"
    );
    client.bind_mount(id, "/tmp", "/mnt/tmp", true).unwrap();
    assert_ne!(agent.shell(id, "touch /mnt/tmp/x").0, 0);
    // Without a user namespace other things must hold an app back.
    assert_ne!(agent.shell(id, "mount -t tmpfs x /mnt").0, 0);
    assert_ne!(agent.shell(id, "mknod /tmp/x b 8 0").0, 0);
    assert_ne!(agent.shell(id, "umount /proc").0, 0);
    client.suspend(id).unwrap();
    client.resume(id).unwrap();
    client.destroy(id).unwrap();
    assert_eq!(client.wait_ended(id, pid).exit_code, 15);
    agent.create();
    agent.kill();
    agent.start_agent();
    assert_eq!(agent.create(), 0);
    assert_eq!(agent.stop(), Some(0));
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}

#[test]
fn a_required_user_namespace_is_there() {
    let agent = TestAgent::with(&Setup {
        config: "user-namespace = required".to_owned(),
        ..Setup::default()
    });
    let id = agent.create();
    assert!(
        agent
            .shell_ok(id, "cat /proc/self/uid_map")
            .contains("524288")
    );
}

/// Without a user namespace the container's root owns the host's files, and with one it must not
/// have the directory without what is mounted there.
#[test]
fn what_is_mounted_in_a_system_directory_is_there_and_read_only() {
    let source = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    fs::set_permissions(source.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(source.path().join("file"), "mounted").unwrap();
    for mode in ["required", "off"] {
        let agent = TestAgent::with(&Setup {
            config: format!("user-namespace = {mode}"),
            before: Some(mounted_for_the_agent(
                source.path(),
                Path::new("/usr/games"),
            )),
            ..Setup::default()
        });
        let id = agent.create();
        assert_eq!(agent.shell_ok(id, "cat /usr/games/file"), "mounted");
        for attempt in [
            "touch /usr/games/new",
            "echo no > /usr/games/file",
            "touch /usr/new",
        ] {
            assert_ne!(agent.shell(id, attempt).0, 0, "{mode}: {attempt}");
        }
        agent.client().destroy(id).unwrap();
    }
}

/// Whoever has the IDs of a container can become its root.
#[test]
fn users_who_have_the_ids_of_containers_are_named_at_start() {
    let file = tempfile::NamedTempFile::with_prefix("sc-test-").unwrap();
    fs::write(file.path(), "fine:100000:65536\nclash:493216:65536\n").unwrap();
    let agent = TestAgent::with(&Setup {
        before: Some(mounted_for_the_agent(file.path(), Path::new("/etc/subuid"))),
        ..Setup::default()
    });
    agent.create();
    let log = agent.log();
    assert!(log.contains("/etc/subuid:2: clash may use"), "{log}");
    assert!(!log.contains("fine may use"), "{log}");
}
