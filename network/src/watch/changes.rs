//! What changes tell of.

use std::{collections::BTreeSet, ops::BitOrAssign};

use crate::port::is_detour_of;

/// What has changed in the host's network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Something of what we set up may be gone.
    pub(crate) ours: bool,
    /// An address or a route of the host.
    pub(crate) host: bool,
    /// Where traffic control may be another.
    pub(crate) controls: Controls,
}

/// At which interfaces traffic control is looked at: the kernel lists it for each by itself, so
/// that with many containers a look at all of them takes long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Controls {
    /// At those with these names, and those whose ways round have them.
    Of(BTreeSet<String>),
    All,
}

impl Controls {
    pub(crate) const NONE: Self = Self::Of(BTreeSet::new());

    /// Whether that of a container is among them, by the name of the host's end of its veth pair.
    pub(crate) fn include(&self, veth: &str) -> bool {
        match self {
            Self::Of(some) => some
                .iter()
                .any(|name| name == veth || is_detour_of(name, veth)),
            Self::All => true,
        }
    }
}

impl Default for Controls {
    fn default() -> Self {
        Self::NONE
    }
}

impl BitOrAssign for Controls {
    fn bitor_assign(&mut self, other: Self) {
        match (self, other) {
            (Self::Of(some), Self::Of(more)) => some.extend(more),
            (all, _) => *all = Self::All,
        }
    }
}

impl Changes {
    /// What was missed may have been anything.
    pub const ANYTHING: Self = Self {
        ours: true,
        host: true,
        controls: Controls::All,
    };
    /// All of ours is to be looked at again.
    pub(crate) const ALL_OF_OURS: Self = Self {
        ours: true,
        host: false,
        controls: Controls::All,
    };

    pub(super) fn any(&self) -> bool {
        *self != Self::default()
    }
}

impl BitOrAssign for Changes {
    fn bitor_assign(&mut self, other: Self) {
        self.ours |= other.ours;
        self.host |= other.host;
        self.controls |= other.controls;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_interfaces_and_some_more_are_all() {
        let some = |name: &str| Controls::Of([name.to_owned()].into());
        let mut controls = some("sc1-br");
        controls |= some("sc2r-br");
        let included = ["sc1-br", "sc2-br", "sc3-br"].map(|veth| controls.include(veth));
        assert_eq!(included, [true, true, false]);
        controls |= Controls::All;
        controls |= some("sc2-br");
        assert_eq!(controls, Controls::All);
        assert!(controls.include("sc3-br"));
    }
}
