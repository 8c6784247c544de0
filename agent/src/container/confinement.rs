//! What apps are to be without, and how a container's capabilities change that.
//!
//! LXC gives a container's init everything that a manifest may give to an app. The init takes from
//! each process that it starts what the manifests have not given ([`Confinement`]).

use serde::{Deserialize, Serialize};
use softwarecontainer_capability::privilege::{Capability, Privileges, Resource, UNLIMITED};
use softwarecontainer_init::{Confinement, Limit};
use softwarecontainer_lxc as lxc;

use crate::host::{
    app_user::AppUser,
    process_limits::{self, AppLimit},
    seccomp::ProcessFilters,
};

/// The kernel capabilities (capabilities(7)) that apps have in their user namespace. What could
/// undo the sandbox is not among them.
const KEPT: &str = "chown dac_override fowner fsetid kill setgid setuid net_bind_service";
/// LXC's key of the kernel capabilities.
const KEPT_KEY: &str = "lxc.cap.keep";

/// The kernel capabilities of a container's init, and below them those that apps do not have.
fn extra() -> &'static [Capability] {
    if cfg!(feature = "gateway-privileges") {
        Capability::ALL
    } else if cfg!(feature = "gateway-network") {
        // For ping.
        &[Capability::NetRaw]
    } else {
        &[]
    }
}

/// The items of LXC's configuration that give a container's init what manifests may give to apps.
pub fn lxc_items(limits: &[AppLimit]) -> Vec<(&'static str, String)> {
    let kept = extra()
        .iter()
        .fold(KEPT.to_owned(), |all, one| all + " " + one.name());
    let mut items = vec![(KEPT_KEY, kept)];
    items.extend(limits.iter().map(|limit| {
        let value = format!("{}:{}", shown(limit.soft), shown(limit.ceiling));
        (limit_key(limit), value)
    }));
    items
}

fn limit_key(limit: &AppLimit) -> &'static str {
    match limit.resource {
        Resource::Memlock => "lxc.prlimit.memlock",
        Resource::Msgqueue => "lxc.prlimit.msgqueue",
        Resource::Nice => "lxc.prlimit.nice",
        Resource::Nofile => "lxc.prlimit.nofile",
        Resource::Rtprio => "lxc.prlimit.rtprio",
    }
}

fn shown(limit: u64) -> String {
    if limit == UNLIMITED {
        "unlimited".to_owned()
    } else {
        limit.to_string()
    }
}

/// A [`Baseline`], as the next agent reads it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptBaseline {
    drop: u64,
    /// Names of resources with their limits: in force, hard and highest, and whether the
    /// integrator's settings decide.
    limits: Vec<(String, u64, u64, u64, bool)>,
}

/// What the apps of one container are without as long as no manifest says otherwise.
#[derive(Debug, Clone)]
pub struct Baseline {
    drop: u64,
    limits: Vec<AppLimit>,
    /// Limits that the integrator's own LXC settings decide; what they say holds for all apps.
    foreign: Vec<AppLimit>,
}

impl Baseline {
    /// That of a container with the items of [`lxc_items`].
    pub fn new(limits: &[AppLimit]) -> Self {
        Self {
            drop: extra().iter().map(|one| 1 << one.number()).sum(),
            limits: limits.to_vec(),
            foreign: Vec::new(),
        }
    }

    /// Loads the integrator's own LXC settings. What they say of kernel capabilities and limits
    /// holds for all apps of the container.
    ///
    /// # Errors
    /// liblxc's.
    pub fn load_over(
        &mut self,
        lxc: &lxc::Container,
        settings: &std::path::Path,
    ) -> lxc::Result<()> {
        let keys = || [KEPT_KEY, "lxc.cap.drop"].map(|key| lxc.get(key));
        let values = |limits: &[AppLimit]| -> Vec<_> {
            limits
                .iter()
                .map(|limit| lxc.get(limit_key(limit)))
                .collect()
        };
        let (capabilities, limits) = (keys(), values(&self.limits));
        lxc.load_config(settings)?;
        if keys() != capabilities {
            self.drop = 0;
        }
        let after = values(&self.limits);
        let changed = limits
            .iter()
            .zip(&after)
            .map(|(before, after)| before != after);
        for (limit, changed) in std::mem::take(&mut self.limits).into_iter().zip(changed) {
            let list = if changed {
                &mut self.foreign
            } else {
                &mut self.limits
            };
            list.push(limit);
        }
        Ok(())
    }

    /// As the next agent is to read it.
    pub(super) fn kept(&self) -> KeptBaseline {
        let own = self.limits.iter().map(|one| (one, false));
        let foreign = self.foreign.iter().map(|one| (one, true));
        let limits = own.chain(foreign).map(|(one, is_foreign)| {
            let name = one.resource.name().to_owned();
            (name, one.soft, one.hard, one.ceiling, is_foreign)
        });
        KeptBaseline {
            drop: self.drop,
            limits: limits.collect(),
        }
    }

