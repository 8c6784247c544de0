//! The devicenode gateway: device nodes of the host in the container.
//!
//! A node in the container's own `/dev` would not work in a user namespace, so it is made in the
//! container's directory on the host and mounted in the container. That also gives it a mode of its
//! own.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, lchown},
    path::{Path, PathBuf},
};

use nix::sys::stat::{Mode, SFlag, major, minor, mknod};
use softwarecontainer_capability::{Settings as _, gateway::devicenode::DeviceNodeSettings};

use super::{
    contract::Gateway,
    error::{Cause, GatewayError},
    target::Target,
};
use crate::{error_chain::Chain, host::mount::DetachedMount};

/// What LXC puts in every container's `/dev` (lxc.container.conf(5), `lxc.autodev`).
const ALWAYS_THERE: [&str; 6] = [
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];

/// The devicenode gateway of one container.
#[derive(Debug, Default)]
pub struct DeviceNode {
    /// The node made on the host for each path, with its cgroup rule.
    nodes: BTreeMap<PathBuf, Node>,
    made: u32,
}

#[derive(Debug)]
struct Node {
    file: PathBuf,
    rule: String,
    host_mode: u32,
}

impl Gateway for DeviceNode {
    type Settings = DeviceNodeSettings;

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &DeviceNodeSettings,
        to: &DeviceNodeSettings,
    ) -> Result<(), GatewayError> {
        self.apply(target, from, to).map_err(|cause| {
            if let Err(cause) = self.apply(target, to, from) {
                let error = GatewayError::new(DeviceNodeSettings::ID, cause);
                log::error!("container {}: taking back: {}", target.id, Chain(&error));
            }
            GatewayError::new(DeviceNodeSettings::ID, cause)
        })
    }
}

impl DeviceNode {
    fn apply(
        &mut self,
        target: &Target<'_>,
        from: &DeviceNodeSettings,
        to: &DeviceNodeSettings,
    ) -> Result<(), Cause> {
        for path in from
            .nodes
            .keys()
            .filter(|path| !to.nodes.contains_key(*path))
        {
            self.remove(target, path)?;
        }
        for (path, mode) in &to.nodes {
            if ALWAYS_THERE.iter().any(|name| path == Path::new(name)) {
                continue;
            }
            match self.nodes.get(path) {
                Some(node) => set_mode(&node.file, mode.unwrap_or(node.host_mode))?,
                None => self.add(target, path, *mode)?,
            }
        }
        Ok(())
    }

    fn add(&mut self, target: &Target<'_>, path: &Path, mode: Option<u32>) -> Result<(), Cause> {
        let metadata = fs::metadata(path).map_err(failed("examine device node", path))?;
        let kind = match metadata.file_type() {
            kind if kind.is_char_device() => SFlag::S_IFCHR,
            kind if kind.is_block_device() => SFlag::S_IFBLK,
            _ => {
                return Err(Cause::Other(format!(
                    "{} is no device node",
                    path.display()
                )));
            }
        };
        let device = metadata.rdev();
        let letter = if kind == SFlag::S_IFCHR { 'c' } else { 'b' };
        let rule = format!("{letter} {}:{} rwm", major(device), minor(device));
        let file = target.devices.join(self.made.to_string());
        self.made = self.made.wrapping_add(1);
        let host_mode = metadata.mode() & 0o777;
        mknod(&file, kind, Mode::empty(), device)
            .map_err(|errno| failed("make device node", &file)(errno.into()))?;
        let node = Node {
            file,
            rule,
            host_mode,
        };
        // Known from here on, so that whatever fails below can be taken back.
        let node = self.nodes.entry(path.to_owned()).or_insert(node);
        let owner = Some(target.owner.0);
        lchown(&node.file, owner, owner).map_err(failed("give away device node", &node.file))?;
        set_mode(&node.file, mode.unwrap_or(host_mode))?;
        target.lxc.set_cgroup_item("devices.allow", &node.rule)?;
        target
            .mounts
            .attach(&DetachedMount::of(&node.file)?, path)?;
        Ok(())
    }

    fn remove(&mut self, target: &Target<'_>, path: &Path) -> Result<(), Cause> {
        let Some(node) = self.nodes.remove(path) else {
            return Ok(());
        };
        target.mounts.unmount(path)?;
        fs::remove_file(&node.file).map_err(failed("remove device node", &node.file))?;
        if !self.nodes.values().any(|other| other.rule == node.rule) {
            target.lxc.set_cgroup_item("devices.deny", &node.rule)?;
        }
        Ok(())
    }
}

fn set_mode(file: &Path, mode: u32) -> Result<(), Cause> {
    fs::set_permissions(file, Permissions::from_mode(mode))
        .map_err(failed("set the mode of device node", file))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Cause {
    let path = path.to_owned();
    move |source| Cause::File {
        action,
        path,
        source,
    }
}
