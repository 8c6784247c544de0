//! What the host has mounted in directories that apps have: it stays where it is for all others,
//! and is no way to more.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{TestAgent, wait_until};

/// A file system of the host, mounted for one test.
struct Mounted(PathBuf);

impl Mounted {
    fn new(kind: &str, at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", kind, "-o", "suid,dev", kind])
            .arg(&at)
            .status();
        assert!(mounted.unwrap().success());
        Self(at)
    }

    fn stick(media: &Path) -> Self {
        let stick = Self::new("tmpfs", media.join("stick"));
        fs::write(stick.0.join("a.mp3"), "sound").unwrap();
        stick
    }

    fn is_there(&self) -> bool {
        let list = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let at = format!(" {} ", self.0.display());
        list.lines().any(|line| line.contains(&at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-ql").arg(&self.0).status();
    }
}

fn media(agent: &TestAgent) -> PathBuf {
    let media = agent.path("media");
    fs::create_dir(&media).unwrap();
    media
}

fn bind(agent: &TestAgent, id: i32, host: &Path, container: &str, read_only: bool) {
    agent
        .client()
        .bind_mount(id, host.to_str().unwrap(), container, read_only)
        .unwrap();
}

/// A directory that is removed or renamed in one mount namespace takes with it what is mounted on
/// it in others (rename(2), unlink(2)), unless it is a mount point there, too.
#[test]
fn no_mount_point_of_the_host_can_be_taken_away() {
    let agent = TestAgent::start();
    let media = media(&agent);
    let stick = Mounted::stick(&media);
    // Not shown: the container has its own.
    let proc = Mounted::new("proc", media.join("chroot/proc"));
    let id = agent.create();
    bind(&agent, id, &media, "/media", false);
    let attempts = "cd /media; rmdir stick chroot/proc; mv stick x; mv chroot/proc x; mv chroot y; \
                    rm -rf stick/../chroot/proc; umount stick chroot/proc; umount -l stick; \
                    mkdir z; mv -T z stick; mv -T z chroot/proc; ln -sfn /etc chroot/proc";
    agent.shell(id, attempts);
    agent.shell_ok(id, "mv /media/y /media/chroot 2>/dev/null; ls /media");
    for mounted in [&stick, &proc] {
        assert!(mounted.is_there(), "{}", mounted.0.display());
    }
    assert_eq!(fs::read_to_string(stick.0.join("a.mp3")).unwrap(), "sound");
    // Nor does it hold anything: what the host unmounts can be removed.
    let at = proc.0.clone();
    drop(proc);
    wait_until("the mount point is free", || {
        agent.shell(id, "rmdir /media/chroot/proc").0 == 0
    });
    assert!(!at.exists());
    agent.client().destroy(id).unwrap();
}

/// Also at the moment when it comes.
#[test]
fn a_stick_in_a_read_only_directory_is_never_writable() {
    let agent = TestAgent::start();
    let media = media(&agent);
    fs::create_dir(media.join("stick")).unwrap();
    let id = agent.create();
    bind(&agent, id, &media, "/media", true);
    let writer = "sh -c 'while :; do : > /media/stick/x; mkdir /media/stick/d; \
                  chmod 0 /media/stick; rm -f /media/stick/a.mp3; done 2> /dev/null'";
    agent.client().execute(id, writer, "", "", &[]).unwrap();
    for _ in 0..20 {
        let stick = Mounted::stick(&media);
        wait_until("the stick is seen", || {
            agent.shell(id, "cat /media/stick/a.mp3").1 == "sound"
        });
        let names = fs::read_dir(&stick.0).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a.mp3"]);
        let mode = fs::metadata(&stick.0).unwrap().permissions().mode();
        assert_ne!(mode & 0o777, 0);
    }
    agent.client().destroy(id).unwrap();
    assert_eq!(fs::read_dir(media.join("stick")).unwrap().count(), 0);
}

/// Whoever hands out a stick may have put anything on it.
#[test]
fn programs_devices_and_links_on_a_stick_give_no_rights() {
    let agent = TestAgent::start();
    let media = media(&agent);
    let stick = Mounted::stick(&media);
    let at = |name: &str| stick.0.join(name);
    fs::copy("/usr/bin/id", at("id")).unwrap();
    fs::set_permissions(at("id"), fs::Permissions::from_mode(0o6755)).unwrap();
    let made = Command::new("mknod")
        .arg(at("zero"))
        .args(["c", "1", "5"])
        .status();
    assert!(made.unwrap().success());
    fs::write(agent.path("secret"), "of the host").unwrap();
    symlink(agent.path("secret"), at("secret")).unwrap();
    symlink("/proc/1/root", at("root")).unwrap();
    let options = r#"[{"writeBufferEnabled": false, "userID": 1000}]"#;
    let id = agent.client().create(options).unwrap();
    bind(&agent, id, &media, "/media", false);
    assert_eq!(agent.shell_ok(id, "/media/stick/id -u"), "1000");
    for refused in [
        "head -c 1 /media/stick/zero",
        "cat /media/stick/secret",
        "ls /media/stick/root/",
    ] {
        let (status, text) = agent.shell(id, refused);
        assert_ne!(status, 0, "{refused}: {text}");
    }
    agent.client().destroy(id).unwrap();
}

/// An app that stays in a stick keeps it, and nothing else: not its successor, not what is above.
#[test]
fn what_an_app_keeps_of_a_stick_leads_nowhere() {
    let agent = TestAgent::start();
    let media = media(&agent);
    let stick = Mounted::stick(&media);
    let id = agent.create();
    bind(&agent, id, &media, "/media", true);
    let output = agent.path("seen");
    let keeper = "sh -c 'cd /media/stick; echo in; while test -e /media/stick/a.mp3; do \
                  usleep 5000; done; while ! test -e /tmp/go; do usleep 5000; done; \
                  ls .. ../.. ../../etc; ls; cat b.mp3; echo x > new; echo end'";
    let pid = agent
        .client()
        .execute(id, keeper, "", output.to_str().unwrap(), &[])
        .unwrap();
    wait_until("the app is in the stick", || {
        fs::read_to_string(&output).unwrap_or_default() == "in\n"
    });
    let gone = stick.0.clone();
    drop(stick);
    wait_until("the stick is gone", || {
        agent.shell(id, "test -e /media/stick/a.mp3").0 != 0
    });
    let _successor = Mounted::new("tmpfs", gone.clone());
    fs::write(gone.join("b.mp3"), "another").unwrap();
    wait_until("the successor is seen", || {
        agent.shell(id, "cat /media/stick/b.mp3").1 == "another"
    });
    agent.shell_ok(id, ": > /tmp/go");
    agent.client().wait_ended(id, pid);
    let seen = fs::read_to_string(&output).unwrap();
    assert!(seen.ends_with("end\n"), "{seen}");
    for foreign in ["passwd", "another", "media", "gateways"] {
        assert!(!seen.contains(foreign), "{seen}");
    }
    assert!(!gone.join("new").exists());
    agent.client().destroy(id).unwrap();
}

/// What one app does to a stick's mount is seen by no other app.
#[test]
fn one_apps_mounts_are_not_anothers() {
    let agent = TestAgent::start();
    let media = media(&agent);
    let stick = Mounted::stick(&media);
    let (hostile, other) = (agent.create(), agent.create());
    bind(&agent, hostile, &media, "/media", false);
    bind(&agent, other, &media, "/media", true);
    agent.shell(
        hostile,
        "cd /media; rmdir stick; mv stick x; umount stick; umount -l stick; mount -t tmpfs t stick",
    );
    assert_eq!(agent.shell_ok(other, "cat /media/stick/a.mp3"), "sound");
    agent.client().destroy(hostile).unwrap();
    assert_eq!(agent.shell_ok(other, "cat /media/stick/a.mp3"), "sound");
    assert!(stick.is_there());
    agent.client().destroy(other).unwrap();
}
