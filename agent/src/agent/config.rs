//! What the agent's configuration says to the agent itself.

/// What becomes of containers when the agent is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// They are destroyed.
    Destroy,
    /// They are left to the next agent, where that could go on with them.
    Keep,
}

/// What launchers may do, and how much they may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentConfig {
    /// Users who may see and control every container, besides root.
    pub administrators: Vec<u32>,
    /// Whether a container is destroyed when the last of its processes has ended.
    pub destroy_when_ended: bool,
    /// What becomes of containers when the agent is to end.
    pub on_stop: OnStop,
    /// Containers at the same time.
    pub containers: u32,
    /// Bytes of the options of `Create`.
    pub options_length: u32,
    /// The largest root tree that `Create` may ask for, in bytes.
    pub largest_root_tree: u64,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            administrators: Vec::new(),
            destroy_when_ended: false,
            on_stop: OnStop::Destroy,
            containers: 256,
            options_length: 64 << 10,
            largest_root_tree: 1 << 30,
        }
    }
}
