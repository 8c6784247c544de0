//! Whether containers can have user namespaces of their own.

use std::{
    fs, io,
    ops::Range,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::process::{Signal, WaitOptions, kill_process, waitpid};

use super::sys;

/// Whether containers get a user namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserNamespace {
    /// Where the kernel allows it.
    #[default]
    Auto,
    /// Always: without one a container is not created.
    Required,
    /// Never.
    Off,
}

/// How many user and group IDs a container has.
pub const ID_RANGE: u32 = 65536;
/// The first host ID of container 0, as systemd's and others' container ranges have it.
pub const FIRST_ID: u32 = 0x8_0000;
/// The first kernel with idmapped mounts (mount_setattr(2)), without which bind-mounted files would
/// belong to nobody in a container.
const FIRST_KERNEL: (u32, u32) = (5, 12);

/// The host IDs of as many containers.
pub fn ids_of(containers: u32) -> Range<u64> {
    let first = u64::from(FIRST_ID);
    first..first + u64::from(containers) * u64::from(ID_RANGE)
}

/// Why this kernel or host gives containers no user namespace; `None` if it does.
pub fn obstacle() -> Option<String> {
    if !Path::new("/proc/self/ns/user").exists() {
        return Some("the kernel has no user namespaces (CONFIG_USER_NS)".to_owned());
    }
    const LIMIT: &str = "/proc/sys/user/max_user_namespaces";
    if fs::read_to_string(LIMIT).is_ok_and(|text| text.trim() == "0") {
        return Some(format!("{LIMIT} is 0"));
    }
    let release = release();
    match version(&release) {
        Some(found) if found < FIRST_KERNEL => Some(format!(
            "kernel {release} has no idmapped mounts (they came with {}.{})",
            FIRST_KERNEL.0, FIRST_KERNEL.1
        )),
        _ => None,
    }
}

fn release() -> String {
    let release = rustix::system::uname();
    release.release().to_string_lossy().into_owned()
}

/// The kernel's version; `None` if its release does not begin with one.
pub fn kernel_version() -> Option<(u32, u32)> {
    version(&release())
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// User namespaces are required and cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration requires user namespaces: {obstacle}")]
pub struct NoUserNamespace {
    obstacle: String,
}

/// Whether a container is to have a user namespace.
///
/// # Errors
/// The obstacle, when one is required.
pub fn decide(wanted: UserNamespace, obstacle: Option<&str>) -> Result<bool, NoUserNamespace> {
    match (wanted, obstacle) {
        (UserNamespace::Off, _) => Ok(false),
        (_, None) => Ok(true),
        (UserNamespace::Auto, Some(_)) => Ok(false),
        (UserNamespace::Required, Some(obstacle)) => Err(NoUserNamespace {
            obstacle: obstacle.to_owned(),
        }),
    }
}

/// A user namespace that shows a user and a group as those of `shown`, and nobody else: for mounts
/// of what belongs to a user of the host (mount_setattr(2), "ID-mapped mounts").
///
/// # Errors
/// The system's.
pub fn of_one((user, group): (u32, u32), shown: (u32, u32)) -> io::Result<OwnedFd> {
    let pid = sys::wait_in_user_namespace()?;
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let namespace = fs::write(process.join("uid_map"), format!("{user} {} 1\n", shown.0))
        .and_then(|()| fs::write(process.join("gid_map"), format!("{group} {} 1\n", shown.1)))
        .and_then(|()| fs::File::open(process.join("ns/user")));
    // It is there until it is waited for, whatever has become of it.
    kill_process(pid, Signal::KILL)?;
    waitpid(Some(pid), WaitOptions::empty())?;
    namespace.map(OwnedFd::from)
}

/// Takes `PATH` away from this process, so that liblxc does not find newuidmap(1).
///
/// It prefers that program when it is installed, also for root, and then fails unless /etc/subuid
/// and /etc/subgid give root the containers' ranges. Without it, it writes the maps itself. Call
/// this before there are other threads.
pub fn hide_helper() {
    // SAFETY: the process has only this thread, so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var("PATH") };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_are_read() {
        assert_eq!(version("6.1.0-49-cloud-arm64"), Some((6, 1)));
        assert_eq!(version("5.4-rc1"), Some((5, 4)));
        assert_eq!(version("x"), None);
    }

    #[test]
    fn a_required_user_namespace_that_cannot_be_had_is_an_error() {
        let error = decide(UserNamespace::Required, Some("no")).unwrap_err();
        let text = "the configuration requires user namespaces: no";
        assert_eq!(error.to_string(), text);
        assert_eq!(decide(UserNamespace::Auto, Some("no")), Ok(false));
        assert_eq!(decide(UserNamespace::Auto, None), Ok(true));
        assert_eq!(decide(UserNamespace::Off, None), Ok(false));
    }
}
