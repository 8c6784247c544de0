//! The file gateway: host files and directories mounted in the container.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use softwarecontainer_capability::{Settings as _, gateway::file::FileSettings};

use super::{
    contract::{self, Gateway},
    error::{Cause, GatewayError},
    target::Target,
};
use crate::{
    error_chain::Chain,
    host::{container_path::Attached, descriptor_store::Shelf},
    mounts::{BindError, HostSource, host_source::Identity},
};

/// The file gateway of one container.
#[derive(Debug, Default)]
pub struct File {
    /// What is mounted at each path in the container.
    mounted: BTreeMap<PathBuf, Mounted>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Mounted {
    attached: Attached,
    /// What it was on the host.
    source: Identity,
}

/// A host path, and whether it is mounted read-only.
type Wanted = (PathBuf, bool);

/// One step of a change: unmount what was there, mount what shall be there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    path: PathBuf,
    from: Option<Wanted>,
    to: Option<Wanted>,
}

impl Step {
    fn reversed(self) -> Self {
        Self {
            path: self.path,
            from: self.to,
            to: self.from,
        }
    }
}

/// The steps from one set of mounts to another; what both have alike is not touched.
fn plan(from: &FileSettings, to: &FileSettings) -> Vec<Step> {
    let get = |settings: &FileSettings, path: &PathBuf| {
        let mount = settings.mounts.get(path)?;
        Some((mount.host.clone(), mount.read_only))
    };
    let mut paths: Vec<&PathBuf> = from.mounts.keys().chain(to.mounts.keys()).collect();
    paths.sort();
    paths.dedup();
    let steps = paths.into_iter().map(|path| Step {
        path: path.clone(),
        from: get(from, path),
        to: get(to, path),
    });
    steps.filter(|step| step.from != step.to).collect()
}

impl File {
    fn perform(&mut self, target: &Target<'_>, step: &Step) -> Result<(), Cause> {
        if let Some(mounted) = self.mounted.remove(&step.path) {
            target.mounts.detach(&mounted.attached)?;
        }
        let Some(to) = &step.to else {
            return Ok(());
        };
        let mounted = self.mount(target, &step.path, to);
        if mounted.is_err()
            && let Some(from) = &step.from
        {
            self.mount(target, &step.path, from)?;
        }
        mounted
    }

    fn mount(
        &mut self,
        target: &Target<'_>,
        path: &Path,
        (host, read_only): &Wanted,
    ) -> Result<(), Cause> {
        let opened = HostSource::open(host, !read_only, target.mounts.paths);
        let source = opened.map_err(BindError::from)?;
        let identity = source.identity().map_err(BindError::from)?;
        let bound = target.mounts.bind(&source, path, *read_only)?;
        watch(target, host);
        let mounted = Mounted {
            attached: bound.attached,
            source: identity,
        };
        self.mounted.insert(path.to_owned(), mounted);
        Ok(())
    }

    /// Mounts the successor of a file or directory that was replaced on the host. While there is
    /// none, the old one stays; so does a directory with a write buffer, which belongs to it.
    fn follow(&mut self, target: &Target<'_>, path: &Path, wanted: &Wanted) -> Result<(), Cause> {
        let (host, read_only) = wanted;
        let Ok(source) = HostSource::open(host, !read_only, target.mounts.paths) else {
            return Ok(());
        };
        if !read_only && target.mounts.buffers.is_some() && source.kind().is_dir() {
            return Ok(());
        }
        let now = source.identity().map_err(BindError::from)?;
        match self.mounted.get(path) {
            Some(mounted) if mounted.source != now => self.perform(
                target,
                &Step {
                    path: path.to_owned(),
                    from: None,
                    to: Some(wanted.clone()),
                },
            ),
            _ => Ok(()),
        }
    }
}

fn watch(target: &Target<'_>, host: &Path) {
    if let Err(error) = target.watch.add(host) {
        log::warn!("cannot watch for successors of {}: {error}", host.display());
    }
}

impl Gateway for File {
    type Settings = FileSettings;

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &FileSettings,
        to: &FileSettings,
    ) -> Result<(), GatewayError> {
        let mut done: Vec<Step> = Vec::new();
        for step in plan(from, to) {
            if let Err(cause) = self.perform(target, &step) {
                for step in done.into_iter().rev() {
                    if let Err(cause) = self.perform(target, &step.reversed()) {
                        let error = GatewayError::new(FileSettings::ID, cause);
                        log::error!("container {}: taking back: {}", target.id, Chain(&error));
                    }
                }
                return Err(GatewayError::new(FileSettings::ID, cause));
            }
            done.push(step);
        }
        Ok(())
    }

    fn keep(&mut self, _: &Shelf<'_>) -> Option<Value> {
        serde_json::to_value(&self.mounted).ok()
    }

    fn adopt(
        &mut self,
        target: &Target<'_>,
        settings: &FileSettings,
        kept: &Value,
        _: &Shelf<'_>,
    ) -> Result<(), GatewayError> {
        let failed = |cause| GatewayError::new(FileSettings::ID, cause);
        let mounted: BTreeMap<PathBuf, Mounted> = contract::read(kept).map_err(failed)?;
        for mounted in mounted.values() {
            let there = target.mounts.require(&mounted.attached);
            there.map_err(|error| failed(error.into()))?;
        }
        for mount in settings.mounts.values() {
            watch(target, &mount.host);
        }
        self.mounted = mounted;
        Ok(())
    }

    fn refresh(
        &mut self,
        target: &Target<'_>,
        settings: &FileSettings,
    ) -> Result<(), GatewayError> {
        for (path, mount) in &settings.mounts {
            let wanted = (mount.host.clone(), mount.read_only);
            if let Err(cause) = self.follow(target, path, &wanted) {
                let error = GatewayError::new(FileSettings::ID, cause);
                log::warn!("container {}: {}", target.id, Chain(&error));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use softwarecontainer_capability::gateway::file::FileMount;

    fn settings(mounts: &[(&str, &str, bool)]) -> FileSettings {
        let mut settings = FileSettings::default();
        for (path, host, read_only) in mounts {
            let (host, read_only) = (host.into(), *read_only);
            settings
                .mounts
                .insert(path.into(), FileMount { host, read_only });
        }
        settings
    }

    #[test]
    fn what_is_mounted_alike_already_is_not_touched() {
        let from = settings(&[("/a", "/x", true)]);
        assert_eq!(plan(&from, &from), []);
        let to = settings(&[("/a", "/x", true), ("/b", "/y", false)]);
        let [step] = plan(&from, &to).try_into().unwrap();
        assert_eq!(
            (step.path, step.from, step.to),
            ("/b".into(), None, Some(("/y".into(), false)))
        );
    }

    #[test]
    fn a_mount_that_becomes_writable_is_replaced() {
        let (from, to) = (
            settings(&[("/a", "/x", true)]),
            settings(&[("/a", "/x", false)]),
        );
        let [step] = plan(&from, &to).try_into().unwrap();
        assert_eq!(
            step.clone().reversed(),
            plan(&to, &from).into_iter().next().unwrap()
        );
        assert_eq!(step.from, Some(("/x".into(), true)));
    }
}
