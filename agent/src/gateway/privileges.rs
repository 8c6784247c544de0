//! Privileges gateway: checks that a container can give what its manifests name.
//!
//! It takes effect when a process is started: see [`crate::container::confinement`].

pub mod error;

use std::fs;

use serde_json::Value;
use softwarecontainer_capability::{
    Settings as _,
    privilege::{Capability, Privileges, Resource, UNLIMITED},
};

use super::{
    contract::{Gateway, ProcessGrants},
    error::GatewayError,
    target::Target,
};
use crate::host::{descriptor_store::Shelf, seccomp::Allowed};
pub use error::PrivilegesError;

/// The privileges gateway of one container.
#[derive(Debug, Default)]
pub struct PrivilegesGateway;

impl Gateway for PrivilegesGateway {
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
        check(target, to).map_err(|error| GatewayError::new(Privileges::ID, Box::new(error)))
    }

    fn keep(&mut self, _: &Shelf<'_>) -> Option<Value> {
        Some(Value::Null)
    }

    fn grant(&self, _target: &Target<'_>, settings: &Privileges, process: &mut ProcessGrants) {
        process.privileges = settings.clone();
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
    let allowed = Allowed {
        system_calls: wanted.system_calls.clone(),
        raw_icmp: false,
    };
    let filter = target.filters.get(&allowed);
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
