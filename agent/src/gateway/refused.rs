//! Who is told what gateways refuse to an app.

use std::{fmt, sync::Arc};

/// Somebody who is told what an app wanted and did not get.
#[derive(Clone)]
#[allow(dead_code, reason = "in a build without any gateway")]
pub struct Refused(Arc<Tell>);

type Tell = dyn Fn(&'static str, &str) + Send + Sync;

impl Refused {
    /// Calls `tell` with the ID of the gateway that could allow it, and what it is.
    pub fn new(tell: impl Fn(&'static str, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Gateway `gateway` has refused it.
    #[allow(dead_code, reason = "in a build without any gateway")]
    pub(super) fn tell(&self, gateway: &'static str, what: &str) {
        (self.0)(gateway, what);
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").finish_non_exhaustive()
    }
}
