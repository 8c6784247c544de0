//! How much of everything there may be.

use super::{error::ConfigError, reader::Reader};

/// Bounds that keep a wrong launcher or a hostile app from using up the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Containers at the same time.
    pub containers: u32,
    /// Processes and threads in a container, its init included.
    pub processes: u32,
    /// File descriptors of one process in a container.
    pub open_files: u32,
    /// Bytes of all variables of one `Execute`, those of gateways included.
    pub environment_size: u32,
    /// Bytes of a command line, and of the options of `Create`.
    pub command_length: u32,
    /// Bytes of one manifest file.
    pub manifest_size: u32,
    /// Calls of one D-Bus client that have no reply yet.
    pub pending_calls: u32,
    /// Network connections that one container has begun and that are tracked, for each family of
    /// addresses.
    pub connections: u32,
    /// Connections of one container to the host's buses.
    pub bus_connections: u32,
    /// Bytes of a container's root tree and write buffers together, if `Create` does not say.
    pub root_tree_size: u64,
    /// The most that `Create` may say.
    pub largest_root_tree: u64,
    /// Bytes of a container's `/dev`; `None` for what liblxc makes it.
    pub dev_size: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            containers: 256,
            processes: 1024,
            open_files: 4096,
            environment_size: 256 << 10,
            command_length: 64 << 10,
            manifest_size: 1 << 20,
            pending_calls: 256,
            connections: 4096,
            bus_connections: 32,
            root_tree_size: 100 << 20,
            largest_root_tree: 1 << 30,
            dev_size: None,
        }
    }
}

impl Limits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut limits = Self::default();
        // Above the highest number of containers, their user IDs would leave what 32 bits hold.
        reader.number("max-containers", &mut limits.containers, 1..=32000)?;
        // The init, an app and a thread of its own: less makes no useful container.
        reader.number("max-processes", &mut limits.processes, 3..=4_194_304)?;
        reader.number("max-open-files", &mut limits.open_files, 64..=1_048_576)?;
        // What the kernel takes in one execve(2) is the upper end of both.
        reader.number(
            "max-environment-size",
            &mut limits.environment_size,
            1024..=2 << 20,
        )?;
        reader.number(
            "max-command-length",
            &mut limits.command_length,
            64..=2 << 20,
        )?;
        reader.number(
            "max-manifest-size",
            &mut limits.manifest_size,
            1024..=64 << 20,
        )?;
        reader.number("max-pending-calls", &mut limits.pending_calls, 1..=65536)?;
        reader.number("max-connections", &mut limits.connections, 1..=1_048_576)?;
        // What the proxy holds at most.
        reader.number("max-bus-connections", &mut limits.bus_connections, 1..=256)?;
        // What no machine has is the upper end.
        let sizes = 1 << 20..=1 << 50;
        reader.number(
            "max-root-tree-size",
            &mut limits.largest_root_tree,
            sizes.clone(),
        )?;
        reader.number("root-tree-size", &mut limits.root_tree_size, sizes)?;
        if limits.root_tree_size > limits.largest_root_tree {
            let why = format!(
                "is more than the {} of max-root-tree-size",
                limits.largest_root_tree
            );
            return Err(reader.error("root-tree-size", limits.root_tree_size, why));
        }
        // liblxc takes it as a 32-bit number with a sign.
        let mut dev_size = 0;
        reader.number("dev-size", &mut dev_size, 65536..=0x7fff_ffff)?;
        limits.dev_size = Some(dev_size).filter(|size| *size > 0);
        Ok(limits)
    }
}
