//! What changes tell of.

use std::ops::BitOrAssign;

/// What kind of thing has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Something of what we set up may be gone.
    pub(crate) ours: bool,
    /// An address or a route of the host.
    pub(crate) host: bool,
}

impl Changes {
    /// What was missed may have been anything.
    pub(super) const ANYTHING: Self = Self {
        ours: true,
        host: true,
    };

    pub(super) fn any(self) -> bool {
        self != Self::default()
    }
}

impl BitOrAssign for Changes {
    fn bitor_assign(&mut self, other: Self) {
        self.ours |= other.ours;
        self.host |= other.host;
    }
}
