//! Limits of apps' processes that manifests may raise (getrlimit(2)).

use std::fs;

use rustix::process::{Resource as Number, Rlimit, getrlimit, setrlimit};
use softwarecontainer_capability::privilege::{Resource, UNLIMITED};

/// The soft limit of file descriptors: select(2) handles no more.
const SOFT_OPEN_FILES: u64 = 1024;
/// The highest limit of file descriptors that the kernel takes.
const HIGHEST_OPEN_FILES: &str = "/proc/sys/fs/nr_open";

/// A limit as apps have it by default, and as high as a manifest may make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppLimit {
    /// What is limited.
    pub resource: Resource,
    /// The limit in force.
    pub soft: u64,
    /// As high as an app may raise it.
    pub hard: u64,
    /// As high as the agent can make it.
    pub ceiling: u64,
}

/// The kernel's number of a resource.
pub fn number(resource: Resource) -> u32 {
    kernels(resource) as u32
}

/// The kernel's number of the limit of that name (getrlimit(2), without `RLIMIT_`, in lower case).
pub fn named(name: &str) -> Option<u32> {
    let resource = match name {
        "as" => Number::As,
        "core" => Number::Core,
        "cpu" => Number::Cpu,
        "data" => Number::Data,
        "fsize" => Number::Fsize,
        "memlock" => Number::Memlock,
        "msgqueue" => Number::Msgqueue,
        "nice" => Number::Nice,
        "nofile" => Number::Nofile,
        "nproc" => Number::Nproc,
        "rtprio" => Number::Rtprio,
        "stack" => Number::Stack,
        _ => return None,
    };
    Some(resource as u32)
}

fn kernels(resource: Resource) -> Number {
    match resource {
        Resource::Memlock => Number::Memlock,
        Resource::Msgqueue => Number::Msgqueue,
        Resource::Nice => Number::Nice,
        Resource::Nofile => Number::Nofile,
        Resource::Rtprio => Number::Rtprio,
    }
}

/// The limits of apps: the agent's own, except that of file descriptors, which is `open_files`.
///
/// Finds out how high each can go by raising the agent's own for a moment, so it must be called
/// before anything is started.
pub fn find(open_files: u32) -> Vec<AppLimit> {
    Resource::ALL
        .iter()
        .map(|&resource| {
            let own = getrlimit(kernels(resource));
            let (soft, hard) = (in_full(own.current), in_full(own.maximum));
            let ceiling = ceiling(resource, own);
            if resource != Resource::Nofile {
                return AppLimit {
                    resource,
                    soft,
                    hard,
                    ceiling,
                };
            }
            let hard = u64::from(open_files);
            AppLimit {
                resource,
                soft: hard.min(SOFT_OPEN_FILES),
                hard,
                ceiling: ceiling.max(hard),
            }
        })
        .collect()
}

fn ceiling(resource: Resource, own: Rlimit) -> u64 {
    let hard = in_full(own.maximum);
    let top = match resource {
        Resource::Nofile => fs::read_to_string(HIGHEST_OPEN_FILES)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(hard),
        _ => resource.top(),
    };
    if top <= hard {
        return hard;
    }
    let raised = Rlimit {
        current: own.current,
        maximum: (top != UNLIMITED).then_some(top),
    };
    if setrlimit(kernels(resource), raised).is_err() {
        return hard;
    }
    if let Err(error) = setrlimit(kernels(resource), own) {
        log::warn!(
            "the agent's own limit {} stays raised: {error}",
            resource.name()
        );
    }
    top
}

fn in_full(limit: Option<u64>) -> u64 {
    limit.unwrap_or(UNLIMITED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finding_out_leaves_the_agents_own_limits_alone() {
        let before: Vec<_> = Resource::ALL
            .iter()
            .map(|&r| getrlimit(kernels(r)))
            .collect();
        let limits = find(4096);
        let after: Vec<_> = Resource::ALL
            .iter()
            .map(|&r| getrlimit(kernels(r)))
            .collect();
        assert_eq!(before, after);
        for limit in limits {
            assert!(
                limit.soft <= limit.hard && limit.hard <= limit.ceiling,
                "{limit:?}"
            );
        }
    }

    #[test]
    fn file_descriptors_are_as_the_configuration_has_them() {
        let limit = |open_files| {
            let found = find(open_files);
            let files = found
                .iter()
                .find(|limit| limit.resource == Resource::Nofile);
            *files.unwrap()
        };
        assert_eq!((limit(4096).soft, limit(4096).hard), (1024, 4096));
        assert_eq!((limit(100).soft, limit(100).hard), (100, 100));
        assert!(limit(1 << 20).ceiling >= 1 << 20);
    }
}
