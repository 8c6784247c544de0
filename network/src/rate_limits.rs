//! How fast a container may be.

/// Bytes in a second; `None`: as many as it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// What it sends.
    pub egress: Option<u32>,
    /// What it receives.
    pub ingress: Option<u32>,
}
