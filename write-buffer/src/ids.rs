//! Ids inside the values of extended attributes.

use std::ffi::CStr;

use crate::{acl, mapping::Mapping};

/// File capabilities that hold in one user namespace: revision in the top byte, and total size with
/// the owner's id at the end (linux/capability.h).
const CAPABILITY_REVISION_3: u8 = 3;
const CAPABILITY_SIZE_3: usize = 24;

/// What an id is of.
#[derive(Clone, Copy)]
enum Kind {
    User,
    Group,
}

/// Maps the ids in the value of attribute `name` to what belongs on disk.
pub fn map_ids(name: &CStr, value: &mut [u8], mapping: Mapping) {
    map(name, value, &|kind, id| match kind {
        Kind::User => mapping.user_on_disk(id),
        Kind::Group => mapping.group_on_disk(id),
    });
}

/// The other direction: from disk to what the container must see.
pub fn map_ids_into_buffer(name: &CStr, value: &mut [u8], mapping: Mapping) {
    map(name, value, &|kind, id| match kind {
        Kind::User => mapping.user_in_buffer(id),
        Kind::Group => mapping.group_in_buffer(id),
    });
}

fn map(name: &CStr, value: &mut [u8], id: &dyn Fn(Kind, u32) -> u32) {
    match name.to_str() {
        Ok(acl::ACCESS | acl::DEFAULT) => map_acl(value, id),
        Ok("security.capability") => map_capability(value, id),
        _ => {}
    }
}

fn map_acl(value: &mut [u8], id: &dyn Fn(Kind, u32) -> u32) {
    let Some(mut entries) = acl::decode(value) else {
        return;
    };
    for entry in entries.iter_mut().filter(|entry| entry.has_id()) {
        let kind = if entry.tag == acl::tag::USER {
            Kind::User
        } else {
            Kind::Group
        };
        entry.id = id(kind, entry.id);
    }
    value.copy_from_slice(&acl::encode(&entries));
}

fn map_capability(value: &mut [u8], id: &dyn Fn(Kind, u32) -> u32) {
    if value.len() == CAPABILITY_SIZE_3 && value[3] == CAPABILITY_REVISION_3 {
        map_u32(&mut value[CAPABILITY_SIZE_3 - 4..], id);
    }
}

fn map_u32(bytes: &mut [u8], id: &dyn Fn(Kind, u32) -> u32) {
    if let Ok(old) = <[u8; 4]>::try_from(&*bytes) {
        bytes.copy_from_slice(&id(Kind::User, u32::from_le_bytes(old)).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{map_ids, map_ids_into_buffer};
    use crate::{
        acl::{Entry, NO_ID, encode, tag},
        mapping::Mapping,
    };

    const MAPPING: Mapping = Mapping::IDENTITY;

    fn list(user: u32, group: u32) -> Vec<u8> {
        let entry = |tag, permissions, id| Entry {
            tag,
            permissions,
            id,
        };
        encode(&[
            entry(tag::OWNER, 6, NO_ID),
            entry(tag::USER, 4, user),
            entry(tag::OWNING_GROUP, 4, NO_ID),
            entry(tag::GROUP, 4, group),
            entry(tag::MASK, 4, NO_ID),
            entry(tag::OTHERS, 0, NO_ID),
        ])
    }

    #[test]
    fn named_users_and_groups_of_an_acl_are_mapped_and_nothing_else() {
        let mapping = Mapping::shift(524_288, 65_536);
        let mut value = list(524_288 + 1000, 524_288 + 44);
        map_ids(c"system.posix_acl_access", &mut value, mapping);
        assert_eq!(value, list(1000, 44));
        map_ids_into_buffer(c"system.posix_acl_access", &mut value, mapping);
        assert_eq!(value, list(524_288 + 1000, 524_288 + 44));
    }

    #[test]
    fn owner_of_namespaced_file_capabilities_is_mapped() {
        let mut value = [0u8; 24];
        value[3] = 3;
        value[20..].copy_from_slice(&524_288u32.to_le_bytes());
        map_ids(
            c"security.capability",
            &mut value,
            Mapping::shift(524_288, 65_536),
        );
        assert_eq!(value[20..], [0; 4]);
    }

    #[test]
    fn short_or_odd_values_are_left_alone() {
        for length in 0..40 {
            let mut value = vec![2u8; length];
            map_ids(c"system.posix_acl_access", &mut value, MAPPING);
            map_ids(c"security.capability", &mut value, MAPPING);
            assert_eq!(value, vec![2u8; length]);
        }
    }
}
