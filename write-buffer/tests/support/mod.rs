//! What the tests share: a real overlay on a real tmpfs, and a way to compare trees.
#![allow(dead_code, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod inject;

use std::{
    collections::BTreeMap,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    mount::{MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags},
};
use softwarecontainer_write_buffer::{Buffer, Failure, Mapping};

/// A directory of the host, a tmpfs for buffers and a place to attach an overlay at.
pub struct Bench {
    root: tempfile::TempDir,
    attached: std::cell::Cell<bool>,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with_size("64m")
    }

    pub fn with_size(size: &str) -> Bench {
        assert!(
            rustix_is_root(),
            "these tests mount file systems and need to be root"
        );
        // Beside the build results: a disk file system, other than /tmp in many places.
        let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let bench = Bench {
            root,
            attached: std::cell::Cell::new(false),
        };
        for dir in [bench.host(), bench.scratch(), bench.view()] {
            std::fs::create_dir(dir).unwrap();
        }
        mount_tmpfs(&bench.scratch(), size);
        bench
    }

    pub fn path(&self) -> &Path {
        self.root.path()
    }

    pub fn host(&self) -> PathBuf {
        self.root.path().join("host")
    }

    pub fn scratch(&self) -> PathBuf {
        self.root.path().join("scratch")
    }

    pub fn place(&self) -> PathBuf {
        self.scratch().join("0")
    }

    /// Where the overlay is seen, as a container would.
    pub fn view(&self) -> PathBuf {
        self.root.path().join("view")
    }

    pub fn attach(&self, overlay: OwnedFd) {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(overlay, c"", CWD, self.view(), flags).unwrap();
        self.attached.set(true);
    }

    pub fn detach(&self) {
        if self.attached.replace(false) {
            // A process that another test is just starting may hold copies of our descriptors until
            // its exec.
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
            while let Err(error) = rustix::mount::unmount(self.view(), UnmountFlags::empty()) {
                let busy = error == rustix::io::Errno::BUSY;
                assert!(busy && std::time::Instant::now() < deadline, "{error}");
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.attached.get() {
            let _ = rustix::mount::unmount(self.view(), UnmountFlags::DETACH);
        }
        let _ = rustix::mount::unmount(self.scratch(), UnmountFlags::DETACH);
    }
}

/// Covers `host` with a buffer in `directory`, its owners shown as the user namespace has them.
pub fn cover(
    host: &Path,
    directory: &Path,
    mapping: Mapping,
    owners: Option<BorrowedFd<'_>>,
) -> Result<(Buffer, OwnedFd), Failure> {
    let opened = rustix::fs::open(host, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let lower = rustix::mount::open_tree(&opened, c"", flags).unwrap();
    if let Some(owners) = owners {
        idmap(lower.as_fd(), owners);
    }
    Buffer::mount(opened.as_fd(), lower, directory, mapping)
}

fn idmap(mount: BorrowedFd<'_>, owners: BorrowedFd<'_>) {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(owners.as_raw_fd()).unwrap(),
    };
    // SAFETY: mount_setattr(2) reads `attributes`, of the size passed, and an empty C string; both
    // outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

pub fn mount_tmpfs(at: &Path, size: &str) {
    let options = std::ffi::CString::new(format!("size={size}")).unwrap();
    rustix::mount::mount(
        "tmpfs",
        at,
        "tmpfs",
        MountFlags::empty(),
        options.as_c_str(),
    )
    .unwrap();
}

pub fn rustix_is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Everything about a file that a sync must carry over, except for times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub kind: char,
    pub mode: u32,
    pub owner: (u32, u32),
    pub contents: Vec<u8>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The first path, in byte order, of the same file.
    pub link_to: PathBuf,
    /// Modification time in nanoseconds; zero where not compared.
    pub mtime: i128,
}

pub type Tree = BTreeMap<PathBuf, Facts>;

/// All of a tree, its root included.
pub fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut links = BTreeMap::new();
    collect(root, Path::new(""), &mut tree);
    for (path, facts) in &mut tree {
        let inode = std::fs::symlink_metadata(root.join(path)).unwrap().ino();
        facts.link_to = links.entry(inode).or_insert_with(|| path.clone()).clone();
    }
    tree
}

/// The same without times, which differ between two runs of one sequence.
pub fn without_times(mut tree: Tree) -> Tree {
    tree.values_mut().for_each(|facts| facts.mtime = 0);
    tree
}

/// The same without which paths are one file: without an index, an overlay shows a file of its
/// lower layer that got a second name as two.
pub fn without_links(mut tree: Tree) -> Tree {
    tree.values_mut()
        .for_each(|facts| facts.link_to = PathBuf::new());
    tree
}

fn collect(root: &Path, relative: &Path, tree: &mut Tree) {
    let path = if relative.as_os_str().is_empty() {
        root.to_owned()
    } else {
        root.join(relative)
    };
    let meta = std::fs::symlink_metadata(&path).unwrap();
    let mut names = Vec::new();
    let (kind, contents) = match meta.mode() & libc::S_IFMT {
        libc::S_IFREG => ('-', std::fs::read(&path).unwrap()),
        libc::S_IFLNK => {
            let target = std::fs::read_link(&path).unwrap();
            ('l', target.as_os_str().as_bytes().to_vec())
        }
        libc::S_IFDIR => {
            for entry in std::fs::read_dir(&path).unwrap() {
                names.push(entry.unwrap().file_name());
            }
            ('d', Vec::new())
        }
        libc::S_IFIFO => ('p', Vec::new()),
        libc::S_IFCHR => ('c', meta.rdev().to_le_bytes().to_vec()),
        other => panic!("unexpected type {other:o} of {}", path.display()),
    };
    let facts = Facts {
        kind,
        mode: meta.mode() & 0o7777,
        owner: (meta.uid(), meta.gid()),
        contents,
        xattrs: xattrs(&path),
        link_to: PathBuf::new(),
        mtime: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
    };
    tree.insert(relative.to_owned(), facts);
    for name in names {
        collect(root, &relative.join(name), tree);
    }
}

pub fn xattrs(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut list = vec![0u8; 65536];
    let length = rustix::fs::llistxattr(path, &mut list[..]).unwrap();
    let mut all = Vec::new();
    for name in list[..length].split(|&b| b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0u8; 65536];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        value.truncate(length);
        all.push((name.to_vec(), value));
    }
    all.sort();
    all
}

/// Fails with the differing paths only: whole trees are unreadable.
#[track_caller]
pub fn assert_same(found: &Tree, wanted: &Tree) {
    let mut differences = Vec::new();
    for path in found.keys().chain(wanted.keys()) {
        let (found, wanted) = (found.get(path), wanted.get(path));
        if found != wanted {
            differences.push(format!(
                "{}:\n   found {found:?}\n  wanted {wanted:?}",
                path.display()
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
