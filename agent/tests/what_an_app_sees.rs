//! What an app sees of the system around it: each line of the book's chapter of that name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "what_an_app_sees/directories.rs"]
mod directories;
#[path = "what_an_app_sees/files.rs"]
mod files;
#[path = "what_an_app_sees/programs.rs"]
mod programs;
