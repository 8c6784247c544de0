//! Any sequence of file operations, buffered and synced, leaves what the same sequence leaves when
//! it is run on the directory itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use softwarecontainer_write_buffer::Mapping;
use support::{Bench, assert_same, cover, tree, without_links, without_times};

#[derive(Debug, Clone)]
enum Operation {
    Create(PathBuf),
    Write(PathBuf, u32, u16),
    Truncate(PathBuf, u32),
    MakeDir(PathBuf),
    RemoveDir(PathBuf),
    Unlink(PathBuf),
    RemoveAll(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Symlink(PathBuf, PathBuf),
    Fifo(PathBuf),
    Chmod(PathBuf, u32),
    Chown(PathBuf, u32),
    SetXattr(PathBuf, u8, u8),
    RemoveXattr(PathBuf, u8),
    SetAcl(PathBuf, u32),
}

/// Few names, so that operations meet.
fn path() -> impl Strategy<Value = PathBuf> {
    let name = prop::sample::select(vec!["a", "b", "c", "d"]);
    prop::collection::vec(name, 1..4).prop_map(|names| names.iter().collect())
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        3 => path().prop_map(Create),
        3 => (path(), 0u32..200_000, any::<u16>()).prop_map(|(p, o, l)| Write(p, o, l)),
        1 => (path(), 0u32..400_000).prop_map(|(p, l)| Truncate(p, l)),
        4 => path().prop_map(MakeDir),
        1 => path().prop_map(RemoveDir),
        2 => path().prop_map(Unlink),
        2 => path().prop_map(RemoveAll),
        3 => (path(), path()).prop_map(|(a, b)| Rename(a, b)),
        2 => (path(), path()).prop_map(|(a, b)| Link(a, b)),
        1 => (path(), path()).prop_map(|(a, b)| Symlink(a, b)),
        1 => path().prop_map(Fifo),
        1 => (path(), 0u32..0o10000).prop_map(|(p, m)| Chmod(p, m)),
        1 => (path(), 0u32..3).prop_map(|(p, o)| Chown(p, o)),
        1 => (path(), 0u8..3, any::<u8>()).prop_map(|(p, n, v)| SetXattr(p, n, v)),
        1 => (path(), 0u8..3).prop_map(|(p, n)| RemoveXattr(p, n)),
        1 => (path(), 0u32..3).prop_map(|(p, u)| SetAcl(p, u)),
    ]
}

impl Operation {
    fn run(&self, root: &Path) -> io::Result<()> {
        use Operation::*;
        match self {
            Create(path) => match beneath(root, path)? {
                // Opening a FIFO would wait for its other end.
                path if path.symlink_metadata().is_ok_and(|meta| !meta.is_file()) => {
                    Err(io::ErrorKind::InvalidInput.into())
                }
                path => File::create(path).map(drop),
            },
            Write(path, offset, length) => {
                let file = regular(root, path)?;
                let piece = vec![u8::try_from(length % 251).unwrap(); usize::from(*length)];
                file.write_all_at(&piece, u64::from(*offset))
            }
            Truncate(path, length) => regular(root, path)?.set_len(u64::from(*length)),
            MakeDir(path) => fs::create_dir(beneath(root, path)?),
            RemoveDir(path) => fs::remove_dir(beneath(root, path)?),
            Unlink(path) => fs::remove_file(beneath(root, path)?),
            RemoveAll(path) => fs::remove_dir_all(beneath(root, path)?),
            Rename(from, to) => fs::rename(beneath(root, from)?, beneath(root, to)?),
            Link(from, to) => fs::hard_link(beneath(root, from)?, beneath(root, to)?),
            Symlink(target, path) => symlink(target, beneath(root, path)?),
            Fifo(path) => {
                let path = beneath(root, path)?;
                Ok(rustix::fs::mknodat(
                    CWD,
                    path,
                    FileType::Fifo,
                    Mode::RWXU,
                    0,
                )?)
            }
            Chmod(path, mode) => {
                let path = beneath(root, path)?;
                if path.symlink_metadata()?.is_symlink() {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                // Files do not keep set-user-ID and set-group-ID bits; see sync.rs.
                let kept = if path.is_file() { 0o1777 } else { 0o7777 };
                fs::set_permissions(path, fs::Permissions::from_mode(mode & kept))
            }
            Chown(path, id) => {
                std::os::unix::fs::lchown(beneath(root, path)?, Some(*id), Some(id + 5))
            }
            SetXattr(path, name, value) => {
                let (path, name) = (beneath(root, path)?, xattr(*name));
                let flags = XattrFlags::empty();
                Ok(rustix::fs::lsetxattr(path, name, &[*value], flags)?)
            }
            RemoveXattr(path, name) => {
                let (path, name) = (beneath(root, path)?, xattr(*name));
                Ok(rustix::fs::lremovexattr(path, name)?)
            }
            SetAcl(path, user) => {
                let (path, flags) = (beneath(root, path)?, XattrFlags::empty());
                let name = "system.posix_acl_access";
                Ok(rustix::fs::lsetxattr(path, name, &acl(*user), flags)?)
            }
        }
    }
}

/// The path, if no parent is a symbolic link: those lead out of the tree that is compared.
fn beneath(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut whole = root.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        whole.push(part);
        if whole.symlink_metadata()?.is_symlink() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
    }
    let path = root.join(path);
    Ok(path)
}

