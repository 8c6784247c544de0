//! Everything of which something could be left.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    support::{TestAgent, wait_until},
    victims::{children, monitors},
};

/// What there is of each kind, as lines that say what.
#[derive(Debug)]
pub struct Tables(BTreeMap<&'static str, Vec<String>>);

impl Tables {
    /// As they are now.
    pub fn now(agent: &TestAgent) -> Self {
        let own = format!("/proc/{}", agent.pid());
        let mut mounts = agent.mounts();
        mounts.retain(|line| line.contains("SC-"));
        let processes = children(agent.pid()).into_iter().chain(monitors(agent));
        Self(BTreeMap::from([
            ("cgroups", cgroups(agent)),
            ("links", links(agent)),
            ("mounts", mounts),
            ("rules", rules(agent)),
            ("directories of LXC", names(&agent.path("lxc"))),
            ("directories of containers", names(&agent.path("mounts"))),
            ("processes", processes.map(|pid| pid.to_string()).collect()),
            ("descriptors", links_in(&format!("{own}/fd"))),
            ("threads", names(Path::new(&format!("{own}/task")))),
        ]))
    }

    /// As they are once nothing changes any more: threads end after a while without work.
    pub fn settled(agent: &TestAgent) -> Self {
        let mut counts = Self::now(agent).counts();
        wait_until("nothing changes any more", || {
            std::thread::sleep(Duration::from_millis(500));
            let before = std::mem::replace(&mut counts, Self::now(agent).counts());
            before == counts
        });
        Self::now(agent)
    }

    fn counts(&self) -> Vec<usize> {
        self.0.values().map(Vec::len).collect()
    }

    /// What there is more of than in `idle`; nothing if that is empty.
    pub fn excess(&self, idle: &Self) -> String {
        let excess = self
            .0
            .iter()
            .filter(|(kind, lines)| lines.len() > idle.0[*kind].len());
        let lines =
            excess.map(|(kind, lines)| format!("{kind}: {lines:#?}, not {:#?}\n", idle.0[kind]));
        lines.collect()
    }
}

pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}

fn links_in(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    links.map(|link| link.display().to_string()).collect()
}

/// The bridge and the hosts' ends of containers.
fn links(agent: &TestAgent) -> Vec<String> {
    let mut names = names(Path::new("/sys/class/net"));
    names.retain(|name| name.contains(&agent.bridge));
    names
}

/// The cgroups of the agent's containers and of their monitors, in every hierarchy.
fn cgroups(agent: &TestAgent) -> Vec<String> {
    fn look(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
        for name in names(directory) {
            let path = directory.join(name);
            if depth > 0 && path.is_dir() {
                look(&path, depth - 1, found);
                found.push(path);
            }
        }
    }
    // What they are in is called after the device and the inode of LXC's directory.
    let lxc = fs::metadata(agent.path("lxc")).unwrap();
    let parent = format!("/lxc-{:x}-{:x}", lxc.dev(), lxc.ino());
    let mut found = Vec::new();
    look(Path::new("/sys/fs/cgroup"), 6, &mut found);
    let paths = found.iter().map(|path| path.display().to_string());
    paths
        .filter(|it| it.contains(&parent) && it.contains("/SC-"))
        .collect()
}

fn rules(agent: &TestAgent) -> Vec<String> {
    let output = Command::new("nft")
        .args(["--stateless", "list", "ruleset"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let own = text.lines().filter(|line| line.contains(&agent.bridge));
    own.map(str::to_owned).collect()
}
