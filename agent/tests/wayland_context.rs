//! Compositors that know security contexts, and such that do not: real ones, as the app sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod newer_debian;
mod support;
mod unable;

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use support::{Setup, TestAgent, signal, wait_until};
use tempfile::TempDir;

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.wayland", "gateways": [{"id": "wayland", "config": [{"enabled": true}]}]}
]}"#;
/// What lets a client look at the screen, type, or put itself above everything.
const PRIVILEGED: [&str; 7] = [
    "wp_security_context_manager_v1",
    "zwlr_data_control_manager_v1",
    "zwlr_export_dmabuf_manager_v1",
    "zwlr_layer_shell_v1",
    "zwlr_screencopy_manager_v1",
    "zwlr_virtual_pointer_manager_v1",
    "zwp_virtual_keyboard_manager_v1",
];

/// A compositor without a screen; its runtime directory is a directory of the test.
struct Compositor {
    child: Option<Child>,
    dir: TempDir,
    command: fn(&Path, &Path) -> Command,
    root: PathBuf,
}

impl Compositor {
    /// Labwc, which has security contexts; notes why where this machine cannot have it.
    fn labwc() -> Option<Self> {
        let root = newer_debian::root()?;
        let command = |root: &Path, dir: &Path| {
            let variables = [
                ("HOME", "/tmp"),
                ("XDG_RUNTIME_DIR", "/mnt"),
                ("WLR_BACKENDS", "headless"),
                ("WLR_RENDERER", "pixman"),
                ("WLR_LIBINPUT_NO_DEVICES", "1"),
            ];
            let mut command = newer_debian::command(root, dir, &variables);
            command.arg("labwc");
            command
        };
        Some(Self::started(command, root))
    }

    /// Debian 12's Weston, which has none.
    fn weston() -> Self {
        let command = |_: &Path, dir: &Path| {
            let mut command = Command::new("weston");
            command.args(["--backend=headless-backend.so", "--use-pixman"]);
            command.args(["--idle-time=0", "--socket=wayland-0"]);
            command.env("XDG_RUNTIME_DIR", dir);
            command
        };
        Self::started(command, PathBuf::new())
    }

    fn started(command: fn(&Path, &Path) -> Command, root: PathBuf) -> Self {
        let dir = TempDir::with_prefix("sc-compositor-").unwrap();
        let child = None;
        let mut compositor = Self {
            child,
            dir,
            command,
            root,
        };
        compositor.start();
        compositor
    }

    fn start(&mut self) {
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        let child = (self.command)(&self.root, self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        wait_until("the compositor shows a screen", || {
            self.globals().contains_key("wl_output")
        });
    }

    fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        signal(child.id(), "TERM");
        child.wait().unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("wayland-0")
    }

    /// What a client of the host is offered: names of interfaces, with the numbers to bind them by.
    fn globals(&self) -> BTreeMap<String, u32> {
        let output = self.client("wayland-info").output().unwrap();
        globals(&String::from_utf8_lossy(&output.stdout))
    }

    /// A client of the host.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("WAYLAND_DISPLAY", "wayland-0");
        command
    }

    fn descriptors(&self) -> usize {
        let pid = self.child.as_ref().unwrap().id();
        fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
    }
}

