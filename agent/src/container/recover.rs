//! What an earlier agent left behind: containers named `SC-<number>`, and nothing else.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    ContainerError, cgroup_parents::Parents, create::remove_lxc_directory, lxc_cgroups::LxcCgroups,
    lxc_start::LxcPaths, monitor,
};
use crate::{
    host::mount::{self, MountError},
    mounts::unwritten::{self, Unwritten},
};

/// How long the processes of an old container may take to end.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Whether `name` is one that an agent gives to its containers.
fn is_ours(name: &str) -> bool {
    name.strip_prefix("SC-").is_some_and(|number| {
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && (number == "0" || !number.starts_with('0'))
    })
}

/// Containers that go on.
#[derive(Debug, Default)]
pub struct Kept {
    /// Their LXC names.
    pub names: BTreeSet<String>,
    /// LXC's paths, as their monitors know them.
    pub lxc_paths: BTreeSet<PathBuf>,
}

/// Destroys every container that an earlier agent left in `lxc_path` and under `shared_mounts_dir`,
/// but those in `kept`. Buffers that cannot be written are noted in `unwritten`.
///
/// # Errors
/// Every failure, one by one; the rest is removed all the same.
pub fn remove_all(
    lxc_path: &Path,
    parents: &Parents,
    shared_mounts_dir: &Path,
    unwritten: &Unwritten,
    kept: &Kept,
) -> Vec<ContainerError> {
    let is_ours = |name: &str| is_ours(name) && !kept.names.contains(name);
    let mut errors = Vec::new();
    let mut running = Vec::new();
    monitor::end_all_of(lxc_path, is_ours, END_LIMIT);
    LxcPaths::remove_aliases(shared_mounts_dir, |it| kept.lxc_paths.contains(it));
    for name in names_in(lxc_path, is_ours) {
        log::info!("removing container {name}, left by an earlier agent");
        let cgroups = LxcCgroups::of_saved(&lxc_path.join(&name), parents, &name);
        if let Err(failures) = cgroups.end(parents, END_LIMIT) {
            errors.extend(failures);
            running.push(name);
            continue;
        }
        if let Err(error) = remove_lxc_directory(lxc_path, &name) {
            errors.push(error);
        }
    }
    errors.extend(
        unwritten::retry_kept(shared_mounts_dir, unwritten)
            .into_iter()
            .map(ContainerError::from),
    );
    for name in names_in(shared_mounts_dir, is_ours) {
        // What still runs still writes.
        if running.contains(&name) {
            continue;
        }
        if let Err(error) =
            remove_directory(shared_mounts_dir, &shared_mounts_dir.join(name), unwritten)
        {
            errors.push(error.into());
        }
    }
    errors
}

/// Removes a container's directory, after what it had buffered is written to the host; what cannot
/// be written is kept.
fn remove_directory(
    shared_mounts_dir: &Path,
    directory: &Path,
    unwritten: &Unwritten,
) -> Result<(), MountError> {
    let Err(hosts) = unwritten::recover_from(directory) else {
        return mount::remove_with_mounts(directory);
    };
    let kept = unwritten::set_aside(shared_mounts_dir, directory)?;
    unwritten.add(hosts.into_iter().map(|host| (host, kept.clone())));
    log::error!(
        "write buffers of {} are kept in {}; the next start of the agent tries again to write them",
        directory.display(),
        kept.display()
    );
    Ok(())
}

fn names_in(directory: &Path, is_ours: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                log::warn!(
                    "cannot look for old containers in {}: {error}",
                    directory.display()
                );
            }
            return Vec::new();
        }
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_ours(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_an_agent_gives_are_ours() {
        for name in ["SC-0", "SC-17"] {
            assert!(is_ours(name), "{name}");
        }
        for name in [
            "SC-", "SC-x", "SC-1a", "sc-1", "SC-01", "XSC-1", "SC-1/..", "template",
        ] {
            assert!(!is_ours(name), "{name}");
        }
    }
}
