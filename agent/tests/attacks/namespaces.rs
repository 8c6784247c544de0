//! Namespaces: none is joined, none is made.

use crate::world::refused;

#[test]
fn no_namespace_is_joined() {
    refused("setns_init", &["EPERM"]);
}

#[test]
fn no_user_namespace_is_unshared() {
    refused("unshare_user", &["EPERM"]);
}

#[test]
fn no_namespace_of_any_kind_is_unshared() {
    refused("unshare_each", &["EPERM"]);
}

#[test]
fn no_user_namespace_is_made_by_clone() {
    refused("clone_user", &["EPERM"]);
}

#[test]
fn clone3_is_not_there() {
    refused("clone3_user", &["ENOSYS"]);
}
