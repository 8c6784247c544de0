//! The way to a file of the host, one directory after the other: where an app may have put symbolic
//! links, they are not believed.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs, io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, readlinkat},
    io::Errno,
};

use super::writable_directories::{WritableDirectories, is_within};

/// How many symbolic links a way may have, as in the kernel (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Why there is no way to a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum WalkError {
    /// A symbolic link that an app may have made.
    Link,
    /// A system call failed.
    System(io::Error),
}

/// How far a symbolic link in a directory that an app can write to is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Nowhere,
    Within,
}

/// Opens the directory that holds `path`, through no symbolic link that an app may have made.
///
/// # Errors
/// [`WalkError`].
pub fn open_parent(path: &Path, writable: &WritableDirectories) -> Result<OwnedFd, WalkError> {
    walk(path, path.parent(), writable, Trust::Nowhere)
}

/// Opens the file or directory `path` (O_PATH), the last component followed, too. A symbolic link
/// that an app may have made may lead to what that app can write to, and nowhere else.
///
/// # Errors
/// [`WalkError`].
pub fn open(path: &Path, writable: &WritableDirectories) -> Result<OwnedFd, WalkError> {
    walk(path, Some(path), writable, Trust::Within)
}

/// The path of an open file, without symbolic links.
///
/// # Errors
/// The system's.
pub fn real_path(file: &OwnedFd) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn walk(
    path: &Path,
    to: Option<&Path>,
    writable: &WritableDirectories,
    trust: Trust,
) -> Result<OwnedFd, WalkError> {
    let mut rest: VecDeque<OsString> = to.map(names).unwrap_or_default();
    let start = if path.is_absolute() { "/" } else { "." };
    let mut at = enter(CWD, Path::new(start))?;
    // Where a file that is no directory was found.
    let mut holder = None;
    let mut links = 0;
    let mut bounds = Vec::new();
    while let Some(name) = rest.pop_front() {
        let next = step(&at, Path::new(&name))?;
        let mode = rustix::fs::fstat(&next).map_err(system)?.st_mode;
        let kind = FileType::from_raw_mode(mode);
        if !kind.is_symlink() {
            let directory = std::mem::replace(&mut at, next);
            holder = (!kind.is_dir()).then_some(directory);
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(system(Errno::LOOP));
        }
        match writable.holding(at.as_fd()).map_err(WalkError::System)? {
            Some(_) if trust == Trust::Nowhere => return Err(WalkError::Link),
            bound => bounds.extend(bound),
        }
        let target = readlinkat(&next, c"", Vec::new()).map_err(system)?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            at = enter(CWD, Path::new("/"))?;
        }
        for name in names(&target).into_iter().rev() {
            rest.push_front(name);
        }
    }
    if !bounds.is_empty() {
        let directory = holder.as_ref().unwrap_or(&at).as_fd();
        for bound in bounds {
            if !is_within(directory, bound).map_err(WalkError::System)? {
                return Err(WalkError::Link);
            }
        }
    }
    Ok(at)
}

/// The components to walk; `..` among them, as the kernel walks it.
fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

/// A symbolic link is opened itself. A directory is opened as one, which has the kernel mount there
/// what is mounted on demand.
fn step(at: &OwnedFd, name: &Path) -> Result<OwnedFd, WalkError> {
    match enter(at, name) {
        Err(WalkError::System(error))
            if [libc::ENOTDIR, libc::ELOOP]
                .map(Some)
                .contains(&error.raw_os_error()) => {}
        result => return result,
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty()).map_err(system)
}

fn enter(at: impl std::os::fd::AsFd, name: &Path) -> Result<OwnedFd, WalkError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty()).map_err(system)
}

fn system(errno: Errno) -> WalkError {
    WalkError::System(io::Error::from(errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_that_an_app_may_have_made_leads_to_nothing_that_the_app_does_not_have() {
        let dir = tempfile::TempDir::new().unwrap();
        let (app, etc) = (dir.path().join("app"), dir.path().join("etc"));
        fs::create_dir_all(app.join("data/v2")).unwrap();
        fs::create_dir(&etc).unwrap();
        symlink("data/v2", app.join("current")).unwrap();
        symlink("../etc", app.join("cache")).unwrap();
        symlink(&app, etc.join("app")).unwrap();
        let writable = WritableDirectories::default();
        let real = |path: &Path| real_path(&open(path, &writable).unwrap()).unwrap();
        assert_eq!(real(&app.join("cache")), etc.canonicalize().unwrap());
        writable.add(enter(CWD, &app).unwrap()).unwrap();
        let current = app.join("data/v2").canonicalize().unwrap();
        assert_eq!(real(&app.join("current")), current);
        // The link in etc is the host's own.
        assert_eq!(real(&etc.join("app/current")), current);
        for path in [
            app.join("cache"),
            app.join("cache/x"),
            etc.join("app/cache"),
        ] {
            let error = open(&path, &writable).unwrap_err();
            let absent = path.ends_with("x");
            assert!(
                matches!(error, WalkError::Link) || absent,
                "{path:?}: {error:?}"
            );
        }
        fs::write(app.join("data/file"), "x").unwrap();
        symlink("data/file", app.join("file")).unwrap();
        assert!(open(&app.join("file"), &writable).is_ok());
        // Out of the directory and back in is no way out.
        symlink("../etc/app/data", app.join("round")).unwrap();
        assert!(open(&app.join("round"), &writable).is_ok());
    }

    #[test]
    fn links_that_go_round_in_circles_end() {
        let dir = tempfile::TempDir::new().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        let writable = WritableDirectories::default();
        let found = open(&dir.path().join("a"), &writable);
        let Err(WalkError::System(error)) = found else {
            panic!("{found:?}");
        };
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    }

    #[test]
    fn files_and_dangling_links_are_found_or_absent() {
        let dir = tempfile::TempDir::new().unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        symlink("file", dir.path().join("link")).unwrap();
        symlink("none", dir.path().join("dangling")).unwrap();
        let writable = WritableDirectories::default();
        for name in ["file", "link"] {
            let found = open(&dir.path().join(name), &writable).unwrap();
            assert!(real_path(&found).unwrap().ends_with("file"));
        }
        for name in ["dangling", "none", "file/x"] {
            let error = open(&dir.path().join(name), &writable).unwrap_err();
            assert!(matches!(error, WalkError::System(_)), "{name}: {error:?}");
        }
    }
}
