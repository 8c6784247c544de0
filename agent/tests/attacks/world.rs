//! An agent that several attacks share, and the container of each.

use std::{
    fs,
    process::{Child, Command},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::support::{Setup, TestAgent, is_alive, wait_until};

static SHARED: Mutex<Weak<TestAgent>> = Mutex::new(Weak::new());
/// Names what is switched off, separated by commas; only for scripts/protections.sh.
const WITHOUT: &str = "SOFTWARECONTAINER_ATTACKS_WITHOUT";
/// The capability whose memory limit holds a memory bomb.
pub const MEMORY_LIMIT: &str = "test.memory";
/// The limit of [`MEMORY_LIMIT`], in MiB.
pub const MEMORY: u32 = 64;

/// An attacker in a container of its own.
pub struct Attack {
    pub agent: Arc<TestAgent>,
    pub id: i32,
    victim: Child,
}

impl Attack {
    /// A new container that holds the attacker's program.
    pub fn new() -> Self {
        let agent = shared();
        let options = if without("tmpfs-limits") {
            r#"[{"writeBufferEnabled": false, "temporaryFileSystemWriteBufferEnabled": true, "temporaryFileSystemSize": 1073741824}]"#
        } else {
            r#"[{"writeBufferEnabled": false}]"#
        };
        let id = agent.client().create(options).unwrap();
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attacks/attacker.py");
        agent
            .client()
            .bind_mount(id, program, "/attacker.py", true)
            .unwrap();
        let victim = Command::new("sleep").arg("600").spawn().unwrap();
        Self { agent, id, victim }
    }

    /// What an attempt printed: its last line tells how it ended.
    pub fn attempt(&self, arguments: &str) -> String {
        let script = format!("exec python3 -I -B /attacker.py {arguments} 2>&1");
        let (_, output) = self.agent.shell(self.id, &script);
        self.check_health();
        output.trim().to_owned()
    }

    /// Makes an attempt that must be refused with one of these errors.
    pub fn refused(&self, arguments: &str, errors: &[&str]) {
        let output = self.attempt(arguments);
        let last = output.lines().last().unwrap_or_default();
        assert!(
            errors
                .iter()
                .any(|error| last == format!("refused {error}")),
            "{arguments} should be refused with {errors:?}, but: {output}"
        );
    }

    /// A process of the host.
    pub fn victim(&self) -> u32 {
        self.victim.id()
    }

    /// The host, the agent and other containers go on.
    pub fn check_health(&self) {
        assert!(is_alive(self.victim.id()));
        // Just started it may still be on its way to sleep.
        wait_until("the host's process sleeps", || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.victim.id())).unwrap();
            stat.contains(") S ")
        });
        assert!(is_alive(self.agent.pid()));
        assert!(self.agent.client().list().unwrap().contains(&self.id));
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        let destroyed = self.agent.client().destroy(self.id);
        let _ = self.victim.kill();
        let _ = self.victim.wait();
        if !std::thread::panicking() {
            destroyed.unwrap();
        }
    }
}

/// Makes one attempt in a container of its own.
pub fn refused(arguments: &str, errors: &[&str]) {
    Attack::new().refused(arguments, errors);
}

fn shared() -> Arc<TestAgent> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(agent) = shared.upgrade() {
        return agent;
    }
    let agent = Arc::new(TestAgent::with(&setup()));
    *shared = Arc::downgrade(&agent);
    agent
}

/// Whether a protection is switched off.
pub fn without(protection: &str) -> bool {
    let all = std::env::var(WITHOUT).unwrap_or_default();
    all.split(',').any(|name| name == protection)
}

fn setup() -> Setup {
    let manifest = format!(
        r#"{{"version": "1", "capabilities": [{{"name": "{MEMORY_LIMIT}", "gateways": [
            {{"id": "cgroups", "config": [{{"setting": "memory.limit_in_bytes", "value": "{MEMORY}M"}}]}}]}}]}}"#
    );
    let mut setup = Setup::manifest(&manifest);
    let without = std::env::var(WITHOUT).unwrap_or_default();
    let mut extra = String::new();
    for protection in without.split(',').filter(|name| !name.is_empty()) {
        match protection {
            "user-namespace" => setup.config += "user-namespace = off\n",
            "seccomp" => setup.config += "seccomp-profile =\n",
            "landlock" => setup.config += "landlock = off\n",
            "capabilities" => extra += "lxc.cap.keep =\n",
            "no-new-privileges" => extra += "lxc.no_new_privs = 0\n",
            "masked-paths" => setup.config += "masked-paths =\n",
            // The root tree's size is up to Attack::new.
            "tmpfs-limits" => extra += "lxc.autodev.tmpfs.size = 1073741824\n",
            "read-only" => extra += "lxc.mount.auto =\nlxc.mount.auto = proc:rw sys:rw\n",
            "devices" if unified() => extra += "lxc.cgroup2.devices.allow = a\n",
            "devices" => extra += "lxc.cgroup.devices.allow = a\n",
            "limits" => {
                setup.config += "max-processes = 8000\nmax-open-files = 8192\n";
            }
            name if crate::media::PROTECTIONS.contains(&name) => {}
            other => panic!("{WITHOUT}: unknown protection {other}"),
        }
    }
    if !extra.is_empty() {
        // It stays for the whole run, in a directory that cargo clean removes.
        let path = format!(
            "{}/without-{}.conf",
            env!("CARGO_TARGET_TMPDIR"),
            std::process::id()
        );
        fs::write(&path, extra).unwrap();
        setup.config += &format!("deprecated-lxc-config-path = {path}\n");
    }
    setup
}

fn unified() -> bool {
    fs::exists("/sys/fs/cgroup/cgroup.controllers").unwrap()
}

/// A file of the host that an attack may change when protections are off; it gets its content back.
pub struct Restored {
    path: &'static str,
    content: Option<Vec<u8>>,
}

impl Restored {
    /// Remembers the content; a file that is not there needs none.
    pub fn new(path: &'static str) -> Self {
        let content = fs::read(path).ok();
        Self { path, content }
    }

    /// Whether the content is what it was.
    pub fn is_unchanged(&self) -> bool {
        fs::read(self.path).ok() == self.content
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        if let (false, Some(content)) = (self.is_unchanged(), &self.content) {
            let _ = fs::write(self.path, content);
        }
    }
}
