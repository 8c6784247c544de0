//! liblxc, LXC's programs and a bare spawn, with the configuration of a container of the agent.

use std::{
    fs,
    os::fd::AsFd as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::{Map, Value};
use softwarecontainer_agent::host::cgroup::OwnCgroups;
use softwarecontainer_lxc::Container;
use softwarecontainer_network::namespace;

use smol::Timer;

use crate::{
    client::Client,
    statistics::{PAUSE, Times},
    world::{RULES, World},
};

const NAME: &str = "reference";

/// Runs a program that must succeed and tells its time.
fn program(times: &mut Times, program: &str, arguments: &[&str]) {
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    times.add(started.elapsed());
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// Writes the configuration of container `id` for a container of another name that runs in the same
/// root tree.
fn write_config(world: &World, id: i32, path: &Path) {
    let config = fs::read_to_string(world.path(&format!("lxc/SC-{id}/config"))).unwrap();
    let lines = config.lines().filter_map(|line| {
        let (key, _) = line.split_once('=')?;
        match key.trim() {
            "lxc.init.cmd" => Some("lxc.init.cmd = /bin/sleep 1000".to_owned()),
            "lxc.net.0.veth.pair" => Some("lxc.net.0.veth.pair = scbref".to_owned()),
            "lxc.log.file"
            | "lxc.net.0.hwaddr"
            | "lxc.cgroup.dir.monitor"
            | "lxc.cgroup.dir.container" => None,
            _ => Some(line.to_owned()),
        }
    });
    fs::create_dir_all(path.join(NAME)).unwrap();
    let text: Vec<String> = lines.collect();
    fs::write(path.join(NAME).join("config"), text.join("\n") + "\n").unwrap();
}

/// Loads as many rules as the measured capability has in the network namespace of container `id`.
fn iptables_restore(times: &mut Times, world: &World, id: i32) {
    let container = Container::new(&format!("SC-{id}"), Some(&world.path("lxc"))).unwrap();
    let init = container.init_pid().unwrap();
    let namespace = fs::File::open(format!("/proc/{init}/ns/net")).unwrap();
    let rules =
        (0..RULES).map(|n| format!("-A OUTPUT -d 10.1.{n}.0/24 -p tcp --dport 80 -j ACCEPT\n"));
    let text = format!("*filter\n-F OUTPUT\n{}COMMIT\n", rules.collect::<String>());
    let file = world.path("rules");
    fs::write(&file, text).unwrap();
    let arguments = ["-w", "5", "--noflush", file.to_str().unwrap()];
    namespace::inside(namespace.as_fd(), || {
        program(times, "iptables-restore", &arguments);
    })
    .unwrap();
}

/// Removes what liblxc leaves of the monitors' cgroups on hosts with cgroup v1.
fn remove_cgroups(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        remove_cgroups(&entry.path());
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("lxc.monitor.reference") {
            fs::remove_dir(entry.path()).unwrap();
        }
    }
}

/// Measures all of them; the times by name.
pub async fn measure(world: &World, client: &Client, rounds: usize) -> Map<String, Value> {
    let id = client.create().await;
    let path = world.path("reference");
    write_config(world, id, &path);
    let [mut start, mut stop, mut lxc_start, mut attach, mut spawn] = [const { Times::new() }; 5];
    let lxc_path = path.to_str().unwrap();
    let home = OwnCgroups::remember().unwrap();
    for _ in 0..rounds {
        let container = Container::new(NAME, Some(&path)).unwrap();
        let away = home.enter_monitors();
        Timer::after(PAUSE).await;
        let started = Instant::now();
        container.start().unwrap();
        start.add(started.elapsed());
        drop(away);
        home.start_here(|| ());
        Timer::after(PAUSE).await;
        let started = Instant::now();
        container.stop().unwrap();
        stop.add(started.elapsed());
        drop(container);
        Timer::after(PAUSE).await;
        program(&mut lxc_start, "lxc-start", &["-P", lxc_path, "-n", NAME]);
        for _ in 0..3 {
            program(
                &mut attach,
                "lxc-attach",
                &["-P", lxc_path, "-n", NAME, "--", "/bin/true"],
            );
            program(&mut spawn, "/bin/true", &[]);
        }
        let mut ignored = Times::new();
        program(
            &mut ignored,
            "lxc-stop",
            &["-k", "-P", lxc_path, "-n", NAME],
        );
    }
    let mut restore = Times::new();
    for _ in 0..rounds {
        Timer::after(PAUSE).await;
        iptables_restore(&mut restore, world, id);
    }
    client.destroy(id).await;
    remove_cgroups(Path::new("/sys/fs/cgroup"));
    [
        ("liblxc start", start),
        ("liblxc stop", stop),
        ("lxc-start", lxc_start),
        ("lxc-attach true", attach),
        ("iptables-restore, 20 rules of one family", restore),
        ("bare spawn of true", spawn),
    ]
    .into_iter()
    .map(|(name, times)| (name.to_owned(), times.summary()))
    .collect()
}
