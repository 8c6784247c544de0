//! The cgroups gateway on a cgroup of the test's own, with processes that run into its limits.

#![cfg(all(feature = "gateway-cgroups", feature = "gateway-network"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod unable;
#[path = "../../network/tests/world/mod.rs"]
mod world;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use softwarecontainer_agent::{
    gateway::cgroups::ContainerCgroup,
    host::cgroup::{Cgroups, Version},
};
use softwarecontainer_capability::{
    Settings,
    gateway::cgroups::{CgroupValue, CgroupsSettings},
};
use world::World;

/// A cgroup in the hierarchies of some controllers, with a process in it that stands for a
/// container's init.
struct Cage {
    directories: BTreeSet<PathBuf>,
    init: Child,
}

impl Cage {
    fn new(name: &str) -> Self {
        let own = Cgroups::of_process(std::process::id()).unwrap();
        let mut directories = BTreeSet::new();
        for controller in ["memory", "cpu", "pids", "hugetlb"] {
            let parent = own.directory(controller).unwrap();
            if own.version(controller) == Some(Version::V2) {
                // Where the test itself is in the root cgroup; elsewhere this needs delegation.
                fs::write(
                    parent.join("cgroup.subtree_control"),
                    format!("+{controller}"),
                )
                .unwrap();
            }
            let directory = parent.join(format!("sc-test-{}-{name}", std::process::id()));
            let _ = fs::create_dir(&directory);
            directories.insert(directory);
        }
        let init = Command::new("sleep").arg("1000").spawn().unwrap();
        let this = Self { directories, init };
        this.add(this.init.id());
        this
    }

