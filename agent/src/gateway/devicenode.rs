//! The devicenode gateway: device nodes of the host in the container.
//!
//! A node in the container's own `/dev` would not work in a user namespace, so it is made in the
//! container's directory on the host and mounted in the container. That also gives it a mode of its
//! own.
//!
//! A device that is unplugged and plugged in again may come back with another number, and the old
//! number may by then be that of another device. So a node that goes takes the right to its number
//! with it, and one that comes back is made anew.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, lchown},
    path::{Path, PathBuf},
};

use nix::{
    libc::dev_t,
    sys::stat::{Mode, SFlag, major, minor, mknod},
};
use softwarecontainer_capability::{Settings as _, gateway::devicenode::DeviceNodeSettings};

use super::{
    contract::Gateway,
    error::{Cause, GatewayError},
    target::Target,
};
use crate::{
    error_chain::Chain,
    host::{container_path::Attached, mount::DetachedMount},
};

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
    /// The node made on the host for each path that is there.
    nodes: BTreeMap<PathBuf, Node>,
    made: u32,
}

#[derive(Debug)]
struct Node {
    file: PathBuf,
    device: Device,
    attached: Option<Attached>,
}

/// A device node as it is on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Device {
    kind: SFlag,
    number: dev_t,
    mode: u32,
}

impl Device {
    fn find(path: &Path) -> Result<Self, Cause> {
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
        Ok(Self {
            kind,
            number: metadata.rdev(),
            mode: metadata.mode() & 0o777,
        })
    }

    fn is_same_device(&self, other: &Self) -> bool {
        (self.kind, self.number) == (other.kind, other.number)
    }

    /// As the devices cgroup names it.
    fn rule(&self) -> String {
        let letter = if self.kind == SFlag::S_IFCHR {
            'c'
        } else {
            'b'
        };
        format!("{letter} {}:{} rwm", major(self.number), minor(self.number))
    }
}

impl Gateway for DeviceNode {
    type Settings = DeviceNodeSettings;

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &DeviceNodeSettings,
        to: &DeviceNodeSettings,
    ) -> Result<(), GatewayError> {
        self.apply(target, to).map_err(|cause| {
            // What has gone from the host since is nothing to go back to.
            self.remove_others(target, from);
            self.follow(target, from);
            GatewayError::new(DeviceNodeSettings::ID, cause)
        })
    }

    fn refresh(
        &mut self,
        target: &Target<'_>,
        settings: &DeviceNodeSettings,
    ) -> Result<(), GatewayError> {
        self.follow(target, settings);
        Ok(())
    }
}

impl DeviceNode {
    fn apply(&mut self, target: &Target<'_>, to: &DeviceNodeSettings) -> Result<(), Cause> {
        self.remove_others(target, to);
        for (path, mode) in wanted(to) {
            self.show(target, path, mode)?;
        }
        Ok(())
    }

    /// Does with each node what has happened to it on the host.
    fn follow(&mut self, target: &Target<'_>, settings: &DeviceNodeSettings) {
        for (path, mode) in wanted(settings) {
            if let Err(cause) = self.show(target, path, mode) {
                log::info!("container {}: {}", target.id, Chain(&cause));
            }
        }
    }

    fn remove_others(&mut self, target: &Target<'_>, settings: &DeviceNodeSettings) {
        let unwanted = |path: &&PathBuf| !settings.nodes.contains_key(*path);
        let unwanted: Vec<_> = self.nodes.keys().filter(unwanted).cloned().collect();
        for path in unwanted {
            self.remove(target, &path);
        }
    }

    /// Makes the node in the container what the host's is, with the mode that was asked for. If the
    /// host's is gone, so is the container's.
    fn show(&mut self, target: &Target<'_>, path: &Path, mode: Option<u32>) -> Result<(), Cause> {
        if let Err(error) = target.watch.add(path) {
            log::warn!("cannot watch for {}: {error}", path.display());
        }
        let found = Device::find(path);
        let is_same = |device: &Device| {
            let node = self.nodes.get(path);
            node.is_some_and(|node| node.device.is_same_device(device))
        };
        match found {
            Ok(device) if is_same(&device) => {
                let file = self.nodes.get(path).map(|node| &node.file);
                file.map_or(Ok(()), |file| set_mode(file, mode.unwrap_or(device.mode)))
            }
            Ok(device) => {
                self.remove(target, path);
                let added = self.add(target, path, device, mode);
                if added.is_err() {
                    self.remove(target, path);
                }
                added
            }
            Err(cause) => {
                self.remove(target, path);
                Err(cause)
            }
        }
    }

    fn add(
        &mut self,
        target: &Target<'_>,
        path: &Path,
        device: Device,
        mode: Option<u32>,
    ) -> Result<(), Cause> {
        let file = target.devices.join(self.made.to_string());
        self.made = self.made.wrapping_add(1);
        mknod(&file, device.kind, Mode::empty(), device.number)
            .map_err(|errno| failed("make device node", &file)(errno.into()))?;
        let node = Node {
            file,
            device,
            attached: None,
        };
        // Known from here on, so that whatever fails below can be taken back.
        let node = self.nodes.entry(path.to_owned()).or_insert(node);
        let owner = Some(target.user.on_host);
        lchown(&node.file, owner, owner).map_err(failed("give away device node", &node.file))?;
        set_mode(&node.file, mode.unwrap_or(device.mode))?;
        target
            .lxc
            .set_cgroup_item("devices.allow", &device.rule())?;
        let mount = DetachedMount::of(&node.file)?;
        node.attached = Some(target.mounts.attach(&mount, path)?);
        Ok(())
    }

    /// Takes a node away, and the right to its number. Carries on after a failure.
    fn remove(&mut self, target: &Target<'_>, path: &Path) {
        let Some(node) = self.nodes.remove(path) else {
            return;
        };
        let rule = node.device.rule();
        let is_needed = self.nodes.values().any(|other| other.device.rule() == rule);
        let detached = node
            .attached
            .map_or(Ok(()), |it| target.mounts.detach(&it).map_err(Cause::from));
        let removed = fs::remove_file(&node.file).map_err(failed("remove device node", &node.file));
        let denied = if is_needed {
            Ok(())
        } else {
            let denied = target.lxc.set_cgroup_item("devices.deny", &rule);
            denied.map_err(Cause::from)
        };
        for cause in [denied, detached, removed]
            .into_iter()
            .filter_map(Result::err)
        {
            log::error!(
                "container {}: taking {} away: {}",
                target.id,
                path.display(),
                Chain(&cause)
            );
        }
    }
}

fn wanted(settings: &DeviceNodeSettings) -> impl Iterator<Item = (&Path, Option<u32>)> {
    let nodes = settings.nodes.iter();
    nodes
        .filter(|(path, _)| !ALWAYS_THERE.iter().any(|name| *path == Path::new(name)))
        .map(|(path, mode)| (path.as_path(), *mode))
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