    /// That of a container which an earlier agent has left.
    pub(super) fn left(kept: &KeptBaseline) -> Self {
        let (mut limits, mut foreign) = (Vec::new(), Vec::new());
        for (name, soft, hard, ceiling, is_foreign) in &kept.limits {
            let Some(resource) = Resource::from_name(name) else {
                continue;
            };
            let list = if *is_foreign {
                &mut foreign
            } else {
                &mut limits
            };
            list.push(AppLimit {
                resource,
                soft: *soft,
                hard: *hard,
                ceiling: *ceiling,
            });
        }
        Self {
            drop: kept.drop,
            limits,
            foreign,
        }
    }

    /// Whether apps are without CAP_NET_RAW unless the agent gives it to them.
    #[must_use]
    pub fn drops_net_raw(&self, given: &Privileges) -> bool {
        self.drop & 1 << Capability::NetRaw.number() != 0
            && !given.capabilities.contains(&Capability::NetRaw)
    }

    /// What a new process is to be without, given what the container's manifests give and the
    /// `filters` that go with that.
    pub fn confinement(
        &self,
        user: AppUser,
        given: &Privileges,
        filters: &ProcessFilters,
    ) -> Confinement {
        let kept = given
            .capabilities
            .iter()
            .fold(0, |all, one| all | 1 << one.number());
        let raised = |limit: &AppLimit| {
            let wanted = given.limits.get(&limit.resource);
            wanted.copied().filter(|wanted| *wanted > limit.soft)
        };
        let own = self.limits.iter().map(|limit| {
            let soft = raised(limit).unwrap_or(limit.soft);
            (limit, soft, limit.hard.max(soft))
        });
        let foreign = self
            .foreign
            .iter()
            .filter_map(|limit| raised(limit).map(|soft| (limit, soft, soft)));
        let limits = own.chain(foreign).map(|(limit, soft, hard)| Limit {
            resource: process_limits::number(limit.resource),
            soft,
            hard,
        });
        Confinement {
            user: user.inside,
            keep: kept,
            drop: self.drop & !kept,
            limits: limits.collect(),
            calls: filters.calls.clone(),
            arguments: filters.arguments.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: AppUser = AppUser {
        inside: 0,
        on_host: 0,
        group_on_host: 0,
    };

    fn limits() -> Vec<AppLimit> {
        let limit = |resource, soft, hard, ceiling| AppLimit {
            resource,
            soft,
            hard,
            ceiling,
        };
        vec![
            limit(Resource::Memlock, 8 << 20, 8 << 20, UNLIMITED),
            limit(Resource::Nofile, 1024, 4096, 1 << 20),
        ]
    }

    fn is_dropped(confinement: &Confinement, capability: Capability) -> bool {
        confinement.drop & 1 << capability.number() != 0
    }

    #[test]
    fn apps_get_no_kernel_capability_that_could_undo_the_sandbox() {
        for dangerous in [
            "sys_admin",
            "net_admin",
            "net_raw",
            "sys_ptrace",
            "sys_module",
            "mknod",
            "mac_admin",
            "setpcap",
        ] {
            assert!(
                !KEPT.split(' ').any(|kept| kept == dangerous),
                "{dangerous}"
            );
        }
        let default = Baseline::new(&limits()).confinement(
            ROOT,
            &Privileges::default(),
            &ProcessFilters::default(),
        );
        assert!(extra().iter().all(|one| is_dropped(&default, *one)));
    }

    #[test]
    fn no_init_has_what_no_manifest_may_give() {
        let items = lxc_items(&limits());
        let (_, kept) = items
            .iter()
            .find(|(key, _)| *key == "lxc.cap.keep")
            .unwrap();
        for dangerous in [
            "sys_admin",
            "net_admin",
            "sys_ptrace",
            "sys_module",
            "sys_rawio",
            "mknod",
            "mac_admin",
            "sys_boot",
        ] {
            assert!(
                !kept.split(' ').any(|kept| kept == dangerous),
                "{dangerous}"
            );
        }
        assert!(items.contains(&("lxc.prlimit.memlock", "8388608:unlimited".to_owned())));
    }

    #[test]
    fn only_what_a_manifest_names_is_kept_and_raised() {
        let mut given = Privileges::default();
        given.capabilities.insert(Capability::NetRaw);
        given.limits.insert(Resource::Nofile, 8192);
        let filters = ProcessFilters {
            arguments: vec![1; 8],
            ..ProcessFilters::default()
        };
        let confinement = Baseline::new(&limits()).confinement(ROOT, &given, &filters);
        assert!(!is_dropped(&confinement, Capability::NetRaw));
        assert_eq!(confinement.arguments, [1; 8]);
        let limit = |index: usize| {
            (
                confinement.limits[index].soft,
                confinement.limits[index].hard,
            )
        };
        assert_eq!(limit(0), (8 << 20, 8 << 20));
        assert_eq!(limit(1), (8192, 8192));
    }

    #[test]
    fn a_manifest_never_lowers_a_limit() {
        let mut given = Privileges::default();
        given.limits.insert(Resource::Nofile, 2000);
        given.limits.insert(Resource::Memlock, 1);
        let confinement =
            Baseline::new(&limits()).confinement(ROOT, &given, &ProcessFilters::default());
        let all: Vec<_> = confinement
            .limits
            .iter()
            .map(|limit| (limit.soft, limit.hard))
            .collect();
        assert_eq!(all, [(8 << 20, 8 << 20), (2000, 4096)]);
    }
}
