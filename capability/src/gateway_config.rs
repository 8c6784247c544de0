//! What a capability asks of a gateway, and where that was read.

use crate::json::JsonPath;
use serde_json::Value;
use std::{fmt, path::Path, sync::Arc};

/// What one capability asks of one gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayConfig {
    /// ID of the gateway. Whether it exists is checked when the capability is set.
    pub id: String,
    /// The gateway's configuration: from a manifest always an array. What is in it is judged when
    /// the capability is set.
    pub config: Value,
    /// Where it was read.
    pub origin: Origin,
}

/// Where a gateway configuration was read: identifies it, and tells people where to look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The manifest.
    pub file: Arc<Path>,
    /// Name of the capability.
    pub capability: Arc<str>,
    /// The gateway's object in the manifest, such as `capabilities[0].gateways[1]`.
    pub path: JsonPath,
}

impl Origin {
    /// The `gateway`-th gateway of the `index`-th capability, which is called `capability`, of
    /// manifest `file`.
    #[must_use]
    pub fn new(file: &Path, capability: &str, index: usize, gateway: usize) -> Self {
        let path = JsonPath::default()
            .join("capabilities")
            .join(index)
            .join("gateways")
            .join(gateway);
        Self {
            file: file.into(),
            capability: capability.into(),
            path,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "capability {} in {}",
            self.capability,
            self.file.display()
        )
    }
}
