//! A real agent on a bus of its own, with directories of its own, for integration tests. Everything
//! ends with the test.
//!
//! Tests need root and the packages that scripts/setup-debian.sh installs.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod client;
pub mod introspection;
pub mod supervisor;

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use tempfile::TempDir;

pub use supervisor::Supervisor;

#[allow(unused_imports)]
pub use client::{Arrival, Client, Ended};

/// How long anything that should happen may take before a test gives up;
/// SOFTWARECONTAINER_TEST_PATIENCE, in seconds, is for emulated machines.
pub static PATIENCE: LazyLock<Duration> = LazyLock::new(|| {
    let seconds = std::env::var("SOFTWARECONTAINER_TEST_PATIENCE");
    Duration::from_secs(seconds.map_or(20, |seconds| seconds.parse().unwrap()))
});

/// The profile that is installed with the agent.
const SECCOMP_PROFILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/seccomp/softwarecontainer.seccomp"
);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// What is to be different from a plain agent.
#[derive(Default)]
pub struct Setup {
    /// More lines for the group `[SoftwareContainer]`.
    pub config: String,
    /// Manifest files that launchers choose from: name and content.
    pub manifests: Vec<(String, String)>,
    /// Manifest files that are always applied.
    pub default_manifests: Vec<(String, String)>,
    /// More of the bus's configuration.
    pub bus: String,
    /// More environment variables for the agent.
    pub environment: Vec<(String, String)>,
    /// What the agent's process does before it becomes the agent: enters a network namespace, for
    /// example.
    pub before: Option<Before>,
    /// A service manager keeps the agent's descriptors.
    pub supervised: bool,
}

/// Work in a process that was just forked: system calls only.
pub type Before = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Gives the agent a mount namespace of its own, in which `source` is mounted on `target`.
pub fn mounted_for_the_agent(source: &Path, target: &Path) -> Before {
    let (source, target) = (source.to_owned(), target.to_owned());
    Arc::new(move || {
        let none = None::<&str>;
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)?;
        mount(Some(&source), &target, none, MsFlags::MS_BIND, none)?;
        Ok(())
    })
}

impl Setup {
    /// With one manifest.
    pub fn manifest(content: &str) -> Self {
        Self {
            manifests: vec![("test.json".to_owned(), content.to_owned())],
            ..Self::default()
        }
    }
}

/// A running agent, its bus and its directories.
pub struct TestAgent {
    bus: Child,
    agent: Option<Child>,
    client: Option<Client>,
    address: String,
    environment: Vec<(String, String)>,
    before: Option<Before>,
    supervisor: Option<Supervisor>,
    dir: TempDir,
    /// The agent's bridge.
    pub bridge: String,
    /// The third number of the bridge's network, 10.<second>.<third>.0/24.
    pub network: (u8, u8),
}

impl TestAgent {
    /// An agent with no manifests.
    pub fn start() -> Self {
        Self::with(&Setup::default())
    }

    /// An agent as `setup` says.
    pub fn with(setup: &Setup) -> Self {
        let mut prepared = Self::prepared(setup);
        prepared.start_agent();
        prepared
    }

    /// A bus and everything else for an agent that does not run yet.
    pub fn prepared(setup: &Setup) -> Self {
        let dir = TempDir::with_prefix("sc-test-").unwrap();
        // Containers' user IDs must be able to reach their root trees.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let unique = std::process::id().wrapping_mul(8).wrapping_add(number % 8);
        let bridge = format!("sct{:x}-{number}", std::process::id() & 0xffff);
        let network = (
            u8::try_from(100 + unique / 250 % 100).unwrap(),
            u8::try_from(unique % 250).unwrap(),
        );
        for (name, files) in [
            ("manifests", &setup.manifests),
            ("default-manifests", &setup.default_manifests),
        ] {
            fs::create_dir(dir.path().join(name)).unwrap();
            for (file, content) in files {
                fs::write(dir.path().join(name).join(file), content).unwrap();
            }
        }
        fs::create_dir(dir.path().join("lxc")).unwrap();
        let path = dir.path().display();
        let (second, third) = network;
        let config = format!(
            "[SoftwareContainer]\n\
             use-session-bus = true\n\
             shared-mounts-dir = {path}/mounts\n\
             lxc-path = {path}/lxc\n\
             service-manifest-dir = {path}/manifests\n\
             default-service-manifest-dir = {path}/default-manifests\n\
             bridge-device = {bridge}\n\
             bridge-ip = 10.{second}.{third}.1\n\
             bridge-netaddr = 10.{second}.{third}.0\n\
             seccomp-profile = {SECCOMP_PROFILE}\n\
             {}\n",
            setup.config
        );
        fs::write(dir.path().join("config"), config).unwrap();
        let (bus, address) = start_bus(dir.path(), &setup.bus);
        Self {
            bus,
            agent: None,
            client: None,
            address,
            environment: setup.environment.clone(),
            before: setup.before.clone(),
            supervisor: setup
                .supervised
                .then(|| Supervisor::start(dir.path().join("notify"))),
            dir,
            bridge,
            network,
        }
    }

