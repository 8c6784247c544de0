//! The user that apps of a container are.

/// The user that apps of a container are, in the container and on the host. Its group has the same
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppUser {
    /// Its ID in the container; 0 is the container's root.
    pub inside: u32,
    /// Its ID on the host.
    pub on_host: u32,
}

impl AppUser {
    /// User `inside` of a container whose root is user `root` of the host.
    pub fn new(root: u32, inside: u32) -> Self {
        Self {
            inside,
            on_host: root.saturating_add(inside),
        }
    }

    /// Whether it is the container's root.
    pub fn is_root(self) -> bool {
        self.inside == 0
    }
}
