//! The control files that manifests may name, as far as they are known: what is not in the list is
//! passed on, but most likely mistyped.

use crate::{nearest::suggestion, size};

/// What a control file takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Bytes, with a suffix or without; -1 or `max` for no limit.
    Size,
    /// A whole number; -1 or `max` for no limit.
    Number,
    /// A whole number of a range, which the kernel refuses others of.
    Within(i64, i64),
    /// Numbers and ranges of processors or memory nodes: `0-3,6`.
    List,
    /// Microseconds or `max`, and the period in microseconds.
    Quota,
    /// Something that is not looked at.
    Other,
}

/// Files of cgroup v1 (Documentation/admin-guide/cgroup-v1/) and v2 (cgroup-v2.rst) that make sense
/// in a manifest.
const KNOWN: &[(&str, Kind)] = &[
    ("blkio.bfq.weight", Kind::Within(1, 1000)),
    ("blkio.throttle.read_bps_device", Kind::Other),
    ("blkio.throttle.read_iops_device", Kind::Other),
    ("blkio.throttle.write_bps_device", Kind::Other),
    ("blkio.throttle.write_iops_device", Kind::Other),
    ("blkio.weight", Kind::Within(10, 1000)),
    ("blkio.weight_device", Kind::Other),
    ("cpu.cfs_burst_us", Kind::Number),
    ("cpu.cfs_period_us", Kind::Number),
    ("cpu.cfs_quota_us", Kind::Number),
    ("cpu.idle", Kind::Within(0, 1)),
    ("cpu.max", Kind::Quota),
    ("cpu.max.burst", Kind::Number),
    ("cpu.rt_period_us", Kind::Number),
    ("cpu.rt_runtime_us", Kind::Number),
    ("cpu.shares", Kind::Number),
    ("cpu.uclamp.max", Kind::Other),
    ("cpu.uclamp.min", Kind::Other),
    ("cpu.weight", Kind::Within(1, 10_000)),
    ("cpu.weight.nice", Kind::Within(-20, 19)),
    ("cpuset.cpu_exclusive", Kind::Number),
    ("cpuset.cpus", Kind::List),
    ("cpuset.mem_exclusive", Kind::Number),
    ("cpuset.memory_migrate", Kind::Number),
    ("cpuset.mems", Kind::List),
    ("devices.allow", Kind::Other),
    ("devices.deny", Kind::Other),
    ("io.bfq.weight", Kind::Other),
    ("io.latency", Kind::Other),
    ("io.max", Kind::Other),
    ("io.prio.class", Kind::Other),
    ("io.weight", Kind::Other),
    ("memory.high", Kind::Size),
    ("memory.kmem.limit_in_bytes", Kind::Size),
    ("memory.kmem.tcp.limit_in_bytes", Kind::Size),
    ("memory.limit_in_bytes", Kind::Size),
    ("memory.low", Kind::Size),
    ("memory.max", Kind::Size),
    ("memory.memsw.limit_in_bytes", Kind::Size),
    ("memory.min", Kind::Size),
    ("memory.move_charge_at_immigrate", Kind::Number),
    ("memory.oom.group", Kind::Within(0, 1)),
    ("memory.oom_control", Kind::Number),
    ("memory.soft_limit_in_bytes", Kind::Size),
    ("memory.swap.high", Kind::Size),
    ("memory.swap.max", Kind::Size),
    ("memory.swappiness", Kind::Within(0, 200)),
    ("memory.use_hierarchy", Kind::Number),
    ("memory.zswap.max", Kind::Size),
    ("net_cls.classid", Kind::Other),
    ("net_prio.ifpriomap", Kind::Other),
    ("pids.max", Kind::Number),
];

/// Whether the name is mistyped, as the end of a sentence. Pages of other sizes than the usual ones
/// and devices have files of their own, so that not every name can be known.
pub(super) fn doubt(setting: &str) -> Option<String> {
    let open_ended = ["hugetlb.", "rdma.", "misc."]
        .iter()
        .any(|controller| setting.starts_with(controller));
    if open_ended || KNOWN.iter().any(|(name, _)| *name == setting) {
        return None;
    }
    let suggestion = suggestion(setting, KNOWN.iter().map(|(name, _)| *name));
    Some(format!(
        "{setting:?} is no control file of cgroups that is known{suggestion}"
    ))
}

/// What is wrong with a value that the kernel would not take, as the end of a sentence.
pub(super) fn wrong_value(setting: &str, text: &str) -> Option<&'static str> {
    let text = text.trim();
    let (_, kind) = KNOWN.iter().find(|(name, _)| *name == setting)?;
    let unlimited = matches!(text, "-1" | "max");
    match kind {
        Kind::Size if !unlimited && size::parse(text).is_err() => {
            Some("is not a number of bytes, such as 65536 or 64M")
        }
        Kind::Number if !unlimited && text.parse::<i64>().is_err() => Some("is not a whole number"),
        Kind::Within(least, most) => {
            let fits = text.parse().is_ok_and(|it| (*least..=*most).contains(&it));
            (!fits).then_some("is not a number that the kernel takes there")
        }
        Kind::List if !is_list(text) => Some("is not a list of numbers such as 0-3,6"),
        Kind::Quota if !is_quota(text) => {
            Some("is not microseconds and a period, such as \"50000 100000\" for half a processor")
        }
        _ => None,
    }
}

/// The list format of cpuset(7).
fn is_list(text: &str) -> bool {
    text.split(',').all(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u32>().ok();
        matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last)
    })
}

/// `cpu.max` of cgroup-v2.rst.
fn is_quota(text: &str) -> bool {
    let mut parts = text.split_ascii_whitespace();
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    let quota = parts.next().is_some_and(|it| it == "max" || is_number(it));
    quota && parts.next().is_none_or(is_number) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_setting_is_doubted_and_the_one_that_was_meant_is_named() {
        for (typed, meant) in [
            ("memory.limit_in_byte", "memory.limit_in_bytes"),
            ("network.class", ""),
            ("cpu.share", "cpu.shares"),
            ("pid.max", "pids.max"),
        ] {
            let doubt = doubt(typed).unwrap();
            assert!(doubt.contains(typed), "{doubt}");
            assert_eq!(doubt.contains("did you mean"), !meant.is_empty(), "{doubt}");
            assert!(doubt.contains(meant), "{doubt}");
        }
        for right in [
            "memory.limit_in_bytes",
            "hugetlb.2MB.limit_in_bytes",
            "pids.max",
        ] {
            assert_eq!(doubt(right), None);
        }
    }

    #[test]
    fn values_that_the_kernel_would_refuse_are_wrong() {
        for (setting, value) in [
            ("pids.max", "many"),
            ("memory.high", "64MB"),
            ("cpu.cfs_quota_us", "50%"),
            ("cpu.max", "50%"),
            ("cpu.weight", "0"),
            ("cpu.idle", "true"),
            ("cpuset.cpus", "all"),
            ("cpuset.cpus", "3-1"),
            ("memory.oom.group", "yes"),
        ] {
            assert!(wrong_value(setting, value).is_some(), "{setting} {value}");
        }
        for (setting, value) in [
            ("pids.max", "max"),
            ("pids.max", "64"),
            ("memory.high", "64M"),
            ("cpu.cfs_quota_us", "-1"),
            ("cpuset.cpus", "0-3"),
            ("cpuset.cpus", "0, 2-3,7"),
            ("cpu.max", "max"),
            ("cpu.max", "50000 100000"),
            ("cpu.weight", "10000"),
            ("not.known", "anything"),
        ] {
            assert_eq!(wrong_value(setting, value), None, "{setting} {value}");
        }
    }
}
