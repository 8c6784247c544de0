//! The user that apps of a container are.

use serde::{Deserialize, Serialize};

use super::user_namespace::FIRST_ID;

/// The user that apps of a container are, in the container and on the host. In the container, its
/// group has the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppUser {
    /// Its ID in the container; 0 is the container's root.
    pub inside: u32,
    /// Its ID on the host.
    pub on_host: u32,
    /// Its group's ID on the host.
    pub group_on_host: u32,
}

impl AppUser {
    /// User `inside` of a container whose root is user `root` of the host.
    pub fn new(root: u32, inside: u32) -> Self {
        let on_host = root.saturating_add(inside);
        Self {
            inside,
            on_host,
            group_on_host: on_host,
        }
    }

    /// The same in the container, and on the host a user and a group that it has, so that their
    /// files are the app's own on every file system. The container's root cannot be one, and
    /// nobody the host's root, nor somebody whose number is among those of containers.
    #[must_use]
    pub fn being(self, user: u32, group: u32) -> Self {
        let ordinary = 1..FIRST_ID;
        if self.is_root() || !ordinary.contains(&user) || !ordinary.contains(&group) {
            return self;
        }
        Self {
            on_host: user,
            group_on_host: group,
            ..self
        }
    }

    /// Its user's and its group's ID on the host.
    pub fn ids_on_host(self) -> (u32, u32) {
        (self.on_host, self.group_on_host)
    }

    /// Whether it is the container's root.
    pub fn is_root(self) -> bool {
        self.inside == 0
    }

    /// Whether it is a user that the host has.
    pub fn is_of_host(self) -> bool {
        !self.is_root() && self.on_host < FIRST_ID
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ordinary_user_of_the_host_can_be_the_app() {
        let user = AppUser::new(FIRST_ID, 1000);
        assert!(!user.is_of_host());
        let known = user.being(2001, 100);
        assert_eq!(
            (known.inside, known.on_host, known.group_on_host),
            (1000, 2001, 100)
        );
        assert!(known.is_of_host());
        for (user_id, group) in [(0, 100), (2001, 0), (FIRST_ID, 100), (2001, FIRST_ID + 9)] {
            assert_eq!(user.being(user_id, group), user);
        }
        let root = AppUser::new(FIRST_ID, 0);
        assert_eq!(root.being(2001, 100), root);
    }
}
