//! What state a container is in.

/// What may be done with a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything but Resume.
    Ready,
    /// Only Resume and Destroy.
    Suspended,
    /// Only Destroy: an earlier call failed in LXC, or the container has ended by itself.
    Invalid,
}
