//! Capabilities: service manifests, and the pure half (parse and merge) of every gateway.
//!
//! Nothing here touches the system but the reading of manifest files, so that the validator and the
//! fuzz targets use exactly the code that the agent uses.

pub mod class_id;
pub mod element;
pub mod error;
pub mod error_chain;
pub mod gateway;
mod gateway_config;
pub mod json;
pub mod manifest;
pub mod nearest;
pub mod place;
pub mod privilege;
mod review;
mod settings;
pub mod size;
pub mod store;
pub mod traffic;

pub use element::Element;
pub use error::{ConfigError, Problem};
pub use gateway::{GATEWAYS, GatewaySettings};
pub use gateway_config::{GatewayConfig, Origin};
pub use manifest::{ManifestError, Warning};
pub use review::Review;
pub use settings::Settings;
pub use store::{ManifestSource, Store, UnknownCapability};
