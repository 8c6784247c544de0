//! Containers.

pub mod options;
