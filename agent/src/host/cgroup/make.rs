//! Making cgroups that can bound what is in them.

use std::{fs, io, path::Path};

use super::{CgroupError, read, write};

/// Controllers of v2 that a cgroup has only if the one above passes them on (kernel documentation,
/// cgroup-v2, "Enabling and Disabling").
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];
/// What a v1 cpuset needs before a process can be in it (cpuset(7)); liblxc sees to that of a
/// container, not of all above.
const CPUSET: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// Makes the cgroup `path` below `root`, a directory of any hierarchy, and those on the way.
///
/// # Errors
/// [`CgroupError::Make`], or of a cpuset that cannot be filled in.
pub fn make(root: &Path, path: &Path) -> Result<(), CgroupError> {
    let mut directory = root.to_owned();
    for name in path {
        pass_on_controllers(&directory);
        let above = directory.clone();
        directory.push(name);
        match fs::create_dir(&directory) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(CgroupError::Make {
                    path: directory,
                    source,
                });
            }
            _ => fill_cpuset(&above, &directory)?,
        }
    }
    Ok(())
}

/// Moves the processes that are in the cgroup `directory` itself, if it is one of v2, to one in it
/// called `keeper`: none whose processes are its own can bound what is in others in it (kernel
/// documentation, cgroup-v2, "No Internal Process Constraint").
///
/// # Errors
/// [`CgroupError`].
pub fn vacate(directory: &Path) -> Result<(), CgroupError> {
    if !directory.join("cgroup.controllers").exists() {
        return Ok(());
    }
    let keeper = directory.join("keeper");
    for process in read(&directory.join("cgroup.procs"))?.lines() {
        match fs::create_dir(&keeper) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(CgroupError::Make {
                    path: keeper,
                    source,
                });
            }
            _ => {}
        }
        // One that has ended meanwhile is no process to move.
        let moved = write(&keeper.join("cgroup.procs"), process);
        moved.or_else(|error| match &error {
            CgroupError::Write { source, .. } if source.raw_os_error() == Some(libc::ESRCH) => {
                Ok(())
            }
            _ => Err(error),
        })?;
    }
    Ok(())
}

/// What cannot be passed on shows by files that are missing below.
fn pass_on_controllers(directory: &Path) {
    let (Ok(there), Ok(passed_on)) = (
        read(&directory.join("cgroup.controllers")),
        read(&directory.join("cgroup.subtree_control")),
    ) else {
        return;
    };
    let has = |list: &str, controller| list.split(' ').any(|it| it == controller);
    for controller in CONTROLLERS {
        if has(&there, controller) && !has(&passed_on, controller) {
            let control = directory.join("cgroup.subtree_control");
            if let Err(error) = write(&control, &format!("+{controller}")) {
                log::debug!("{error}");
            }
        }
    }
}

fn fill_cpuset(above: &Path, directory: &Path) -> Result<(), CgroupError> {
    if directory.join("cgroup.controllers").exists() {
        return Ok(());
    }
    for file in CPUSET {
        let path = directory.join(file);
        if path.exists() && read(&path)?.is_empty() {
            write(&path, &read(&above.join(file))?)?;
        }
    }
    if directory.join(CPUSET[0]).exists() {
        // Those that are made in it, by whomever, begin with the same.
        write(&directory.join("cgroup.clone_children"), "1")?;
    }
    Ok(())
}
