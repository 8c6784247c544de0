//! What a container uses, as it is read from the bus.

use softwarecontainer_client::{Client, OwnedDetails};
use zbus::Variant;

use crate::error::Error;

/// The numbers of `GetStatistics` by their names; some may be missing.
pub struct Statistics(OwnedDetails);

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
            _ => None,
        }
    }
}
