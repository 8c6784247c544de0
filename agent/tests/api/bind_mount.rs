//! BindMount.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
        net::UnixListener,
    },
    path::PathBuf,
    process::Command,
    sync::Barrier,
};

use crate::{fails_with, submounts::Stick, support::TestAgent};

/// A new host directory with a file in it.
pub(crate) fn directory(agent: &TestAgent, name: &str) -> PathBuf {
    let path = agent.path(name);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("file"), format!("from {name}")).unwrap();
    path
}

pub(crate) fn mount(
    agent: &TestAgent,
    id: i32,
    host: &std::path::Path,
    container: &str,
    read_only: bool,
) {
    agent
        .client()
        .bind_mount(id, host.to_str().unwrap(), container, read_only)
        .unwrap();
}

#[test]
fn a_directory_is_shared_both_ways() {
    let agent = TestAgent::start();
    let id = agent.create();
    let host = directory(&agent, "shared");
    mount(&agent, id, &host, "/deep/er/shared", false);
    assert_eq!(
        agent.shell_ok(id, "cat /deep/er/shared/file"),
        "from shared"
    );
    agent.shell_ok(
        id,
        "echo new > /deep/er/shared/new; rm /deep/er/shared/file",
    );
    assert_eq!(fs::read_to_string(host.join("new")).unwrap(), "new\n");
    assert!(!host.join("file").exists());
    fs::write(host.join("later"), "later").unwrap();
    assert_eq!(agent.shell_ok(id, "cat /deep/er/shared/later"), "later");
    let metadata = fs::metadata(host.join("new")).unwrap();
    assert_eq!(
        (metadata.uid(), metadata.gid()),
        (0, 0),
        "the app's root is shown as root"
    );
}

#[test]
fn read_only_is_read_only() {
    let agent = TestAgent::start();
    let id = agent.create();
    let host = directory(&agent, "ro");
    mount(&agent, id, &host, "/ro", true);
    let (status, text) = agent.shell(id, "echo x > /ro/file");
    assert_ne!(status, 0);
    assert!(text.contains("Read-only file system"), "{text}");
    let (status, _) = agent.shell(id, "mount -o remount,rw,bind /ro /ro; echo x > /ro/file");
    assert_ne!(status, 0);
    assert_eq!(fs::read_to_string(host.join("file")).unwrap(), "from ro");
}

