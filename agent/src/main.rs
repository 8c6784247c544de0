//! `softwarecontainer-agent`.
fn main() {}
