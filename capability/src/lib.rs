//! Capabilities: service manifests, and the pure half (parse and merge) of every gateway.
//!
//! Nothing here touches the system but the reading of manifest files, so that the validator and the
//! fuzz targets use exactly the code that the agent uses.

pub mod class_id;
pub mod element;
pub mod error;
pub mod gateway;
pub mod json;
pub mod manifest;
pub mod privilege;
pub mod store;

pub use error::{ConfigError, Problem};
pub use gateway::{Element, GatewaySettings, Settings};
pub use manifest::{GatewayConfig, ManifestError, Origin, Warning};
pub use store::{ManifestSource, Selected, Store, UnknownCapability};
