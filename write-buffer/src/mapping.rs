//! How the owners of files in the buffer relate to owners on the host.

/// The user and group ids of a container: host ids `first..first + count` are `0..count` on disk.
///
/// The container's user namespace and the idmapped mount of the host directory use the same range,
/// so that what the container's root writes belongs to root on the host's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    first: u32,
    count: u32,
}

impl Mapping {
    /// No user namespace: ids mean the same inside and outside.
    pub const IDENTITY: Mapping = Mapping { first: 0, count: 0 };

    /// Ids `first..first + count` as the kernel sees them stand for `0..count` on disk.
    pub fn shift(first: u32, count: u32) -> Mapping {
        Mapping { first, count }
    }

    /// First id of the range as the kernel sees it.
    pub fn first(self) -> u32 {
        self.first
    }

    /// Number of ids; zero if there is no user namespace.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The id that belongs on disk for `id` found in the upper layer.
    ///
    /// An id outside the range is kept: no process of the container can be or create it, so it was
    /// put there from the host and means what it says.
    pub fn on_disk(self, id: u32) -> u32 {
        match id.checked_sub(self.first) {
            Some(offset) if offset < self.count => offset,
            _ => id,
        }
    }

    /// The id that stands for `id` on disk in the upper layer: the inverse of
    /// [`on_disk`](Self::on_disk) for ids that the mapping covers, itself for others.
    pub fn in_buffer(self, id: u32) -> u32 {
        if id < self.count {
            self.first.saturating_add(id)
        } else {
            id
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mapping;

    #[test]
    fn shifted_ids_map_back_and_others_are_kept() {
        let mapping = Mapping::shift(524_288, 65_536);
        assert_eq!(mapping.on_disk(524_288), 0);
        assert_eq!(mapping.on_disk(525_288), 1000);
        assert_eq!(mapping.on_disk(589_823), 65_535);
        assert_eq!(mapping.on_disk(589_824), 589_824);
        assert_eq!(mapping.on_disk(0), 0);
        assert_eq!(mapping.on_disk(1000), 1000);
        assert_eq!(mapping.in_buffer(1000), 525_288);
        assert_eq!(mapping.in_buffer(70_000), 70_000);
    }

    #[test]
    fn identity_changes_nothing() {
        for id in [0, 1, 65_534, 524_288, u32::MAX] {
            assert_eq!(Mapping::IDENTITY.on_disk(id), id);
            assert_eq!(Mapping::IDENTITY.in_buffer(id), id);
        }
    }
}
