//! What fuzzing has found worth keeping goes through the parsers again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../fuzz/entries/manifest.rs"]
mod manifest;
#[path = "../../fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn manifest_goes_through() {
    replay("fuzz/seeds/manifest", manifest::run);
    replay("manifests/default", manifest::run);
    replay("manifests/examples", manifest::run);
}
