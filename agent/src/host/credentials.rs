//! Work with the rights of a user of the host, as far as files go.

use std::{io, thread};

use rustix::{
    fs::{Gid, Uid},
    thread::{set_thread_gid, set_thread_groups, set_thread_uid},
};

/// A user of the host and their groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: u32,
    /// The groups, in no order: the bus does not tell which is the primary one.
    pub groups: Vec<u32>,
    /// The process, if the bus tells. It may have ended.
    pub process: Option<u32>,
}

impl Credentials {
    /// Does `work` with the rights of this user, in a thread of its own, and waits for it. For root
    /// it is done here and now.
    ///
    /// # Errors
    /// The system's when there can be no such thread; the work is not done then.
    pub fn act<T, F>(&self, work: F) -> io::Result<T>
    where
        T: Send,
        F: FnOnce() -> T + Send,
    {
        if self.user == 0 {
            return Ok(work());
        }
        // Linux has these per thread; a thread of its own, since no way leads back to root.
        thread::scope(|scope| {
            thread::Builder::new()
                .name("caller".to_owned())
                .spawn_scoped(scope, || {
                    self.assume()?;
                    Ok(work())
                })?
                .join()
                .unwrap_or(Err(io::ErrorKind::Other.into()))
        })
    }

    /// What is most likely the primary group: most users' has their own number. A bus that tells no
    /// groups leaves the user with that of nobody.
    pub fn primary_group(&self) -> u32 {
        const NO_GROUP: u32 = 65534;
        let own = self.groups.iter().copied().find(|it| *it == self.user);
        own.or(self.groups.first().copied()).unwrap_or(NO_GROUP)
    }

    fn assume(&self) -> rustix::io::Result<()> {
        let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        set_thread_groups(&groups)?;
        set_thread_gid(Gid::from_raw(self.primary_group()))?;
        // From root to another user, this takes every capability from the thread (capabilities(7)).
        set_thread_uid(Uid::from_raw(self.user))
    }
}

/// The primary group of a user of the host; for one that the system does not know, that of the same
/// number.
pub fn group_of(user: u32) -> u32 {
    let known = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(user));
    known.ok().flatten().map_or(user, |it| it.gid.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn work_is_done_with_the_users_rights_and_the_agent_keeps_its_own() {
        let dir = tempfile::TempDir::new().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let user = |user, groups: &[u32]| Credentials {
            user,
            groups: groups.to_vec(),
            process: None,
        };
        let read = || fs::read(&file).map_err(|error| error.kind());
        let refused = Err(io::ErrorKind::PermissionDenied);
        assert_eq!(user(1000, &[]).act(read).unwrap(), refused);
        assert_eq!(user(0, &[]).act(read).unwrap(), Ok(b"x".to_vec()));
        assert!(read().is_ok());
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::chown(dir.path(), None, Some(4321)).unwrap();
        assert_eq!(user(1000, &[1000]).act(read).unwrap(), refused);
        assert!(user(1000, &[1000, 4321]).act(read).unwrap().is_ok());
    }
}
