//! `softwarecontainer-init`.
fn main() {}
