//! How long a buffer with many small files takes to reach the disk, beside cp(1) and sync(1).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{fs, path::Path, process::Command, time::Instant};

use softwarecontainer_write_buffer::Mapping;
use support::{Bench, cover, tree, without_times};

const DIRECTORIES: usize = 100;
const FILES: usize = 256;
const ROUNDS: usize = 3;

fn fill(view: &Path) {
    for directory in 0..DIRECTORIES {
        let directory = view.join(format!("directory-{directory}"));
        fs::create_dir(&directory).unwrap();
        for file in 0..FILES {
            fs::write(directory.join(format!("file-{file}")), "a few bytes").unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for command in [
        Command::new("cp").arg("-a").args([from, to]),
        Command::new("sync").arg("-f").arg(to),
    ] {
        assert!(command.status().unwrap().success());
    }
}

#[test]
#[ignore = "a measurement, which scripts/bench prints"]
fn small_files_beside_cp() {
    for _ in 0..ROUNDS {
        let bench = Bench::with_size("512m");
        let (buffer, overlay) =
            cover(&bench.host(), &bench.place(), Mapping::IDENTITY, None).unwrap();
        bench.attach(overlay);
        fill(&bench.view());
        let copied = bench.path().join("copied");
        let start = Instant::now();
        copy(&bench.view(), &copied);
        let by_cp = start.elapsed();
        bench.detach();
        let start = Instant::now();
        assert!(buffer.sync().unwrap().first.is_empty());
        let by_sync = start.elapsed();
        let count = DIRECTORIES * FILES;
        println!(
            "{{\"files\": {count}, \"cp_and_sync_ms\": {}, \"write_buffer_ms\": {}, \"ratio\": {:.2}}}",
            by_cp.as_millis(),
            by_sync.as_millis(),
            by_sync.as_secs_f64() / by_cp.as_secs_f64()
        );
        assert_eq!(
            without_times(tree(&bench.host())),
            without_times(tree(&copied))
        );
    }
}