    fn add(&self, pid: u32) {
        for directory in &self.directories {
            fs::write(directory.join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }

    /// Runs a shell script in the cgroup.
    fn run(&self, script: &str) -> Child {
        let join: Vec<String> = self
            .directories
            .iter()
            .map(|directory| format!("echo $$ > {}/cgroup.procs", directory.display()))
            .collect();
        Command::new("sh")
            .args(["-c", &format!("{}; {script}", join.join("; "))])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn set(
        &self,
        limits: &mut ContainerCgroup,
        world: &World,
        pairs: &[(&str, &str)],
    ) -> Result<(), String> {
        let mut settings = CgroupsSettings::default();
        for (setting, value) in pairs {
            let element = json!({"setting": setting, "value": value});
            let merged = settings.merge(element.as_object().unwrap());
            merged.map_err(|error| error.to_string())?;
        }
        self.apply(limits, world, &settings)
    }

    fn apply(
        &self,
        limits: &mut ContainerCgroup,
        world: &World,
        settings: &CgroupsSettings,
    ) -> Result<(), String> {
        let change = || limits.set(&world.network, 0, self.init.id(), settings);
        world.host.run(change).map_err(|error| error.to_string())
    }

    /// What a file of the cgroup says.
    fn read(&self, file: &str) -> String {
        let found = self
            .directories
            .iter()
            .find_map(|directory| fs::read_to_string(directory.join(file)).ok());
        found.unwrap_or_else(|| panic!("{file}")).trim().to_owned()
    }

    fn memory_limit(&self) -> String {
        let v1 = self
            .directories
            .iter()
            .any(|one| one.join("memory.limit_in_bytes").exists());
        self.read(if v1 {
            "memory.limit_in_bytes"
        } else {
            "memory.max"
        })
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        let _ = self.init.kill();
        let _ = self.init.wait();
        for directory in &self.directories {
            for _ in 0..100 {
                if fs::remove_dir(directory).is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// `tail` keeps everything that it reads in memory.
fn eat(megabytes: u32) -> String {
    format!("head -c {megabytes}M /dev/zero | tail -c {megabytes}M; exit $?")
}

#[test]
fn an_app_that_wants_more_memory_than_allowed_is_killed_and_one_within_is_not() {
    let (world, container) = (World::new(), Cage::new("memory"));
    let mut limits = ContainerCgroup::default();
    container
        .set(&mut limits, &world, &[("memory.limit_in_bytes", "40M")])
        .unwrap();
    assert_eq!(container.memory_limit(), (40 << 20).to_string());
    let within = container.run(&eat(10)).wait().unwrap();
    assert!(within.success(), "{within}");
    let beyond = container.run(&format!("({})", eat(80))).wait().unwrap();
    assert!(!beyond.success(), "{beyond}");
    assert!(
        beyond.code() == Some(137) || beyond.signal() == Some(9),
        "{beyond}"
    );
}

#[test]
fn a_limit_below_what_is_used_is_an_error_and_changes_nothing() {
    let (world, container) = (World::new(), Cage::new("busy"));
    let mut limits = ContainerCgroup::default();
    container
        .set(&mut limits, &world, &[("pids.max", "50")])
        .unwrap();
    let unlimited = container.memory_limit();
    // Holds 30 MiB until it is killed.
    let mut eater =
        container.run("exec python3 -c 'x = bytearray(30 << 20); import time; time.sleep(100)'");
    let usage = if container
        .directories
        .iter()
        .any(|one| one.join("memory.usage_in_bytes").exists())
    {
        "memory.usage_in_bytes"
    } else {
        "memory.current"
    };
    let end = Instant::now() + Duration::from_secs(10);
    while container.read(usage).parse::<u64>().unwrap() < 30 << 20 {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(20));
    }
    let error = container
        .set(
            &mut limits,
            &world,
            &[
                ("pids.max", "60"),
                ("cpu.shares", "512"),
                ("memory.limit_in_bytes", "8M"),
                ("zzz.last", "1"),
            ],
        )
        .unwrap_err();
    assert!(
        error.contains("memory.") && error.contains("already uses"),
        "{error}"
    );
    assert_eq!(container.memory_limit(), unlimited);
    assert_eq!(container.read("pids.max"), "50");
    assert!(eater.try_wait().unwrap().is_none(), "the app was killed");
    eater.kill().unwrap();
    eater.wait().unwrap();
}

#[test]
fn a_setting_that_this_host_does_not_have_is_an_error_and_changes_nothing() {
    let (world, container) = (World::new(), Cage::new("unknown"));
    let mut limits = ContainerCgroup::default();
    let before = (container.read("pids.max"), container.memory_limit());
    for bad in [
        ("pids.no_such_file", "1"),
        ("memory.limit_in_megabytes", "1"),
    ] {
        let error = container
            .set(
                &mut limits,
                &world,
                &[("memory.limit_in_bytes", "100M"), ("pids.max", "9"), bad],
            )
            .unwrap_err();
        assert!(error.contains(bad.0), "{error}");
        assert_eq!(
            (container.read("pids.max"), container.memory_limit()),
            before
        );
    }
    // A manifest's value is judged before; what the kernel says is told all the same.
    let mut settings = CgroupsSettings::default();
    let many = CgroupValue::Text("many".to_owned());
    settings.values.insert("pids.max".to_owned(), many);
    let error = container.apply(&mut limits, &world, &settings).unwrap_err();
    assert!(
        error.contains("\"many\"") && error.contains("pids.max"),
        "{error}"
    );
    assert_eq!(
        (container.read("pids.max"), container.memory_limit()),
        before
    );
    let refused = container.set(&mut limits, &world, &[("pids.max", "many")]);
    let error = refused.unwrap_err();
    assert!(
        error.ends_with("config.value: \"many\" is not a whole number"),
        "{error}"
    );
}

#[test]
fn taking_the_settings_back_restores_what_was_before() {
    let (world, container) = (World::new(), Cage::new("back"));
    let mut limits = ContainerCgroup::default();
    let before = (container.read("pids.max"), container.memory_limit());
    let some = [("pids.max", "9"), ("memory.limit_in_bytes", "100M")];
    container.set(&mut limits, &world, &some).unwrap();
    container
        .set(&mut limits, &world, &[("memory.limit_in_bytes", "200M")])
        .unwrap();
    assert_eq!(container.memory_limit(), (200 << 20).to_string());
    assert_eq!(container.read("pids.max"), before.0);
    container.set(&mut limits, &world, &[]).unwrap();
    assert_eq!(
        (container.read("pids.max"), container.memory_limit()),
        before
    );
}

#[test]
fn on_a_hybrid_host_controllers_of_v2_work_beside_those_of_v1() {
    let own = Cgroups::of_process(std::process::id()).unwrap();
    if own.version("memory") != Some(Version::V1) || own.version("hugetlb") != Some(Version::V2) {
        unable::note("the host is not hybrid (cgroup v1 and v2)");
        return;
    }
    let (world, container) = (World::new(), Cage::new("hybrid"));
    let mut limits = ContainerCgroup::default();
    let both = [
        ("memory.limit_in_bytes", "100M"),
        ("hugetlb.2MB.max", "4194304"),
    ];
    container.set(&mut limits, &world, &both).unwrap();
    assert_eq!(container.read("hugetlb.2MB.max"), "4194304");
    assert_eq!(container.memory_limit(), (100 << 20).to_string());
    container.set(&mut limits, &world, &[]).unwrap();
    assert_eq!(container.read("hugetlb.2MB.max"), "max");
}

#[test]
fn two_busy_containers_share_a_processor_as_told() {
    let world = World::new();
    let (large, small) = (Cage::new("large"), Cage::new("small"));
    large
        .set(
            &mut ContainerCgroup::default(),
            &world,
            &[("cpu.shares", "2048")],
        )
        .unwrap();
    small
        .set(
            &mut ContainerCgroup::default(),
            &world,
            &[("cpu.shares", "512")],
        )
        .unwrap();
    let spin = "exec taskset -c 0 sh -c 'while :; do :; done'";
    let mut children = [large.run(spin), small.run(spin)];
    // In clock ticks, see proc_pid_stat(5).
    let used = |child: &Child| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap()
    };
    std::thread::sleep(Duration::from_millis(300));
    let start = [used(&children[0]), used(&children[1])];
    // Others may use the processor too: measure until there is enough.
    let end = Instant::now() + Duration::from_secs(30);
    let (a, b) = loop {
        std::thread::sleep(Duration::from_millis(200));
        let (a, b) = (used(&children[0]) - start[0], used(&children[1]) - start[1]);
        if a + b > 200 || Instant::now() > end {
            break (a, b);
        }
    };
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let ratio = f64::from(a) / f64::from(b.max(1));
    println!("{a} : {b} ticks");
    assert!(
        (3.0..=5.3).contains(&ratio),
        "{a} : {b}, where 4 : 1 is wanted"
    );
}
