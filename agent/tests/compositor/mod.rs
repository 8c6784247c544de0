//! Real compositors without a screen: one that knows security contexts, and one that does not.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    newer_debian,
    support::{signal, wait_until},
};

/// Binds a global by its number, as a client does that was told of it, and prints what comes of it.
pub const BIND: &str = r"
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

/// What lets a client look at the screen, type, or put itself above everything.
pub const PRIVILEGED: [&str; 7] = [
    "wp_security_context_manager_v1",
    "zwlr_data_control_manager_v1",
    "zwlr_export_dmabuf_manager_v1",
    "zwlr_layer_shell_v1",
    "zwlr_screencopy_manager_v1",
    "zwlr_virtual_pointer_manager_v1",
    "zwp_virtual_keyboard_manager_v1",
];

/// A compositor without a screen; its runtime directory is a directory of the test.
pub struct Compositor {
    child: Option<Child>,
    pub dir: TempDir,
    command: fn(&Path, &Path) -> Command,
    root: PathBuf,
}

impl Compositor {
    /// Labwc, which has security contexts; notes why where this machine cannot have it.
    pub fn labwc() -> Option<Self> {
        Self::labwc_with("")
    }

    /// [`Self::labwc`] with elements in its configuration.
    pub fn labwc_with(config: &str) -> Option<Self> {
        let root = newer_debian::root()?;
        let command = |root: &Path, dir: &Path| {
            let variables = [
                ("HOME", "/tmp"),
                ("XDG_RUNTIME_DIR", "/mnt"),
                ("XDG_CONFIG_HOME", "/mnt/config"),
                // Its log has what clients ask for.
                ("WAYLAND_DEBUG", "server"),
                ("WLR_BACKENDS", "headless"),
                ("WLR_RENDERER", "pixman"),
                ("WLR_LIBINPUT_NO_DEVICES", "1"),
            ];
            let mut command = newer_debian::command(root, dir, &variables);
            command.arg("labwc");
            command
        };
        Some(Self::started(command, root, config))
    }

    /// Debian 12's Weston, which has none.
    pub fn weston() -> Self {
        let command = |_: &Path, dir: &Path| {
            let mut command = Command::new("weston");
            command.args(["--backend=headless-backend.so", "--use-pixman"]);
            command.args(["--idle-time=0", "--socket=wayland-0"]);
            command.env("XDG_RUNTIME_DIR", dir);
            command
        };
        Self::started(command, PathBuf::new(), "")
    }

    fn started(command: fn(&Path, &Path) -> Command, root: PathBuf, config: &str) -> Self {
        let dir = TempDir::with_prefix("sc-compositor-").unwrap();
        fs::create_dir_all(dir.path().join("config/labwc")).unwrap();
        let child = None;
        let mut compositor = Self {
            child,
            dir,
            command,
            root,
        };
        compositor.configure(config);
        compositor.start();
        compositor
    }

    /// What it does from its next start on.
    pub fn configure(&self, config: &str) {
        let config = format!("<labwc_config>{config}</labwc_config>");
        fs::write(self.dir.path().join("config/labwc/rc.xml"), config).unwrap();
    }

    pub fn start(&mut self) {
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

    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        signal(child.id(), "TERM");
        child.wait().unwrap();
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("wayland-0")
    }

    /// What it has said since its start.
    pub fn log(&self) -> String {
        let log = fs::read(self.dir.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// What a client of the host is offered: names of interfaces, with the numbers to bind them by.
    pub fn globals(&self) -> BTreeMap<String, u32> {
        let output = self.client("wayland-info").output().unwrap();
        globals(&String::from_utf8_lossy(&output.stdout))
    }

    /// A client of the host.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("WAYLAND_DISPLAY", "wayland-0");
        command
    }

    pub fn descriptors(&self) -> usize {
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
pub fn globals(listed: &str) -> BTreeMap<String, u32> {
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
