//! Reads how much of everything there may be.

use super::{error::ConfigError, reader::Reader};
use crate::{
    agent::AgentConfig,
    container::ContainerConfig,
    host::cgroup::{NoCpuList, Totals},
};

/// Reads the bounds of what launchers may ask for and containers may have.
pub(super) fn read(
    reader: &mut Reader<'_>,
    agent: &mut AgentConfig,
    container: &mut ContainerConfig,
) -> Result<(), ConfigError> {
    let (limits, gateways) = (&mut container.limits, &mut container.gateways);
    // Above the highest number of containers, their user IDs would leave what 32 bits hold.
    reader.number("max-containers", &mut agent.containers, 1..=32000)?;
    // The init, an app and a thread of its own: less makes no useful container.
    reader.number("max-processes", &mut limits.processes, 3..=4_194_304)?;
    reader.number("max-memory-share", &mut limits.memory_share, 0..=100)?;
    reader.number("oom-score-adjust", &mut limits.oom_score_adjust, 0..=1000)?;
    reader.bool("oom-group", &mut limits.oom_group)?;
    totals(reader, &mut container.totals)?;
    reader.number("max-open-files", &mut limits.open_files, 64..=1_048_576)?;
    // What the kernel takes in one execve(2) is the upper end of both.
    let arguments = 2 << 20;
    reader.number(
        "max-environment-size",
        &mut limits.environment_size,
        1024..=arguments,
    )?;
    reader.number(
        "max-command-length",
        &mut limits.command_length,
        64..=arguments,
    )?;
    agent.options_length = limits.command_length;
    // What the proxy holds at most.
    reader.number(
        "max-bus-connections",
        &mut gateways.bus_connections,
        1..=256,
    )?;
    reader.number("max-bus-calls", &mut gateways.bus_calls, 1..=4096)?;
    // What no machine has is the upper end.
    let sizes = 1 << 20..=1 << 50;
    reader.number(
        "max-root-tree-size",
        &mut agent.largest_root_tree,
        sizes.clone(),
    )?;
    reader.number("root-tree-size", &mut limits.root_tree_size, sizes)?;
    if limits.root_tree_size > agent.largest_root_tree {
        let largest = agent.largest_root_tree;
        let why = format!("is more than the {largest} of max-root-tree-size");
        return Err(reader.error("root-tree-size", limits.root_tree_size, why));
    }
    // liblxc takes it as a 32-bit number with a sign.
    let mut dev_size = 0;
    reader.number("dev-size", &mut dev_size, 65536..=0x7fff_ffff)?;
    reader.number("shm-size", &mut limits.shm_size, 65536..=1 << 40)?;
    limits.dev_size = Some(dev_size).filter(|size| *size > 0);
    Ok(())
}

/// Reads the bounds of all containers together.
fn totals(reader: &mut Reader<'_>, totals: &mut Totals) -> Result<(), ConfigError> {
    reader.number("total-memory", &mut totals.memory, 0..=100)?;
    reader.number("total-processes", &mut totals.processes, 0..=100)?;
    reader.number("total-cpu", &mut totals.cpu, 0..=100)?;
    reader.number("cpu-weight", &mut totals.cpu_weight, 1..=10000)?;
    let mut weight = 0;
    reader.number("io-weight", &mut weight, 1..=10000)?;
    totals.io_weight = Some(weight).filter(|weight| *weight > 0);
    if let Some(text) = reader.string("cpuset")? {
        let list = text.parse();
        totals.cpuset =
            Some(list.map_err(|error: NoCpuList| reader.error("cpuset", text, error.to_string()))?);
    }
    Ok(())
}
