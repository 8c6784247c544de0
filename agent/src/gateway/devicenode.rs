//! The devicenode gateway: device nodes of the host in the container.
//!
//! A node in the container's own `/dev` would not work in a user namespace, so it is made in the
//! container's directory on the host and mounted in the container. That also gives it a mode of its
//! own.
//!
//! A device that is unplugged and plugged in again may come back with another number, and the old
//! number may by then be that of another device. So a node that goes takes the right to its number
//! with it, and one that comes back is made anew.

mod device;
mod selected;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt as _, lchown},
    path::{Path, PathBuf},
};

use nix::sys::stat::{Mode, SFlag, mknod};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use softwarecontainer_capability::{
    Settings as _,
    gateway::devicenode::{DeviceNodeSettings, DeviceSelector, Wanted},
};

use self::{device::Device, selected::Class};
use super::{
    contract::{self, Gateway},
    error::{Cause, GatewayError},
    target::Target,
};
use crate::{
    error_chain::Chain,
    host::{container_path::Attached, descriptor_store::Shelf, mount::DetachedMount},
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
    /// What each selector stands for.
    found: BTreeMap<DeviceSelector, BTreeSet<PathBuf>>,
    made: u32,
}

#[derive(Debug)]
struct Node {
    file: PathBuf,
    device: Device,
    attached: Option<Attached>,
}

/// What the next agent has to know.
#[derive(Serialize, Deserialize)]
struct Kept {
    nodes: BTreeMap<PathBuf, KeptNode>,
    made: u32,
}

#[derive(Serialize, Deserialize)]
struct KeptNode {
    file: PathBuf,
    is_block: bool,
    number: u64,
    mode: u32,
    attached: Option<Attached>,
}

impl KeptNode {
    fn of(node: &Node) -> Self {
        Self {
            file: node.file.clone(),
            is_block: node.device.kind == SFlag::S_IFBLK,
            number: node.device.number,
            mode: node.device.mode,
            attached: node.attached.clone(),
        }
    }

    fn restored(self) -> Node {
        let kind = if self.is_block {
            SFlag::S_IFBLK
        } else {
            SFlag::S_IFCHR
        };
        Node {
            file: self.file,
            device: Device {
                kind,
                number: self.number,
                mode: self.mode,
            },
            attached: self.attached,
        }
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
            self.follow(target, from);
            GatewayError::new(DeviceNodeSettings::ID, cause)
        })
    }

    fn keep(&mut self, _: &Shelf<'_>) -> Option<Value> {
        let kept = Kept {
            nodes: self
                .nodes
                .iter()
                .map(|(path, node)| (path.clone(), KeptNode::of(node)))
                .collect(),
            made: self.made,
        };
        serde_json::to_value(kept).ok()
    }

    fn adopt(
        &mut self,
        target: &Target<'_>,
        settings: &DeviceNodeSettings,
        kept: &Value,
        _: &Shelf<'_>,
    ) -> Result<(), GatewayError> {
        let failed = |cause| GatewayError::new(DeviceNodeSettings::ID, cause);
        let kept: Kept = contract::read(kept).map_err(failed)?;
        for (path, node) in kept.nodes {
            let node = node.restored();
            if let Some(attached) = &node.attached {
                let there = target.mounts.require(attached);
                there.map_err(|error| failed(error.into()))?;
            }
            self.nodes.insert(path, node);
        }
        self.made = kept.made;
        // What has come or gone meanwhile, too.
        self.follow(target, settings);
        Ok(())
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
        self.find(target, to);
        for (selector, wanted) in &to.selected {
            let nothing = self.found.get(selector).is_none_or(BTreeSet::is_empty);
            if nothing && !wanted.optional {
                return Err(Cause::Other(format!(
                    "the host has no device of {selector}"
                )));
            }
        }
        let wanted = self.wanted(to);
        self.remove_others(target, &wanted);
        for (path, wanted) in &wanted {
            self.show(target, path, wanted.mode).or_else(|cause| {
                if may_lack(path, wanted) {
                    Ok(())
                } else {
                    Err(cause)
                }
            })?;
        }
        Ok(())
    }

    /// Does with each node what has happened to it on the host.
    fn follow(&mut self, target: &Target<'_>, settings: &DeviceNodeSettings) {
        self.find(target, settings);
        let wanted = self.wanted(settings);
        self.remove_others(target, &wanted);
        for (path, wanted) in &wanted {
            if let Err(cause) = self.show(target, path, wanted.mode)
                && !may_lack(path, wanted)
            {
                log::info!("container {}: {}", target.id, Chain(&cause));
            }
        }
    }

    /// Finds what the selectors stand for now, and tells where that has changed.
    fn find(&mut self, target: &Target<'_>, settings: &DeviceNodeSettings) {
        self.found
            .retain(|selector, _| settings.selected.contains_key(selector));
        for selector in settings.selected.keys() {
            let class = Class::of(selector);
            // First, so that nothing is missed in between.
            if let Err(error) = target.watch.follow_devices(class.subsystem) {
                log::warn!("cannot follow devices of {selector}: {error}");
            }
            if let Some(name) = &selector.by_path {
                watch(target, &class.link(name));
            }
            let nodes = selected::nodes(selector);
            if self.found.get(selector) != Some(&nodes) {
                let names: Vec<_> = nodes.iter().map(|it| it.to_string_lossy()).collect();
                let names = match names.as_slice() {
                    [] => "nothing".to_owned(),
                    names => names.join(", "),
                };
                log::info!("container {}: {selector} is {names}", target.id);
                self.found.insert(selector.clone(), nodes);
            }
        }
    }

    /// What is asked for each node, by its name or because a selector has found it.
    fn wanted(&self, settings: &DeviceNodeSettings) -> BTreeMap<PathBuf, Wanted> {
        let named = settings.nodes.iter().map(|(path, wanted)| (path, *wanted));
        let found = settings.selected.iter().flat_map(|(selector, wanted)| {
            let paths = self.found.get(selector).into_iter().flatten();
            paths.map(|path| (path, *wanted))
        });
        let mut all = BTreeMap::new();
        for (path, wanted) in named.chain(found) {
            if !ALWAYS_THERE.iter().any(|name| path == Path::new(name)) {
                all.entry(path.clone())
                    .and_modify(|merged: &mut Wanted| *merged = merged.and(wanted))
                    .or_insert(wanted);
            }
        }
        all
    }

    fn remove_others(&mut self, target: &Target<'_>, wanted: &BTreeMap<PathBuf, Wanted>) {
        let unwanted = |path: &&PathBuf| !wanted.contains_key(*path);
        let unwanted: Vec<_> = self.nodes.keys().filter(unwanted).cloned().collect();
        for path in unwanted {
            self.remove(target, &path);
        }
    }

    /// Makes the node in the container what the host's is, with the mode that was asked for. If the
    /// host's is gone, so is the container's.
    fn show(&mut self, target: &Target<'_>, path: &Path, mode: Option<u32>) -> Result<(), Cause> {
        watch(target, path);
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
        let (user, group) = (target.user.on_host, target.user.group_on_host);
        lchown(&node.file, Some(user), Some(group))
            .map_err(failed("give away device node", &node.file))?;
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

/// Whether it is as asked that a node is not there.
fn may_lack(path: &Path, wanted: &Wanted) -> bool {
    wanted.optional && !path.exists()
}

fn watch(target: &Target<'_>, path: &Path) {
    if let Err(error) = target.watch.add(path) {
        log::warn!("cannot watch for {}: {error}", path.display());
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
