//! Manifests, and the merging of what their capabilities ask of the gateways.

use softwarecontainer_capability::{GatewaySettings, manifest::parse};
use std::path::Path;

/// One execution.
pub fn run(input: &[u8]) {
    let source = input;
    let lines = source.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let manifest = match parse(Path::new("/m.json"), source) {
        Ok(manifest) => manifest,
        Err(error) => {
            let position = error.position;
            assert!(position.line <= lines, "{error}");
            return;
        }
    };
    let mut settings = GatewaySettings::default();
    for capability in &manifest.capabilities {
        let before = settings.clone();
        match settings.add(&capability.gateways) {
            Ok(()) => {
                let after = settings.clone();
                settings
                    .add(&capability.gateways)
                    .expect("what was accepted is accepted again");
                assert_eq!(settings, after, "what comes again changes nothing");
            }
            Err(error) => {
                assert_eq!(settings, before, "a failure changes nothing");
                let position = error.position(source).expect("a mistake has a place");
                assert!(position.line <= lines, "{error}");
            }
        }
    }
}
