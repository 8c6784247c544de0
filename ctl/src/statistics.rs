//! What a container uses, as it is read from the bus.

use softwarecontainer_client::{Client, OwnedDetails};
use zbus::Variant;

use crate::error::Error;

/// Numbers and texts by their names, as those of `GetStatistics`; some may be missing.
pub struct Statistics(OwnedDetails);

impl From<OwnedDetails> for Statistics {
    fn from(details: OwnedDetails) -> Self {
        Self(details)
    }
}

impl Statistics {
    /// Those of a container.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn of(client: &Client, id: i32) -> Result<Self, Error> {
        let container = client.container(id).await?;
        Ok(Self(container.get_statistics().await?))
    }

    /// A count.
    pub fn count(&self, name: &str) -> Option<u64> {
        match &**self.0.get(name)? {
            Variant::U64(value) => Some(*value),
            Variant::U32(value) => Some(u64::from(*value)),
            _ => None,
        }
    }

    /// A text; empty if it is missing.
    pub fn text(&self, name: &str) -> &str {
        match self.0.get(name).map(|value| &**value) {
            Some(Variant::Str(text)) => text,
            _ => "",
        }
    }
}
