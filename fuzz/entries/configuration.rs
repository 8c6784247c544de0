//! The configuration file.

use softwarecontainer_agent::config::Config;
use std::path::Path;

/// One execution.
pub fn run(input: &[u8]) {
    let source = input;
    match Config::parse(Path::new("/c"), source) {
        Ok(config) => {
            let bridge = config.bridge;
            assert!((1..=31).contains(&bridge.prefix_len));
            assert_eq!(bridge.ip & bridge.netmask(), bridge.network);
            assert!((1..=15).contains(&bridge.device.len()));
            assert!(config.container.shared_mounts_dir.is_absolute());
        }
        Err(error) => assert!(error.to_string().starts_with("/c:"), "{error}"),
    }
}
