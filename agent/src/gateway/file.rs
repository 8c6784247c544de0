//! The file gateway: host files and directories mounted in the container.

use std::path::PathBuf;

use softwarecontainer_capability::{Settings as _, gateway::file::FileSettings};

use super::{
    contract::Gateway,
    error::{Cause, GatewayError},
    target::Target,
};
use crate::error_chain::Chain;

/// The file gateway of one container.
#[derive(Debug, Default)]
pub struct File;

/// One step of a change: unmount what was there, mount what shall be there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    path: PathBuf,
    from: Option<(PathBuf, bool)>,
    to: Option<(PathBuf, bool)>,
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

fn perform(target: &Target<'_>, step: &Step) -> Result<(), Cause> {
    if step.from.is_some() {
        target.mounts.unmount(&step.path)?;
    }
    let Some((host, read_only)) = &step.to else {
        return Ok(());
    };
    let mounted = target.mounts.bind_path(host, &step.path, *read_only);
    if mounted.is_err()
        && let Some((host, read_only)) = &step.from
    {
        target.mounts.bind_path(host, &step.path, *read_only)?;
    }
    mounted.map(drop).map_err(Cause::from)
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
            if let Err(cause) = perform(target, &step) {
                for step in done.into_iter().rev() {
                    if let Err(cause) = perform(target, &step.reversed()) {
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
