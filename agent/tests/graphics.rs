//! GPU nodes in containers: the host's own, or stand-ins where it has no GPU; and an app that
//! renders.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
mod unable;
mod weston;

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use support::{Setup, TestAgent, signal, wait_until};
use weston::Weston;

/// A render node; a stand-in behaves like /dev/zero and is gone afterwards.
struct RenderNode {
    path: PathBuf,
    stand_in: bool,
}

impl RenderNode {
    fn new() -> Self {
        let own = fs::read_dir("/dev/dri").into_iter().flatten().flatten();
        let is_node = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("render"))
                && path
                    .metadata()
                    .is_ok_and(|meta| meta.file_type().is_char_device())
        };
        if let Some(path) = own.map(|entry| entry.path()).find(is_node) {
            let stand_in = false;
            return Self { path, stand_in };
        }
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("/dev/dri-test-{}-{number}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let path = dir.join("renderD128");
        let mknod = Command::new("mknod")
            .arg(&path)
            .args(["c", "1", "5"])
            .status();
        assert!(mknod.unwrap().success());
        let stand_in = true;
        Self { path, stand_in }
    }
}

impl Drop for RenderNode {
    fn drop(&mut self) {
        if self.stand_in {
            let _ = fs::remove_dir_all(self.path.parent().unwrap());
        }
    }
}

fn manifest(node: &Path) -> String {
    format!(
        r#"{{"version": "1", "capabilities": [
            {{"name": "test.gpu", "gateways": [{{"id": "devicenode", "config": [
                {{"name": "{}", "mode": "640"}}]}}]}},
            {{"name": "test.other-board", "gateways": [{{"id": "devicenode", "config": [
                {{"name": "{}", "mode": "640"}}, {{"name": "/dev/no-such-gpu"}}]}}]}}
        ]}}"#,
        node.display(),
        node.display()
    )
}

#[test]
fn render_node_is_there_with_the_capability_only() {
    let node = RenderNode::new();
    let agent = TestAgent::with(&Setup::manifest(&manifest(&node.path)));
    let (with, without) = (agent.create(), agent.create());
    agent
        .client()
        .set_capabilities(with, &["test.gpu"])
        .unwrap();
    let path = node.path.display();
    let meta = node.path.metadata().unwrap();
    let facts = agent.shell_ok(with, &format!("stat -c '%F %a %u %t:%T' {path}"));
    let device = meta.rdev();
    let numbers = format!("{:x}:{:x}", (device >> 8) & 0xfff, device & 0xff);
    assert_eq!(facts, format!("character special file 640 0 {numbers}"));
    // Opening it is what the devices cgroup decides on.
    agent.shell_ok(with, &format!("exec 3< {path}"));
    if node.stand_in {
        let read = agent.shell_ok(with, &format!("head -c 3 {path} | od -An -tx1"));
        assert_eq!(read.trim(), "00 00 00");
    }
    assert_ne!(agent.shell(without, &format!("test -e {path}")).0, 0);
    for id in [with, without] {
        agent.client().destroy(id).unwrap();
    }
}

#[test]
fn node_that_a_board_lacks_is_named_and_nothing_is_changed() {
    let node = RenderNode::new();
    let agent = TestAgent::with(&Setup::manifest(&manifest(&node.path)));
    let id = agent.create();
    let (_, text) = agent
        .client()
        .set_capabilities(id, &["test.other-board"])
        .unwrap_err();
    assert!(text.contains("gateway devicenode"), "{text}");
    assert!(text.contains("/dev/no-such-gpu"), "{text}");
    assert!(text.contains("No such file or directory"), "{text}");
    let path = node.path.display();
    assert_ne!(agent.shell(id, &format!("test -c {path}")).0, 0);
    agent.client().set_capabilities(id, &["test.gpu"]).unwrap();
    agent.shell_ok(id, &format!("exec 3< {path}"));
    agent.client().destroy(id).unwrap();
}

/// A driver of a GPU that is none, where the kernel has it, until the end of the test.
struct Vgem;

impl Vgem {
    fn loaded() -> Option<Self> {
        let loaded = Command::new("modprobe").arg("vgem").output();
        loaded.is_ok_and(|it| it.status.success()).then(|| Self)
    }
}

impl Drop for Vgem {
    fn drop(&mut self) {
        let _ = Command::new("rmmod").arg("vgem").output();
    }
}

/// Which driver a render node is of, as its clients ask (`DRM_IOCTL_VERSION`, drm.h; 64 bits).
const DRIVER: &str = r"
import ctypes, fcntl, glob, os, struct
name = ctypes.create_string_buffer(64)
for node in glob.glob('/dev/dri/renderD*'):
    version = struct.pack('iiixxxxQQQQQQ', 0, 0, 0, 63, ctypes.addressof(name), 0, 0, 0, 0)
    fcntl.ioctl(os.open(node, os.O_RDWR), 0xc0406400, version)
    print(name.value.decode())
";

/// Mesa renders; a GPU of that class is there if the board has one.
#[test]
fn app_that_renders_is_seen_on_the_screen() {
    if !Path::new("/usr/bin/weston-simple-egl").exists() {
        return unable::note("it has no weston-simple-egl");
    }
    let vgem = Vgem::loaded();
    let weston = Weston::started();
    let mut setup = Setup::manifest(
        r#"{"version": "1", "capabilities": [{"name": "test.renders", "gateways": [
            {"id": "wayland", "config": [{"enabled": true}]},
            {"id": "devicenode", "config": [
                {"class": "drm-render", "mode": "660", "optional": true}]}]}]}"#,
    );
    setup.config = format!("wayland-socket = {}", weston.socket().display());
    let agent = TestAgent::with(&setup);
    let id = agent.create();
    agent
        .client()
        .set_capabilities(id, &["test.renders"])
        .unwrap();
    let drivers = agent.shell_ok(id, &format!("python3 -c \"{DRIVER}\""));
    assert_eq!(drivers.contains("vgem"), vgem.is_some(), "{drivers}");
    let output = agent.path("client");
    let client = "sh -c 'LIBGL_ALWAYS_SOFTWARE=1 exec weston-simple-egl'";
    let pid = agent
        .client()
        .execute(id, client, "", output.to_str().unwrap(), &[])
        .unwrap();
    wait_until("what it renders is seen", || weston.shows_client());
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    assert!(maps.contains("swrast"), "{maps}");
    signal(pid, "TERM");
    agent.client().wait_ended(id, pid);
    wait_until("it is gone from the screen", || weston.shows_nothing());
    agent.client().destroy(id).unwrap();
}
