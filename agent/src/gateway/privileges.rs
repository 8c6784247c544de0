//! Privileges gateway: checks that a container can give what its manifests name.
//!
//! It takes effect when a process is started: see [`crate::container::confinement`].

use std::{fmt, fs, io};

use softwarecontainer_capability::{
    Settings as _,
    privilege::{Capability, Privileges, Resource, UNLIMITED},
};

use super::{Gateway, GatewayError, Target, error::Cause};
use crate::host::seccomp::FilterError;

/// Why apps of a container cannot have what its manifests name.
#[derive(Debug)]
#[non_exhaustive]
pub enum PrivilegesError {
    /// The container's init does not have a kernel capability.
    Capability(Capability),
    /// The container's init does not have as high a limit.
    Limit {
        /// What is limited.
        resource: Resource,
        /// What a manifest asks for.
        wanted: u64,
        /// What can be had.
        highest: u64,
    },
    /// What the init has cannot be read.
    Init {
        /// The file in /proc.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// There is no filter for the system calls.
    Filter(FilterError),
}

impl fmt::Display for PrivilegesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capability(capability) => write!(
                f,
                "the kernel capability {} cannot be given: the container does not have it itself (lxc.cap.keep in the extra LXC settings?)",
                capability.name()
            ),
            Self::Limit {
                resource,
                wanted,
                highest,
            } => write!(
                f,
                "the limit {} cannot be {wanted}: {highest} is as high as the agent can make it here",
                resource.name()
            ),
            Self::Init { path, source } => write!(f, "cannot read {path}: {source}"),
            Self::Filter(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for PrivilegesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Init { source, .. } => Some(source),
            Self::Filter(source) => Some(source),
            Self::Capability(_) | Self::Limit { .. } => None,
        }
    }
}

impl From<PrivilegesError> for Cause {
    fn from(error: PrivilegesError) -> Self {
        Self::Privileges(Box::new(error))
    }
}

/// The privileges gateway of one container.
#[derive(Debug, Default)]
pub struct Checked;

impl Gateway for Checked {
    type Settings = Privileges;

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &Privileges,
        to: &Privileges,
    ) -> Result<(), GatewayError> {
        if from == to {
            return Ok(());
        }
        check(target, to).map_err(|error| GatewayError::new(Privileges::ID, error))
    }
}

fn check(target: &Target<'_>, wanted: &Privileges) -> Result<(), PrivilegesError> {
    if !wanted.capabilities.is_empty() {
        let set = bounding_set(&read(target.init, "status")?);
        let missing = |one: &&Capability| set & 1 << one.number() == 0;
        if let Some(capability) = wanted.capabilities.iter().find(missing) {
            return Err(PrivilegesError::Capability(*capability));
        }
    }
    if !wanted.limits.is_empty() {
        let limits = read(target.init, "limits")?;
        for (&resource, &wanted) in &wanted.limits {
            let highest = hard_limit(&limits, resource);
            if wanted > highest {
                return Err(PrivilegesError::Limit {
                    resource,
                    wanted,
                    highest,
                });
            }
        }
    }
    // Compiled now, so that Execute need not do it and cannot fail for it.
    let filter = target.filters.get(&wanted.system_calls);
    filter.map(drop).map_err(PrivilegesError::Filter)
}

fn read(init: u32, file: &str) -> Result<String, PrivilegesError> {
    let path = format!("/proc/{init}/{file}");
    fs::read_to_string(&path).map_err(|source| PrivilegesError::Init { path, source })
}

/// The capability bounding set in proc_pid_status(5); empty if it cannot be found.
fn bounding_set(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or_default()
}

/// A hard limit in proc_pid_limits(5); 0 if it cannot be found.
fn hard_limit(limits: &str, resource: Resource) -> u64 {
    let name = match resource {
        Resource::Memlock => "Max locked memory",
        Resource::Msgqueue => "Max msgqueue size",
        Resource::Nice => "Max nice priority",
        Resource::Nofile => "Max open files",
        Resource::Rtprio => "Max realtime priority",
    };
    let hard = limits
        .lines()
        .find_map(|line| line.strip_prefix(name)?.split_whitespace().nth(1));
    match hard {
        Some("unlimited") => UNLIMITED,
        other => other
            .and_then(|number| number.parse().ok())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_capabilities_are_read_as_the_kernel_writes_them() {
        let limits = fs::read_to_string("/proc/self/limits").unwrap();
        let number = rustix::process::Resource::Nofile;
        let own = rustix::process::getrlimit(number)
            .maximum
            .unwrap_or(UNLIMITED);
        assert_eq!(hard_limit(&limits, Resource::Nofile), own);
        for &resource in Resource::ALL {
            let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                Max open files            1                    77                   files     \n\
                Max locked memory         1                    unlimited            bytes     \n\
                Max msgqueue size         1                    77                   bytes     \n\
                Max nice priority         1                    77                   \n\
                Max realtime priority     1                    77                   \n";
            let expected = if resource == Resource::Memlock {
                UNLIMITED
            } else {
                77
            };
            assert_eq!(hard_limit(text, resource), expected);
        }
        assert_eq!(bounding_set("Name:\tx\nCapBnd:\t00000000000004eb\n"), 0x4eb);
        assert_eq!(bounding_set(""), 0);
    }
}
