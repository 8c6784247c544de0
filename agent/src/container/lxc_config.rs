//! The LXC configuration of a container (lxc.container.conf(5)).

use std::path::{Path, PathBuf};

use softwarecontainer_init::{INIT_PATH, WITHOUT_LANDLOCK};

use super::{confinement, host_files, lxc_cgroups::LxcCgroups, rootfs::SystemMount, shared_memory};
use crate::host::{app_user::AppUser, process_limits::AppLimit, user_namespace::ID_RANGE};

/// Devices that every container has: null, zero, full, random, urandom, tty, ptmx and pseudo
/// terminals.
const DEVICES: [&str; 8] = [
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

/// What the configuration depends on.
#[derive(Debug)]
pub(super) struct Inputs<'a> {
    /// Where the root tree is mounted.
    pub root: &'a Path,
    /// The host's side of `/gateways`.
    pub gateways: &'a Path,
    /// Host directories that are mounted read-only.
    pub system_mounts: &'a [SystemMount],
    /// Copies of files of the host.
    pub host_files: &'a Path,
    /// Files and directories of the container that are hidden by empty ones.
    pub masked_paths: &'a [PathBuf],
    /// The first host user and group ID of the container, if it has a user namespace.
    pub id_base: Option<u32>,
    /// The user that its apps are.
    pub user: AppUser,
    /// Whether the host has the unified cgroup hierarchy only.
    pub unified_cgroups: bool,
    /// Whether Landlock is used where the kernel has it.
    pub landlock: bool,
    /// The seccomp profile, if there is one.
    pub seccomp_profile: Option<&'a Path>,
    /// How many processes and threads it may have.
    pub processes: u32,
    /// How many bytes it may write to `/dev`, if it is not up to liblxc.
    pub dev_size: Option<u64>,
    /// How many bytes of shared memory it may have.
    pub shm_size: u64,
    /// An empty directory of the host, outside of what containers see, where liblxc puts the root
    /// tree together.
    pub rootfs_mount: &'a Path,
    /// Limits of its apps that manifests may raise.
    pub app_limits: &'a [AppLimit],
    /// Where LXC writes why a start failed.
    pub log: &'a Path,
    /// The name of the init's socket in `/gateways`.
    pub init_socket: &'a str,
    /// The container's cgroups.
    pub cgroups: &'a LxcCgroups,
    /// Its part in a bound of all containers.
    pub total: Option<(&'static str, String)>,
    /// How it is connected, see
    /// [`Network::lxc_items`](softwarecontainer_network::Network::lxc_items).
    pub network: Vec<(&'static str, String)>,
}

/// The configuration's items, in order.
pub(super) fn items(inputs: &Inputs<'_>) -> Vec<(&'static str, String)> {
    let mut items = vec![
        ("lxc.log.file", inputs.log.display().to_string()),
        ("lxc.log.level", "ERROR".to_owned()),
        ("lxc.rootfs.path", format!("dir:{}", inputs.root.display())),
        // liblxc's own choice lies below /usr, where every container would see what is mounted
        // there without what hides parts of it.
        (
            "lxc.rootfs.mount",
            inputs.rootfs_mount.display().to_string(),
        ),
        ("lxc.uts.name", "contained".to_owned()),
        ("lxc.init.cmd", init_command(inputs)),
        ("lxc.pty.max", "16".to_owned()),
        ("lxc.tty.max", "0".to_owned()),
        ("lxc.console.path", "none".to_owned()),
        ("lxc.autodev", "1".to_owned()),
        ("lxc.mount.auto", "proc:mixed sys:ro".to_owned()),
        ("lxc.no_new_privs", "1".to_owned()),
        ("lxc.prlimit.core", "unlimited".to_owned()),
        (
            "lxc.environment",
            "PATH=/bin:/sbin:/usr/bin:/usr/sbin".to_owned(),
        ),
    ];
    if let Some(size) = inputs.dev_size {
        items.push(("lxc.autodev.tmpfs.size", size.to_string()));
    }
    items.extend(confinement::lxc_items(inputs.app_limits));
    items.extend(inputs.network.iter().cloned());
    mounts(inputs, &mut items);
    cgroups(inputs, &mut items);
    if let Some(base) = inputs.id_base {
        for (kind, own) in [("u", inputs.user.on_host), ("g", inputs.user.group_on_host)] {
            let maps = id_maps(base, inputs.user.inside, own);
            let maps = maps.map(|map| ("lxc.idmap", format!("{kind} {map}")));
            items.extend(maps);
        }
    }
    if let Some(profile) = inputs.seccomp_profile {
        items.push(("lxc.seccomp.profile", profile.display().to_string()));
    }
    items
}

/// The container's IDs, from `base` on, but for the app's own: first inside, first on the host, and
/// how many.
fn id_maps(base: u32, app: u32, app_on_host: u32) -> impl Iterator<Item = String> {
    let maps = if app_on_host == base + app {
        vec![(0, base, ID_RANGE)]
    } else {
        let next = app + 1;
        vec![
            (0, base, app),
            (app, app_on_host, 1),
            (next, base + next, ID_RANGE - next),
        ]
    };
    let maps = maps.into_iter().filter(|(_, _, count)| *count > 0);
    maps.map(|(inside, on_host, count)| format!("{inside} {on_host} {count}"))
}

fn init_command(inputs: &Inputs<'_>) -> String {
    let command = format!("{INIT_PATH} /gateways/{}", inputs.init_socket);
    if inputs.landlock {
        command
    } else {
        format!("{command} {WITHOUT_LANDLOCK}")
    }
}

fn mounts(inputs: &Inputs<'_>, items: &mut Vec<(&'static str, String)>) {
    for SystemMount { host, inside } in inputs.system_mounts {
        let target = inside.strip_prefix("/").unwrap_or(inside);
        items.push(entry(host, target, "rbind,ro,nosuid,nodev"));
    }
    items.push(entry(
        inputs.gateways,
        Path::new("gateways"),
        "bind,nosuid,nodev",
    ));
    items.push(entry(
        inputs.host_files,
        Path::new(host_files::INSIDE.trim_start_matches('/')),
        "bind,ro,nosuid,nodev,noexec",
    ));
    items.push(shared_memory::item(inputs.shm_size));
    for path in inputs.masked_paths {
        let target = path.strip_prefix("/").unwrap_or(path);
        // The host has the same files there.
        if path.is_dir() {
            let options = "ro,nosuid,nodev,noexec,size=0,nr_inodes=1,optional";
            let text = format!("tmpfs {} tmpfs {options} 0 0", escaped(target));
            items.push(("lxc.mount.entry", text));
        } else {
            items.push(entry(Path::new("/dev/null"), target, "bind,optional"));
        }
    }
}

fn entry(source: &Path, target: &Path, options: &str) -> (&'static str, String) {
    let text = format!("{} {} none {options} 0 0", escaped(source), escaped(target));
    ("lxc.mount.entry", text)
}

/// As fstab(5) wants blanks written.
fn escaped(path: &Path) -> String {
    path.display()
        .to_string()
        .replace('\\', "\\134")
        .replace(' ', "\\040")
        .replace('\t', "\\011")
}

fn cgroups(inputs: &Inputs<'_>, items: &mut Vec<(&'static str, String)>) {
    let (deny, allow, processes) = if inputs.unified_cgroups {
        (
            "lxc.cgroup2.devices.deny",
            "lxc.cgroup2.devices.allow",
            "lxc.cgroup2.pids.max",
        )
    } else {
        (
            "lxc.cgroup.devices.deny",
            "lxc.cgroup.devices.allow",
            "lxc.cgroup.pids.max",
        )
    };
    items.extend(inputs.cgroups.items());
    items.push((deny, "a".to_owned()));
    items.extend(DEVICES.map(|device| (allow, device.to_owned())));
    items.push((processes, inputs.processes.to_string()));
    items.extend(inputs.total.clone());
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::{container::cgroup_parents::Parents, host::user_namespace::FIRST_ID};

    static CGROUPS: LazyLock<LxcCgroups> =
        LazyLock::new(|| LxcCgroups::of(&Parents::called("lxc"), "SC-0"));

    fn inputs(system_mounts: &[SystemMount]) -> Inputs<'_> {
        Inputs {
            root: Path::new("/run/sc/SC-0/rootfs"),
            gateways: Path::new("/run/sc/SC-0/gateways"),
            system_mounts,
            host_files: Path::new("/run/sc/host-files/etc"),
            masked_paths: &[],
            id_base: Some(FIRST_ID),
            user: AppUser::new(FIRST_ID, 0),
            unified_cgroups: true,
            landlock: true,
            seccomp_profile: None,
            processes: 1024,
            dev_size: None,
            shm_size: 64 << 20,
            rootfs_mount: Path::new("/run/sc/SC-0/root"),
            app_limits: &[],
            log: Path::new("/run/sc/SC-0/lxc.log"),
            init_socket: ".init",
            cgroups: &CGROUPS,
            total: None,
            network: Vec::new(),
        }
    }

    #[test]
    fn device_rules_are_written_for_the_hierarchy_that_the_host_has() {
        let mut v1 = inputs(&[]);
        v1.unified_cgroups = false;
        assert!(
            items(&v1)
                .iter()
                .any(|(key, value)| *key == "lxc.cgroup.devices.deny" && value == "a")
        );
        assert!(
            !items(&v1)
                .iter()
                .any(|(key, _)| key.starts_with("lxc.cgroup2."))
        );
        assert!(
            !items(&inputs(&[]))
                .iter()
                .any(|(key, _)| key.starts_with("lxc.cgroup.") && !key.contains(".dir."))
        );
    }

    #[test]
    fn a_user_of_the_host_is_mapped_to_the_app_and_all_others_are_the_containers_own() {
        let maps = |user| {
            let items = items(&Inputs {
                user,
                ..inputs(&[])
            });
            let maps = items.into_iter().filter(|(key, _)| *key == "lxc.idmap");
            maps.map(|(_, map)| map).collect::<Vec<_>>()
        };
        let user = AppUser::new(FIRST_ID, 1000);
        let whole = format!("{FIRST_ID} 65536");
        assert_eq!(maps(user), [format!("u 0 {whole}"), format!("g 0 {whole}")]);
        let rest = format!("1001 {} 64535", FIRST_ID + 1001);
        let wanted = [
            format!("u 0 {FIRST_ID} 1000"),
            "u 1000 2001 1".to_owned(),
            format!("u {rest}"),
            format!("g 0 {FIRST_ID} 1000"),
            "g 1000 100 1".to_owned(),
            format!("g {rest}"),
        ];
        assert_eq!(maps(user.being(2001, 100)), wanted);
    }

    #[test]
    fn blanks_in_paths_survive_the_mount_table() {
        let directories = [SystemMount {
            host: "/opt/my apps".into(),
            inside: "/run/host/my apps".into(),
        }];
        let wanted = "/opt/my\\040apps run/host/my\\040apps none rbind,ro,nosuid,nodev 0 0";
        assert!(
            items(&inputs(&directories))
                .iter()
                .any(|(_, value)| value == wanted)
        );
    }
}