#[test]
fn everything_that_a_host_has_can_be_mounted() {
    let agent = TestAgent::start();
    let id = agent.create();
    let file = directory(&agent, "kinds").join("file");
    mount(&agent, id, &file, "/mnt/file", false);
    agent.shell_ok(id, "echo changed > /mnt/file");
    assert_eq!(fs::read_to_string(&file).unwrap(), "changed\n");

    let socket = agent.path("kinds/socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    mount(&agent, id, &socket, "/mnt/socket", false);
    agent.shell_ok(id, "test -S /mnt/socket");

    let fifo = agent.path("kinds/fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    mount(&agent, id, &fifo, "/mnt/fifo", false);
    agent.shell_ok(id, "test -p /mnt/fifo");

    mount(&agent, id, "/dev/zero".as_ref(), "/mnt/zero", false);
    assert_eq!(agent.shell_ok(id, "head -c 1000 /mnt/zero | wc -c"), "1000");
}

#[test]
fn what_cannot_be_mounted_is_named() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let host = directory(&agent, "host");
    let host = host.to_str().unwrap();
    fails_with(
        client.bind_mount(id, "/no/such/path", "/mnt/x", false),
        &["container 0", "/no/such/path", "No such file or directory"],
    );
    fails_with(
        client.bind_mount(id, "", "/mnt/x", false),
        &["container 0", "the host path is empty"],
    );
    for path in ["", "relative", "./relative", "../up", "/", "/a/../../etc"] {
        fails_with(
            client.bind_mount(id, host, path, false),
            &["container 0", path, "absolute"],
        );
    }
    // The mount points of every container, and one of our own.
    mount(&agent, id, host.as_ref(), "/mnt/used", false);
    for path in ["/mnt/used", "/mnt//used/", "/proc", "/usr", "/gateways"] {
        fails_with(
            client.bind_mount(id, host, path, false),
            &["container 0", path.trim_end_matches('/'), "mount point"].map(|part| {
                if part == "/mnt//used" {
                    "/mnt/used"
                } else {
                    part
                }
            }),
        );
    }
    // Neither can a directory be put on a file nor a file on a directory.
    let file = format!("{host}/file");
    fails_with(
        client.bind_mount(id, host, "/etc/passwd", false),
        &["/etc/passwd"],
    );
    fails_with(client.bind_mount(id, &file, "/home", false), &["/home"]);
    fails_with(
        client.bind_mount(id, host, "/etc/passwd/below", false),
        &["/etc/passwd"],
    );
    // What is read-only cannot get new mount points.
    fails_with(
        client.bind_mount(id, host, "/usr/no-such-directory", false),
        &["/usr/no-such-directory", "Read-only"],
    );
    assert_eq!(agent.shell_ok(id, "cat /mnt/used/file"), "from host");
    assert_eq!(agent.shell_ok(id, "head -c 4 /etc/passwd"), "root");
}

#[test]
fn mounts_with_the_same_base_name_do_not_get_in_each_others_way() {
    let agent = TestAgent::start();
    let id = agent.create();
    let (one, two) = (directory(&agent, "one/data"), directory(&agent, "two/data"));
    mount(&agent, id, &one, "/one/data", false);
    mount(&agent, id, &two, "/two/data", true);
    mount(&agent, id, &one, "/three/data", true);
    assert_eq!(
        agent.shell_ok(id, "cat /one/data/file /two/data/file /three/data/file"),
        "from one/datafrom two/datafrom one/data"
    );
}

#[test]
fn a_running_app_sees_a_new_mount() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let output = agent.path("seen");
    let waiter = "sh -c 'while ! cat /mnt/late/file; do usleep 5000; done 2>/dev/null'";
    let pid = client
        .execute(id, waiter, "", output.to_str().unwrap(), &[])
        .unwrap();
    mount(&agent, id, &directory(&agent, "late"), "/mnt/late", false);
    assert_eq!(client.wait_ended(id, pid).exit_code, 0);
    assert_eq!(fs::read_to_string(output).unwrap(), "from late");
}

#[test]
fn links_made_by_an_app_do_not_lead_out_of_the_container() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let host = directory(&agent, "source");
    let victim = directory(&agent, "victim");
    let up = "/../../../../../../../..";
    let script = format!(
        "ln -s {victim} /tmp/absolute; ln -s {up}{victim} /tmp/relative; ln -s /etc /tmp/inside; \
         ln -s /proc/1/root /tmp/magic; ln -s /proc/self/cwd /tmp/self; ln -s /tmp/loop /tmp/loop",
        victim = victim.display()
    );
    agent.shell_ok(id, &script);
    for link in ["absolute", "relative", "magic", "self", "loop"] {
        for below in ["", "/new", "/file"] {
            let path = format!("/tmp/{link}{below}");
            // Whether it works or not: it must not reach the host.
            let _ = client.bind_mount(id, host.to_str().unwrap(), &path, false);
        }
    }
    client
        .bind_mount(id, host.to_str().unwrap(), "/tmp/inside/new", false)
        .unwrap();
    assert_eq!(agent.shell_ok(id, "cat /etc/new/file"), "from source");
    let left: Vec<_> = fs::read_dir(&victim)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["file"]);
    assert_eq!(
        fs::read_to_string(victim.join("file")).unwrap(),
        "from victim"
    );
    assert!(!PathBuf::from("/etc/new").exists());
    assert!(
        !agent
            .mounts()
            .iter()
            .any(|line| line.contains(victim.to_str().unwrap()))
    );
}

#[test]
fn an_app_that_swaps_directories_for_links_gains_nothing() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let host = directory(&agent, "source");
    let victim = directory(&agent, "victim");
    let racer = format!(
        "sh -c 'mkdir -p /tmp/r/real; while :; do rm -rf /tmp/r/x; ln -s {} /tmp/r/x; rm -f /tmp/r/x; mkdir -p /tmp/r/x/y; done'",
        victim.display()
    );
    client.execute(id, &racer, "", "", &[]).unwrap();
    for number in 0..100 {
        let path = format!("/tmp/r/x/y/{number}");
        let _ = client.bind_mount(id, host.to_str().unwrap(), &path, false);
    }
    let left: Vec<_> = fs::read_dir(&victim)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["file"]);
    client.destroy(id).unwrap();
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}