fn regular(root: &Path, path: &Path) -> io::Result<File> {
    let path = beneath(root, path)?;
    if !path.symlink_metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    OpenOptions::new().write(true).open(path)
}

fn xattr(name: u8) -> &'static str {
    ["user.one", "user.two", "trusted.three"][usize::from(name)]
}

fn acl(user: u32) -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    let none = u32::MAX;
    for (tag, permissions, id) in [
        (0x01u16, 6u16, none),
        (0x02, 5, user + 1),
        (0x04, 4, none),
        (0x10, 7, none),
        (0x20, 1, none),
    ] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn buffered_and_direct_runs_end_alike(
        before in prop::collection::vec(operation(), 0..30),
        inside in prop::collection::vec(operation(), 1..60),
    ) {
        let bench = Bench::new();
        for operation in before {
            // With a link count above one on the host, an overlay separates what it changes.
            if !matches!(operation, Operation::Link(..)) {
                let _ = operation.run(&bench.host());
            }
        }
        let direct = bench.path().join("direct");
        let status = Command::new("cp").arg("-a").arg(bench.host()).arg(&direct).status().unwrap();
        assert!(status.success());
        let untouched = tree(&bench.host());
        let (buffer, overlay) =
            cover(&bench.host(), &bench.place(), Mapping::IDENTITY, None).unwrap();
        bench.attach(overlay);
        for operation in &inside {
            let buffered = operation.run(&bench.view()).map_err(|e| e.raw_os_error());
            // What overlayfs refuses (mv copies and deletes then) is left out of both runs, as is a
            // rename between two names of one file that it has just copied: it is to do nothing,
            // and overlayfs says that the file is stale.
            if [Err(Some(libc::EXDEV)), Err(Some(libc::ESTALE))].contains(&buffered)
                && matches!(operation, Operation::Rename(..))
            {
                continue;
            }
            let direct = operation.run(&direct).map_err(|e| e.raw_os_error());
            prop_assert_eq!(buffered, direct, "{:?}", operation);
        }
        assert_same(&tree(&bench.host()), &untouched);
        let view = without_links(tree(&bench.view()));
        bench.detach();
        assert!(buffer.sync().unwrap().first.is_empty());
        let synced = tree(&bench.host());
        assert_same(&without_links(synced.clone()), &view);
        assert_same(&without_times(synced), &without_times(tree(&direct)));
        // And once more: a repeat changes nothing.
        assert!(buffer.sync().unwrap().first.is_empty());
        assert_same(&without_times(tree(&bench.host())), &without_times(tree(&direct)));
    }
}