impl Drop for Compositor {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// As wayland-info lists them.
fn globals(listed: &str) -> BTreeMap<String, u32> {
    let part = |line: &str, key: &str| {
        let rest = line.split_once(key)?.1.trim_start();
        let end = rest.find(',').unwrap_or(rest.len());
        Some(rest.get(..end)?.trim_matches('\'').to_owned())
    };
    listed
        .lines()
        .filter_map(|line| {
            let interface = part(line, "interface: ")?;
            Some((interface, part(line, "name:")?.parse().ok()?))
        })
        .collect()
}

fn agent(socket: &Path, mode: &str) -> TestAgent {
    let mut setup = Setup::manifest(MANIFEST);
    setup.config = format!(
        "wayland-socket = {}\nwayland-security-context = {mode}",
        socket.display()
    );
    TestAgent::with(&setup)
}

fn grant(agent: &TestAgent, id: i32) -> Result<(), (String, String)> {
    agent.client().set_capabilities(id, &["test.wayland"])
}

/// What an app is offered.
fn app_globals(agent: &TestAgent, id: i32) -> BTreeMap<String, u32> {
    globals(&agent.shell(id, "wayland-info").1)
}

fn assert_is_app(offered: &BTreeMap<String, u32>) {
    for name in ["wl_compositor", "wl_shm", "wl_seat", "xdg_wm_base"] {
        assert!(offered.contains_key(name), "{name}: {offered:?}");
    }
    for name in PRIVILEGED {
        assert!(!offered.contains_key(name), "{name}: {offered:?}");
    }
}

#[test]
fn app_is_offered_what_is_for_apps_and_draws() {
    let Some(compositor) = Compositor::labwc() else {
        return;
    };
    for mode in ["auto", "required"] {
        let agent = agent(&compositor.socket(), mode);
        let id = agent.create();
        grant(&agent, id).unwrap();
        let (plain, app) = (compositor.globals(), app_globals(&agent, id));
        for name in plain.keys() {
            let mark = if app.contains_key(name) { "yes" } else { "-" };
            println!("{name:50} plain client: yes, app: {mark}");
        }
        for name in PRIVILEGED {
            assert!(plain.contains_key(name), "{name}: {plain:?}");
        }
        assert_is_app(&app);
        let variables = agent.shell_ok(id, "echo $XDG_RUNTIME_DIR $WAYLAND_DISPLAY");
        assert_eq!(variables, "/gateways wayland-0");
        let output = agent.path("client");
        let client = "sh -c 'WAYLAND_DEBUG=1 exec weston-simple-shm'";
        let pid = agent
            .client()
            .execute(id, client, "", output.to_str().unwrap(), &[])
            .unwrap();
        wait_until("its frames are shown", || {
            let log = fs::read_to_string(&output).unwrap_or_default();
            log.lines()
                .any(|it| it.contains("wl_callback") && it.contains(".done("))
        });
        signal(pid, "TERM");
        agent.client().wait_ended(id, pid);
        let before = compositor.descriptors();
        agent.client().destroy(id).unwrap();
        // The listening socket, and what tells for how long.
        wait_until("the compositor has forgotten the container", || {
            compositor.descriptors() + 2 <= before
        });
    }
}

/// Binds a global by its number, as a client does that was told of it, and prints what comes of it.
const BIND: &str = r"
import os, socket, struct, sys
number, name = int(sys.argv[1]), sys.argv[2].encode() + b'\0'
server = socket.socket(socket.AF_UNIX)
server.connect(os.environ['XDG_RUNTIME_DIR'] + '/' + os.environ['WAYLAND_DISPLAY'])
def request(object, opcode, body):
    return struct.pack('=IHH', object, opcode, 8 + len(body)) + body
padded = name + b'\0' * (-len(name) % 4)
bind = struct.pack('=II', number, len(name)) + padded + struct.pack('=II', 1, 3)
server.sendall(request(1, 1, struct.pack('=I', 2)) + request(2, 0, bind) +
               request(1, 0, struct.pack('=I', 4)))
data = b''
while True:
    more = server.recv(65536)
    data += more
    while len(data) >= 8:
        object, opcode, size = struct.unpack('=IHH', data[:8])
        if len(data) < size:
            break
        if (object, opcode) == (1, 0):
            sys.exit('refused: ' + data[20:size].decode(errors='replace'))
        if object == 4:
            sys.exit('bound')
        data = data[size:]
    if not more:
        sys.exit('closed')
";

#[test]
fn app_can_neither_take_a_screenshot_nor_bind_what_it_is_not_offered() {
    let Some(compositor) = Compositor::labwc() else {
        return;
    };
    let plain = compositor.globals();
    let screenshot = compositor.dir.path().join("screen.png");
    let taken = compositor.client("grim").arg(&screenshot).status().unwrap();
    assert!(taken.success() && screenshot.metadata().unwrap().len() > 100);
    let agent = agent(&compositor.socket(), "required");
    let id = agent.create();
    grant(&agent, id).unwrap();
    let (status, said) = agent.shell(id, "grim /tmp/screen.png");
    assert!(status != 0 && said.contains("screencopy"), "{said}");
    for name in PRIVILEGED {
        let number = plain[name].to_string();
        let by_plain = compositor
            .client("python3")
            .args(["-c", BIND, &number, name])
            .output()
            .unwrap();
        let by_plain = String::from_utf8_lossy(&by_plain.stderr).into_owned();
        assert_eq!(by_plain.trim(), "bound", "{name}");
        let (_, said) = agent.shell(id, &format!("python3 -c \"{BIND}\" {number} {name}"));
        assert!(said.contains("refused: "), "{name}: {said}");
    }
    // Still a good client.
    assert_is_app(&app_globals(&agent, id));
    agent.client().destroy(id).unwrap();
}

#[test]
fn restarted_compositor_knows_the_apps_again() {
    let Some(mut compositor) = Compositor::labwc() else {
        return;
    };
    let agent = agent(&compositor.socket(), "auto");
    let ids = [agent.create(), agent.create()];
    for id in ids {
        grant(&agent, id).unwrap();
        assert_is_app(&app_globals(&agent, id));
    }
    for _ in 0..2 {
        compositor.stop();
        // Who connects meanwhile waits for the next one.
        let output = agent.path("waiting");
        let waiting = output.to_str().unwrap();
        let pid = agent
            .client()
            .execute(ids[0], "wayland-info", "", waiting, &[])
            .unwrap();
        compositor.start();
        assert_eq!(agent.client().wait_ended(ids[0], pid).exit_code, 0);
        assert_is_app(&globals(&fs::read_to_string(&output).unwrap()));
        assert_is_app(&app_globals(&agent, ids[1]));
    }
    for id in ids {
        agent.client().destroy(id).unwrap();
    }
}

#[test]
fn socket_is_the_compositors_own_when_contexts_are_off() {
    let Some(compositor) = Compositor::labwc() else {
        return;
    };
    let agent = agent(&compositor.socket(), "off");
    let id = agent.create();
    grant(&agent, id).unwrap();
    let names = |globals: BTreeMap<String, u32>| globals.into_keys().collect::<Vec<_>>();
    assert_eq!(names(app_globals(&agent, id)), names(compositor.globals()));
    agent.client().destroy(id).unwrap();
}

#[test]
fn compositor_without_contexts_is_used_as_it_is_unless_they_are_required() {
    let compositor = Compositor::weston();
    let plain = compositor.globals();
    assert!(!plain.contains_key("wp_security_context_manager_v1"));
    let auto = agent(&compositor.socket(), "auto");
    let id = auto.create();
    grant(&auto, id).unwrap();
    assert!(app_globals(&auto, id).contains_key("xdg_wm_base"));
    auto.client().destroy(id).unwrap();
    let required = agent(&compositor.socket(), "required");
    let id = required.create();
    let (_, text) = grant(&required, id).unwrap_err();
    assert!(text.contains("gateway wayland"), "{text}");
    let expected = format!(
        "the compositor at {} does not offer wp_security_context_manager_v1",
        compositor.socket().display()
    );
    assert!(text.contains(&expected), "{text}");
    assert_eq!(required.shell_ok(id, "ls /gateways"), "");
    required.client().destroy(id).unwrap();
}

#[test]
fn program_that_asks_a_hung_compositor_has_no_privileges_and_is_not_waited_for() {
    let dir = TempDir::with_prefix("sc-compositor-").unwrap();
    let socket = dir.path().join("wayland-0");
    let mut hung = Command::new("nc").arg("-lkU").arg(&socket).spawn().unwrap();
    wait_until("somebody listens", || socket.exists());
    let agent = agent(&socket, "auto");
    let id = agent.create();
    let address = agent.address().to_owned();
    let granted = std::thread::spawn(move || {
        support::Client::connect(&address).set_capabilities(id, &["test.wayland"])
    });
    let mut status = String::new();
    wait_until("the program has given up its privileges", || {
        let children = format!("/proc/{0}/task/{0}/children", agent.pid());
        let tasks = fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap();
        let all = tasks
            .flatten()
            .map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default())
            .collect::<Vec<_>>()
            .join(" ");
        assert!(Path::new(&children).exists());
        all.split_whitespace().any(|pid| {
            status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.contains("Name:\tsoftwarecontain")
                && status.contains("Uid:\t65534\t65534\t65534\t65534")
                && status.contains("NoNewPrivs:\t1")
        })
    });
    for line in [
        "Gid:\t65534\t65534\t65534\t65534",
        "CapPrm:\t0000000000000000",
    ] {
        assert!(status.contains(line), "{status}");
    }
    granted.join().unwrap().unwrap();
    assert!(agent.log().contains("no answer from the server"));
    assert_eq!(agent.shell_ok(id, "ls /gateways"), "wayland-0");
    agent.client().destroy(id).unwrap();
    hung.kill().unwrap();
    hung.wait().unwrap();
}

#[test]
fn launcher_that_is_the_compositor_is_not_asked_while_it_waits() {
    let dir = TempDir::with_prefix("sc-compositor-").unwrap();
    let socket = dir.path().join("wayland-0");
    // This process is both.
    let compositor = UnixListener::bind(&socket).unwrap();
    compositor.set_nonblocking(true).unwrap();
    let auto = agent(&socket, "auto");
    let id = auto.create();
    grant(&auto, id).unwrap();
    let log = auto.log();
    assert!(
        log.contains("the compositor is the launcher itself, which waits for this call"),
        "{log}"
    );
    assert!(!log.contains("no answer"), "{log}");
    assert_eq!(auto.shell_ok(id, "ls /gateways"), "wayland-0");
    // Nothing was said on the connection.
    let (mut connection, _) = compositor.accept().unwrap();
    assert_eq!(connection.read(&mut [0; 64]).unwrap(), 0);
    auto.client().destroy(id).unwrap();
    // Who must be asked is.
    let required = agent(&socket, "required");
    let id = required.create();
    let (_, text) = grant(&required, id).unwrap_err();
    assert!(text.contains("no answer from the server"), "{text}");
    required.client().destroy(id).unwrap();
}
