//! Owners: what a container's user namespace writes belongs to the same ids on the host.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs::{self, File},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, chown},
    },
    process::{Child, Command, Stdio},
};

use softwarecontainer_write_buffer::{Buffer, Mapping};
use support::{Bench, assert_same, cover, tree, without_links};

const FIRST: u32 = 524_288 + 3 * 65_536;

/// A process in a user namespace like that of a container.
struct Inhabitant(Child);

impl Inhabitant {
    fn new() -> Inhabitant {
        let child = Command::new("unshare")
            .args(["--user", "sleep", "60"])
            .spawn()
            .unwrap();
        let inhabitant = Inhabitant(child);
        let own = fs::read_link("/proc/self/ns/user").unwrap();
        while fs::read_link(inhabitant.proc("ns/user")).unwrap() == own {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        for map in ["uid_map", "gid_map"] {
            fs::write(inhabitant.proc(map), format!("0 {FIRST} 65536")).unwrap();
        }
        inhabitant
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.0.id())
    }

    fn namespace(&self) -> File {
        File::open(self.proc("ns/user")).unwrap()
    }

    /// Runs a shell script as root of the namespace.
    fn shell(&self, bench: &Bench, script: &str) {
        let status = Command::new("nsenter")
            .args(["--user", "--setuid", "0", "--setgid", "0", "--target"])
            .arg(self.0.id().to_string())
            .args(["sh", "-euc", script])
            .current_dir(bench.view())
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{script}: {status}");
    }
}

impl Drop for Inhabitant {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A buffer as a container with a user namespace gets it.
fn mount(bench: &Bench, inhabitant: &Inhabitant) -> Buffer {
    // The inhabitant's way to the view must not end at a private directory.
    for dir in [bench.path().to_owned(), bench.view()] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir, mode).unwrap();
    }
    let namespace = inhabitant.namespace();
    let mapping = Mapping::shift(FIRST, 65_536);
    let owners = Some(namespace.as_fd());
    let (buffer, overlay) = cover(&bench.host(), &bench.place(), mapping, owners).unwrap();
    bench.attach(overlay);
    buffer
}

#[test]
fn owners_in_the_container_are_the_same_ids_on_the_host() {
    let bench = Bench::new();
    fs::write(bench.host().join("root"), "old").unwrap();
    fs::write(bench.host().join("user"), "old").unwrap();
    chown(bench.host().join("user"), Some(1000), Some(100)).unwrap();
    let inhabitant = Inhabitant::new();
    let buffer = mount(&bench, &inhabitant);
    inhabitant.shell(
        &bench,
        "test \"$(stat -c %u:%g .)\" = 0:0
         test \"$(stat -c %u:%g user)\" = 1000:100
         echo new > root; echo new > user; echo x > made; mkdir dir
         ln -s nowhere link; mkfifo fifo
         echo y > given; chown 77:88 given; chown -h 5:6 link; chown 9:9 .
         setfacl -m u:1234:r,g:55:rw made",
    );
    bench.detach();
    assert!(buffer.sync().unwrap().first.is_empty());
    let owner = |name: &str| {
        let meta = bench.host().join(name).symlink_metadata().unwrap();
        (meta.uid(), meta.gid())
    };
    assert_eq!(owner("root"), (0, 0));
    assert_eq!(owner("user"), (1000, 100));
    for made in ["made", "dir", "fifo"] {
        assert_eq!(owner(made), (0, 0), "{made}");
    }
    assert_eq!(owner("given"), (77, 88));
    assert_eq!(owner("link"), (5, 6));
    assert_eq!(owner(""), (9, 9));
    let acl = Command::new("getfacl")
        .args(["-n", "-c"])
        .arg(bench.host().join("made"))
        .output()
        .unwrap();
    let acl = String::from_utf8(acl.stdout).unwrap();
    assert!(acl.contains("user:1234:r--"), "{acl}");
    assert!(acl.contains("group:55:rw-"), "{acl}");
    assert_eq!(
        fs::read_to_string(bench.host().join("user")).unwrap(),
        "new\n"
    );
}

#[test]
fn ids_outside_the_range_are_kept() {
    let bench = Bench::new();
    fs::write(bench.host().join("foreign"), "old").unwrap();
    chown(
        bench.host().join("foreign"),
        Some(1_000_000),
        Some(1_000_000),
    )
    .unwrap();
    let inhabitant = Inhabitant::new();
    let buffer = mount(&bench, &inhabitant);
    inhabitant.shell(
        &bench,
        "test \"$(stat -c %u foreign)\" = 65534
         ! chown 0 foreign 2>/dev/null
         echo x > made",
    );
    // Written by a process of the host, for instance the agent.
    fs::write(bench.view().join("from-host"), "x").unwrap();
    bench.detach();
    assert!(buffer.sync().unwrap().first.is_empty());
    let uid = |name: &str| bench.host().join(name).metadata().unwrap().uid();
    assert_eq!(uid("foreign"), 1_000_000);
    assert_eq!(uid("from-host"), 0);
    assert_eq!(uid("made"), 0);
}

#[test]
fn app_can_neither_forge_whiteouts_nor_attributes_of_overlayfs() {
    let bench = Bench::new();
    fs::create_dir(bench.host().join("dir")).unwrap();
    fs::write(bench.host().join("dir/file"), "kept").unwrap();
    let inhabitant = Inhabitant::new();
    let buffer = mount(&bench, &inhabitant);
    let before = without_links(tree(&bench.host()));
    inhabitant.shell(
        &bench,
        "! mknod dir/whiteout c 0 0 2>/dev/null
         ! setfattr -n trusted.overlay.opaque -v y dir 2>/dev/null
         ! setfattr -n trusted.overlay.whiteout -v y dir/file 2>/dev/null",
    );
    bench.detach();
    assert!(buffer.sync().unwrap().first.is_empty());
    let mut after = without_links(tree(&bench.host()));
    for (path, facts) in &mut after {
        facts.mtime = before[path].mtime;
    }
    assert_same(&after, &before);
}