    /// A command that runs the agent program as this test has it set up.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_softwarecontainer-agent"));
        command
            .arg("--config")
            .arg(self.path("config"))
            .current_dir(self.dir.path())
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("SOFTWARECONTAINER_INIT", init_program())
            .envs(self.environment.iter().cloned());
        self.enter(&mut command);
        command
    }

    /// Makes `command` run where the agent runs.
    fn enter(&self, command: &mut Command) {
        if let Some(before) = self.before.clone() {
            // SAFETY: `before` promises to do system calls only.
            unsafe { command.pre_exec(move || before()) };
        }
    }

    /// Starts the agent again after [`Self::kill`] or [`Self::stop`], and waits until it can be
    /// called.
    pub fn start_agent(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let mut command = self.command();
        if let Some(supervisor) = &self.supervisor {
            command = supervisor.handing_over(&command);
            self.enter(&mut command);
        }
        let child = command.stderr(log).spawn().unwrap();
        self.agent = Some(child);
        let deadline = Instant::now() + *PATIENCE;
        let client = Client::connect(&self.address);
        while client.list().is_err() {
            if let Some(status) = self.agent.as_mut().unwrap().try_wait().unwrap() {
                panic!("the agent ended with {status}: {}", self.log());
            }
            assert!(
                Instant::now() < deadline,
                "the agent does not answer: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        self.client = Some(client);
    }

    /// Who keeps the agent's descriptors.
    pub fn supervisor(&self) -> &Supervisor {
        self.supervisor.as_ref().unwrap()
    }

    /// A client of the agent.
    pub fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    /// A further client with a connection of its own.
    pub fn new_client(&self) -> Client {
        Client::connect(&self.address)
    }

    /// A client that another user runs.
    pub fn client_of(&self, user: u32) -> Client {
        Client::connect_as(&self.address, user)
    }

    /// The bus's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The agent's process ID.
    pub fn pid(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }

    /// A path in the test's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the agent has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Ends the bus, as if it had crashed.
    pub fn kill_bus(&mut self) {
        self.bus.kill().unwrap();
        self.bus.wait().unwrap();
    }

    /// Waits until the agent ends by itself; its exit status.
    pub fn wait_agent(&mut self) -> Option<i32> {
        self.wait_agent_beyond(Duration::ZERO)
    }

    /// As [`Self::wait_agent`], where the agent itself waits for something, `limit` at most.
    pub fn wait_agent_beyond(&mut self, limit: Duration) -> Option<i32> {
        let mut agent = self.agent.take().unwrap();
        let deadline = Instant::now() + limit + *PATIENCE;
        while !matches!(agent.try_wait(), Ok(Some(_))) {
            assert!(
                Instant::now() < deadline,
                "waited in vain until the agent ends"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        agent.wait().unwrap().code()
    }

    /// Ends the agent with SIGKILL.
    pub fn kill(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
    }

    /// Ends the agent with SIGTERM; its exit status.
    pub fn stop(&mut self) -> Option<i32> {
        let mut agent = self.agent.take().unwrap();
        signal(agent.id(), "TERM");
        wait_until("the agent ends", || matches!(agent.try_wait(), Ok(Some(_))));
        agent.wait().unwrap().code()
    }

    /// Makes a container without write buffer.
    pub fn create(&self) -> i32 {
        self.client()
            .create(r#"[{"writeBufferEnabled": false}]"#)
            .unwrap()
    }

    /// Runs a shell command in a container until it ends; its wait status and what it printed.
    pub fn shell(&self, id: i32, script: &str) -> (u32, String) {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let name = format!("output-{}", RUNS.fetch_add(1, Ordering::Relaxed));
        let output = self.path(&name);
        let quoted = script.replace('\'', r"'\''");
        let command = format!("/bin/sh -c '{quoted}'");
        let pid = self
            .client()
            .execute(id, &command, "", output.to_str().unwrap(), &[])
            .unwrap();
        let ended = self.client().wait_ended(id, pid);
        let text = String::from_utf8_lossy(&fs::read(&output).unwrap()).into_owned();
        (ended.exit_code, text)
    }

    /// What a shell command that must succeed in a container printed, without the last line break.
    pub fn shell_ok(&self, id: i32, script: &str) -> String {
        let (status, output) = self.shell(id, script);
        assert_eq!(status, 0, "{script}: {output}");
        output.trim_end().to_owned()
    }

    /// The host's directory of a container.
    pub fn container_dir(&self, id: i32) -> PathBuf {
        self.path(&format!("mounts/SC-{id}"))
    }

    /// The process ID of a container's init.
    pub fn init_pid(&self, id: i32) -> u32 {
        // It asks the container's monitor, whose socket belongs to the agent's network namespace.
        let mut command = Command::new("lxc-info");
        self.enter(&mut command);
        let output = command
            .args(["-P", self.path("lxc").to_str().unwrap(), "-n"])
            .arg(format!("SC-{id}"))
            .args(["-p", "-H"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .unwrap()
    }

    /// Mounts of this test that are left.
    pub fn mounts(&self) -> Vec<String> {
        let own = self.dir.path().to_str().unwrap().to_owned();
        fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .lines()
            .filter(|line| line.contains(&own))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for TestAgent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of the agent:\n{}", self.log());
        }
        if let Some(mut agent) = self.agent.take() {
            signal(agent.id(), "TERM");
            let deadline = Instant::now() + *PATIENCE;
            while !matches!(agent.try_wait(), Ok(Some(_))) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = agent.kill();
            let _ = agent.wait();
        }
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

/// A cgroup at the time when it was looked at.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    inode: u64,
}

impl Cgroup {
    /// Whether it is still there, and not one that an agent of somebody else has made in its place.
    pub fn exists(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode)
    }
}

/// The cgroups of a process in a container that belong to the container.
pub fn cgroups_of(pid: u32) -> Vec<Cgroup> {
    use std::os::unix::fs::MetadataExt as _;
    let list = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let hybrid = Path::new("/sys/fs/cgroup/unified").exists();
    let directories = list.lines().map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap(), parts.next().unwrap());
        let controllers = controllers.trim_start_matches("name=");
        let unified = controllers.is_empty() && hybrid;
        let hierarchy = if unified { "unified" } else { controllers };
        Path::new("/sys/fs/cgroup")
            .join(hierarchy)
            .join(path.trim_start_matches('/'))
    });
    directories
        .filter(|path| path.to_str().unwrap().contains("SC-"))
        .filter_map(|path| {
            let inode = fs::metadata(&path).ok()?.ino();
            Some(Cgroup { path, inode })
        })
        .collect()
}

/// Waits until `happened` is true.
pub fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + *PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal by its name.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(sent.unwrap().success(), "kill -{name} {pid}");
}

/// Whether a process exists.
pub fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// The init's program file, built beside the agent's; `cargo test` builds only what a package
/// itself has.
fn init_program() -> PathBuf {
    let agent = Path::new(env!("CARGO_BIN_EXE_softwarecontainer-agent"));
    let init = agent.with_file_name("softwarecontainer-init");
    assert!(
        init.exists(),
        "{} is missing: run `cargo build --workspace` first, as `make test` does",
        init.display()
    );
    init
}

/// A session bus that lets every user in, so that launchers of several users can be played.
const BUS_CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>ADDRESS</listen><policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
</policy>MORE</busconfig>"#;

fn start_bus(dir: &Path, more: &str) -> (Child, String) {
    let config = dir.join("bus.conf");
    let address = format!("unix:path={}/bus", dir.display());
    fs::write(
        &config,
        BUS_CONFIG
            .replace("ADDRESS", &address)
            .replace("MORE", more),
    )
    .unwrap();
    let mut bus = Command::new("dbus-daemon")
        .args(["--nofork", "--print-address=1"])
        .arg(format!("--config-file={}", config.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("dbus-daemon");
    let mut address = String::new();
    BufReader::new(bus.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    (bus, address.trim().to_owned())
}