#[test]
fn a_link_on_the_host_is_followed() {
    let agent = TestAgent::start();
    let id = agent.create();
    let target = directory(&agent, "target");
    let link = agent.path("host-link");
    symlink(&target, &link).unwrap();
    mount(&agent, id, &link, "/mnt/link", false);
    assert_eq!(agent.shell_ok(id, "cat /mnt/link/file"), "from target");
}

#[test]
fn four_mounts_at_the_same_time_all_come() {
    let agent = TestAgent::start();
    let id = agent.create();
    for round in 0..5 {
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (agent, start) = (&agent, &start);
                scope.spawn(move || {
                    let host = directory(agent, &format!("p{round}-{number}"));
                    let client = agent.new_client();
                    start.wait();
                    let path = format!("/mnt/parallel/{round}/{number}");
                    client
                        .bind_mount(id, host.to_str().unwrap(), &path, number % 2 == 0)
                        .unwrap();
                });
            }
        });
        let text = agent.shell_ok(id, &format!("cat /mnt/parallel/{round}/*/file"));
        let wanted: String = (0..4).map(|n| format!("from p{round}-{n}")).collect();
        assert_eq!(text, wanted);
    }
}

#[test]
fn one_client_need_not_wait_for_a_reply_before_the_next_call() {
    let agent = TestAgent::start();
    let id = agent.create();
    let hosts: Vec<PathBuf> = (0..4)
        .map(|number| directory(&agent, &format!("q{number}")))
        .collect();
    std::thread::scope(|scope| {
        for (number, host) in hosts.iter().enumerate() {
            let client = agent.client();
            scope.spawn(move || {
                let path = format!("/home/{number}");
                client
                    .bind_mount(id, host.to_str().unwrap(), &path, false)
                    .unwrap();
            });
        }
    });
    assert_eq!(
        agent.shell_ok(id, "cat /home/*/file"),
        "from q0from q1from q2from q3"
    );
}

#[test]
fn of_two_mounts_at_the_same_place_at_the_same_time_one_comes() {
    let agent = TestAgent::start();
    let id = agent.create();
    let host = directory(&agent, "twice");
    let start = Barrier::new(2);
    let done: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let client = agent.new_client();
                    start.wait();
                    let mounted = client.bind_mount(id, host.to_str().unwrap(), "/mnt/one", false);
                    usize::from(mounted.is_ok())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(done, 1);
}

#[test]
fn files_and_directories_are_mounted_below_gateways() {
    let agent = TestAgent::start();
    for buffered in [false, true] {
        let options = format!(r#"[{{"writeBufferEnabled": {buffered}}}]"#);
        let id = agent.client().create(&options).unwrap();
        let host = directory(&agent, &format!("app-{buffered}"));
        mount(&agent, id, &host, "/gateways/app", false);
        mount(&agent, id, &host.join("file"), "/gateways/testfile", true);
        let text = agent.shell_ok(id, "cat /gateways/app/file /gateways/testfile");
        assert_eq!(text, format!("from app-{buffered}").repeat(2));
        agent.shell_ok(id, "echo x > /gateways/app/new");
        assert_eq!(host.join("new").exists(), !buffered);
        agent.client().destroy(id).unwrap();
        assert!(host.join("new").exists());
    }
}

#[test]
fn the_runtime_directory_is_the_apps_own_and_bounded() {
    let agent = TestAgent::start();
    let options = r#"[{"writeBufferEnabled": false, "temporaryFileSystemWriteBufferEnabled": true,
                       "temporaryFileSystemSize": 4194304}]"#;
    let id = agent.client().create(options).unwrap();
    let facts = "stat -c '%a %u:%g' $XDG_RUNTIME_DIR; id -u; cd $XDG_RUNTIME_DIR; mkdir -m 700 d; \
                 mkfifo d/fifo; echo x > d/file; cat d/file; rm -r d; ls -A";
    assert_eq!(agent.shell_ok(id, facts), "700 0:0\n0\nx");
    let (status, text) = agent.shell(id, "dd if=/dev/zero of=$XDG_RUNTIME_DIR/big bs=1M count=8");
    assert_ne!(status, 0);
    assert!(text.contains("No space left"), "{text}");
    let many = "cd $XDG_RUNTIME_DIR; rm -f big; i=0; while [ $i -lt 5000 ] && : > f$i; do i=$((i+1)); done 2>&1";
    assert!(agent.shell(id, many).1.contains("No space left"));
}

