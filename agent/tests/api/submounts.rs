//! What is mounted in directories that containers have: USB sticks.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    bind_mount::{directory, mount},
    support::{TestAgent, wait_until},
};

/// A tmpfs that goes with the test.
pub(crate) struct Stick(PathBuf);

impl Stick {
    /// Anything that is mounted there, to be unmounted with the test.
    pub(crate) fn mounted_at(point: PathBuf) -> Self {
        Self(point)
    }

    fn plug(at: &Path, file: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "stick"])
            .arg(at)
            .status();
        assert!(mounted.unwrap().success());
        fs::write(at.join(file), file).unwrap();
        Self(at.to_owned())
    }
}

impl Drop for Stick {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn what_is_mounted_in_a_directory_is_seen_then_and_later() {
    let agent = TestAgent::start();
    let id = agent.create();
    let media = directory(&agent, "media");
    let stick = Stick::plug(&media.join("stick"), "a.mp3");
    mount(&agent, id, &media, "/media", false);
    mount(&agent, id, &media, "/bm", true);
    assert_eq!(
        agent.shell_ok(id, "cat /media/stick/a.mp3 /bm/stick/a.mp3"),
        "a.mp3a.mp3"
    );
    agent.shell_ok(id, "echo song > /media/stick/playlist");
    assert!(media.join("stick/playlist").exists());
    let owner = fs::metadata(media.join("stick/playlist")).unwrap().uid();
    assert_eq!(owner, 0, "owners are mapped on the stick as well");
    let (status, text) = agent.shell(id, "echo x > /bm/stick/new");
    assert_ne!(status, 0);
    assert!(text.contains("Read-only"), "{text}");

    let later = Stick::plug(&media.join("later"), "b.mp3");
    wait_until("the later mount is seen", || {
        agent.shell(id, "cat /media/later/b.mp3 /bm/later/b.mp3").1 == "b.mp3b.mp3"
    });
    agent.shell_ok(id, "echo x > /media/later/new");
    assert!(media.join("later/new").exists());
    assert!(
        agent
            .shell(id, "echo x > /bm/later/new")
            .1
            .contains("Read-only")
    );

    // What is unmounted on the host is not kept in use.
    drop(later);
    wait_until("the later mount is gone", || {
        agent
            .shell_ok(id, "ls /media/later /bm/later; cat /proc/self/mountinfo")
            .lines()
            .all(|line| !line.contains("later ") && !line.contains("b.mp3"))
    });
    drop(stick);
    agent.client().destroy(id).unwrap();
}

#[test]
fn a_mount_in_a_buffered_directory_has_a_buffer_of_its_own() {
    let agent = TestAgent::start();
    let options = r#"[{"writeBufferEnabled": true}]"#;
    let id = agent.client().create(options).unwrap();
    let media = directory(&agent, "media");
    let _stick = Stick::plug(&media.join("stick"), "a.mp3");
    mount(&agent, id, &media, "/media", false);
    agent.shell_ok(
        id,
        "cat /media/stick/a.mp3; echo song > /media/stick/playlist; echo > /media/new",
    );
    assert!(!media.join("stick/playlist").exists());
    agent.client().destroy(id).unwrap();
    assert_eq!(
        fs::read_to_string(media.join("stick/playlist")).unwrap(),
        "song\n"
    );
    assert!(media.join("new").exists());
}

/// A stick with a file system on a device of its own, which goes with the test.
struct Device(String);

impl Device {
    fn new(image: &Path) -> Self {
        fs::File::create(image).unwrap().set_len(16 << 20).unwrap();
        let made = Command::new("mkfs.ext4").arg("-q").arg(image).status();
        assert!(made.unwrap().success());
        let attached = Command::new("losetup")
            .args(["-f", "--show"])
            .arg(image)
            .output();
        let attached = attached.unwrap();
        assert!(attached.status.success(), "{attached:?}");
        Self(
            String::from_utf8(attached.stdout)
                .unwrap()
                .trim()
                .to_owned(),
        )
    }

    fn mount(&self, at: &Path) {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").arg(&self.0).arg(at).status();
        assert!(mounted.unwrap().success());
    }

    fn unmount(&self) -> bool {
        let unmounted = Command::new("umount")
            .arg(&self.0)
            .stderr(Stdio::null())
            .status();
        unmounted.unwrap().success()
    }

    /// Whether its file system is mounted nowhere any more (open(2), O_EXCL).
    fn can_be_pulled(&self) -> bool {
        let mut options = fs::File::options();
        options.read(true).custom_flags(libc::O_EXCL);
        options.open(&self.0).is_ok()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-ql").arg(&self.0).status();
        let _ = Command::new("losetup").arg("-d").arg(&self.0).status();
    }
}

#[test]
fn what_is_unmounted_on_the_host_can_be_pulled_when_no_app_uses_it_any_more() {
    let agent = TestAgent::start();
    for buffered in [false, true] {
        let options = format!(r#"[{{"writeBufferEnabled": {buffered}}}]"#);
        let id = agent.client().create(&options).unwrap();
        let media = directory(&agent, &format!("media-{buffered}"));
        mount(&agent, id, &media, "/media", false);
        let stick = media.join("stick");
        let device = Device::new(&agent.path(&format!("stick-{buffered}")));
        device.mount(&stick);
        fs::write(stick.join("a.mp3"), "sound").unwrap();
        let is_there = || agent.shell(id, "cat /media/stick/a.mp3").1 == "sound";
        wait_until("the stick is seen", is_there);
        agent.shell_ok(id, "echo song > /media/stick/playlist");
        assert_eq!(stick.join("playlist").exists(), !buffered);
        let player = "sh -c 'exec 3<>/media/stick/position; echo 1 >&3; echo > /tmp/plays; \
                      exec sleep 1000'";
        let player = agent.client().execute(id, player, "", "", &[]).unwrap();
        wait_until("it plays", || agent.shell(id, "test -e /tmp/plays").0 == 0);

        // Not at once where the agent just looks at it.
        wait_until("the host unmounts it", || device.unmount());
        wait_until("it is not seen", || !is_there());
        assert!(!device.can_be_pulled(), "the player has a file open");
        let killed = agent.shell(id, "killall sleep; rm /tmp/plays");
        assert_eq!(killed.0, 0);
        agent.client().wait_ended(id, player);
        wait_until("it can be pulled", || device.can_be_pulled());

        // And what was written is on it.
        device.mount(&stick);
        for (name, content) in [("playlist", "song\n"), ("position", "1\n")] {
            assert_eq!(fs::read_to_string(stick.join(name)).unwrap(), content);
        }
        wait_until("it is seen again", is_there);
        agent.shell_ok(id, "grep song /media/stick/playlist; rm /media/stick/a.mp3");
        wait_until("the host unmounts it again", || device.unmount());
        wait_until("it can be pulled again", || device.can_be_pulled());
        agent.client().destroy(id).unwrap();
        device.mount(&stick);
        assert!(!stick.join("a.mp3").exists());
    }
}
