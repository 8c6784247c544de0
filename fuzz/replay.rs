//! What fuzzing has found worth keeping goes through the parsers again, in the tests of the crates.

use std::{fs, path::Path};

/// Feeds every file of a directory of the tree to `run`, whole and cut short at some places.
pub fn replay(directory: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(directory);
    let mut count = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for part in 1..=8 {
            run(&bytes[..bytes.len() * part / 8]);
        }
        count += 1;
    }
    assert!(count > 0, "{}", directory.display());
}