/// A directory of an overlay, as units with a read-only root have them, with a file; its mount ends
/// with what is returned.
fn home_on_an_overlay(agent: &TestAgent) -> (PathBuf, Stick) {
    for name in ["lower/app", "upper", "work", "merged"] {
        fs::create_dir_all(agent.path(name)).unwrap();
    }
    fs::write(agent.path("lower/app/settings.ini"), "old").unwrap();
    let merged = agent.path("merged");
    let layers = format!(
        "lowerdir={},upperdir={},workdir={}",
        agent.path("lower").display(),
        agent.path("upper").display(),
        agent.path("work").display()
    );
    let mounted = Command::new("mount")
        .args(["-t", "overlay", "overlay", "-o", &layers])
        .arg(&merged)
        .status();
    assert!(mounted.unwrap().success());
    (merged.join("app"), Stick::mounted_at(merged))
}

/// What others see of it does not change.
#[test]
fn a_home_on_an_overlay_is_written_to_by_an_app_that_is_its_owner() {
    const OWNER: u32 = 70_003;
    let agent = TestAgent::start();
    let (home, _overlay) = home_on_an_overlay(&agent);
    let settings = home.join("settings.ini");
    for path in [&home, &settings] {
        chown(path, Some(OWNER), Some(OWNER)).unwrap();
    }
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(home.join("roots"), "").unwrap();
    let options =
        format!(r#"[{{"writeBufferEnabled": false, "userID": 1000, "hostUserID": {OWNER}}}]"#);
    let id = agent.client().create(&options).unwrap();
    mount(&agent, id, &home, "/home/app/data", false);
    let script = "cd ~/data && id -u && stat -c %u settings.ini && cat settings.ini && echo && \
                  echo new > settings.ini && mkdir deep && echo x > deep/file && \
                  ! echo x > roots && touch ~/x /tmp/x $XDG_RUNTIME_DIR/x /dev/shm/x";
    assert!(
        agent.shell_ok(id, script).starts_with("1000\n1000\nold\n"),
        "the app is the owner"
    );
    for name in ["", "settings.ini", "deep", "deep/file"] {
        let metadata = fs::metadata(home.join(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (OWNER, OWNER), "{name}");
    }
    assert_eq!(fs::read_to_string(&settings).unwrap(), "new\n");
    assert_eq!(fs::metadata(home.join("roots")).unwrap().uid(), 0);
    // Nor is the user anything else in there than the app.
    assert_eq!(agent.shell_ok(id, "grep -c . /proc/self/uid_map"), "3");
    agent.client().destroy(id).unwrap();
}

#[test]
fn a_writable_mount_that_the_app_could_not_write_is_an_error() {
    let agent = TestAgent::start();
    let (home, _overlay) = home_on_an_overlay(&agent);
    for buffered in [false, true] {
        let options = format!(r#"[{{"writeBufferEnabled": {buffered}}}]"#);
        let id = agent.client().create(&options).unwrap();
        fails_with(
            agent
                .client()
                .bind_mount(id, home.to_str().unwrap(), "/home/app", false),
            &["container", home.to_str().unwrap(), "ID-mapped"],
        );
        assert_ne!(agent.shell(id, "test -e /home/app").0, 0);
        mount(&agent, id, &home, "/home/ro", true);
        assert_eq!(agent.shell_ok(id, "cat /home/ro/settings.ini"), "old");
        agent.client().destroy(id).unwrap();
    }
}
