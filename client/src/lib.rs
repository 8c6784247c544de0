//! The agent of SoftwareContainer, for launchers and tools.
//!
//! [`AgentProxy`] is the frozen interface that every launcher uses, [`ManagerProxy`] and
//! [`ContainerProxy`] are those beside it. They are made from the XML contract, and return
//! [`Error`], which has a variant for each error that the agent names. [`blocking`] has the same
//! calls for programs without an executor.
//!
//! ```no_run
//! use softwarecontainer_client::{Bus, Client, Details, Error};
//!
//! async fn start() -> Result<(), Error> {
//!     let client = Client::connect(Bus::System).await?;
//!     let options = r#"[{"writeBufferEnabled": false}]"#;
//!     let manager = client.manager();
//!     let (id, _) = manager.create_named(options, "org.example.Maps", Details::new()).await?;
//!     client.agent().set_capabilities(id, &["org.example.maps".to_owned()]).await?;
//!     Ok(())
//! }
//! ```

pub mod blocking;
mod client;
mod error;
mod proxies;

use std::collections::HashMap;

use zbus::{OwnedVariant, Variant};

pub use client::{Bus, Client, NAME, PATH};
pub use error::{Error, chain};
pub use proxies::*;
pub use zbus;

/// Options of a call.
pub type Details<'a> = HashMap<&'a str, Variant<'a>>;
/// What comes back beside what every call of a kind returns.
pub type OwnedDetails = HashMap<String, OwnedVariant>;
/// A host that rules name: its name, whether it waits for an answer, its addresses with the seconds
/// since each was last answered, the seconds until it is looked up anew.
pub type NamedHost = (String, bool, Vec<(String, u64)>, u64);
