//! How the owners of files in the buffer relate to owners on the host.

/// The user and group ids of a container: host ids `first..first + count` are `0..count` on disk.
///
/// The container's user namespace and the idmapped mount of the host directory use the same range,
/// so that what the container's root writes belongs to root on the host's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    first: u32,
    count: u32,
    /// The user and the group on disk that all of the container's ids stand for.
    single: Option<(u32, u32)>,
    /// Whom the container takes a single owner for.
    seen_as: u32,
}

impl Mapping {
    /// No user namespace: ids mean the same inside and outside.
    pub const IDENTITY: Mapping = Mapping {
        first: 0,
        count: 0,
        single: None,
        seen_as: 0,
    };

    /// Ids `first..first + count` as the kernel sees them stand for `0..count` on disk.
    pub fn shift(first: u32, count: u32) -> Mapping {
        Mapping {
            first,
            count,
            single: None,
            seen_as: 0,
        }
    }

    /// First id of the range as the kernel sees it.
    pub fn first(self) -> u32 {
        self.first
    }

    /// Number of ids; zero if there is no user namespace.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The same ids of the container, but on disk all of them are one user's and one group's.
    #[must_use]
    pub fn of_single_owner(self, user: u32, group: u32) -> Mapping {
        Mapping {
            single: Some((user, group)),
            ..self
        }
    }

    /// The same, with a single owner's files belonging to user and group `id` of the container
    /// instead of to its root.
    #[must_use]
    pub fn seen_as(self, id: u32) -> Mapping {
        Mapping {
            seen_as: id,
            ..self
        }
    }

    /// The user and the group that all of the container's ids are on disk, if there is but one.
    pub fn single_owner(self) -> Option<(u32, u32)> {
        self.single
    }

    /// The user that belongs on disk for user `id` found in the upper layer.
    ///
    /// An id outside the range is kept: no process of the container can be or create it, so it was
    /// put there from the host and means what it says.
    pub fn user_on_disk(self, id: u32) -> u32 {
        self.on_disk(id, self.single.map(|(user, _)| user))
    }

    /// The same of a group.
    pub fn group_on_disk(self, id: u32) -> u32 {
        self.on_disk(id, self.single.map(|(_, group)| group))
    }

    fn on_disk(self, id: u32, single: Option<u32>) -> u32 {
        match id.checked_sub(self.first) {
            Some(offset) if offset < self.count => single.unwrap_or(offset),
            _ => id,
        }
    }

    /// The user that stands for user `id` on disk in the upper layer: the inverse of
    /// [`user_on_disk`](Self::user_on_disk) for ids that the mapping covers (the container's root,
    /// of a single owner), itself for others.
    pub fn user_in_buffer(self, id: u32) -> u32 {
        self.in_buffer(id, self.single.map(|(user, _)| user))
    }

    /// The same of a group.
    pub fn group_in_buffer(self, id: u32) -> u32 {
        self.in_buffer(id, self.single.map(|(_, group)| group))
    }

    fn in_buffer(self, id: u32, single: Option<u32>) -> u32 {
        match single {
            Some(owner) if id == owner && self.count > 0 => self.first.saturating_add(self.seen_as),
            None if id < self.count => self.first.saturating_add(id),
            _ => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mapping;

    #[test]
    fn shifted_ids_map_back_and_others_are_kept() {
        let mapping = Mapping::shift(524_288, 65_536);
        assert_eq!(mapping.user_on_disk(524_288), 0);
        assert_eq!(mapping.user_on_disk(525_288), 1000);
        assert_eq!(mapping.user_on_disk(589_823), 65_535);
        assert_eq!(mapping.user_on_disk(589_824), 589_824);
        assert_eq!(mapping.user_on_disk(0), 0);
        assert_eq!(mapping.user_on_disk(1000), 1000);
        assert_eq!(mapping.user_in_buffer(1000), 525_288);
        assert_eq!(mapping.user_in_buffer(70_000), 70_000);
    }

    #[test]
    fn identity_changes_nothing() {
        for id in [0, 1, 65_534, 524_288, u32::MAX] {
            assert_eq!(Mapping::IDENTITY.user_on_disk(id), id);
            assert_eq!(Mapping::IDENTITY.user_in_buffer(id), id);
        }
    }

    #[test]
    fn everything_of_a_container_belongs_to_a_single_owner_on_disk() {
        let mapping = Mapping::shift(524_288, 65_536).of_single_owner(1000, 100);
        for id in [524_288, 525_288] {
            assert_eq!(
                (mapping.user_on_disk(id), mapping.group_on_disk(id)),
                (1000, 100)
            );
        }
        assert_eq!(mapping.user_on_disk(7), 7);
        assert_eq!(
            (mapping.user_in_buffer(1000), mapping.group_in_buffer(100)),
            (524_288, 524_288)
        );
        let seen = mapping.seen_as(500);
        assert_eq!(
            (seen.user_in_buffer(1000), seen.group_in_buffer(100)),
            (524_788, 524_788)
        );
        assert_eq!(seen.user_on_disk(524_788), 1000);
        // Others' files are nobody's in the container.
        assert_eq!(
            (mapping.user_in_buffer(0), mapping.group_in_buffer(1000)),
            (0, 1000)
        );
    }
}
