//! Devices that manifests name by what they are: real ones, as this machine's kernel has them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
mod unable;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use support::{Setup, TestAgent, wait_until};

fn agent(elements: &str) -> TestAgent {
    let config = format!(
        r#"{{"version": "1", "capabilities": [
            {{"name": "test.devices", "gateways": [{{"id": "devicenode", "config": [{elements}]}}]}},
            {{"name": "test.none", "gateways": []}}
        ]}}"#
    );
    TestAgent::with(&Setup::manifest(&config))
}

fn grant(agent: &TestAgent, id: i32) -> Result<(), (String, String)> {
    agent.client().set_capabilities(id, &["test.devices"])
}

/// The device nodes in a container that a container without the capability has not.
fn given(agent: &TestAgent, id: i32) -> BTreeSet<String> {
    let all = |id| -> BTreeSet<String> {
        let found = agent.shell_ok(id, "find /dev -type c -o -type b");
        found.lines().map(str::to_owned).collect()
    };
    let plain = agent.create();
    let others = all(plain);
    agent.client().destroy(plain).unwrap();
    all(id).difference(&others).cloned().collect()
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// The nodes that the kernel has made for a device and those on it, below a place in sysfs.
fn nodes_below(place: &Path, subsystem: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let link = fs::read_link(entry.path().join("subsystem"));
        let uevent = fs::read_to_string(entry.path().join("uevent")).unwrap_or_default();
        let name = uevent.lines().find_map(|it| it.strip_prefix("DEVNAME="));
        if let Some(name) = name
            && link.is_ok_and(|link| link.ends_with(subsystem))
        {
            found.insert(format!("/dev/{name}"));
        }
        found.append(&mut nodes_below(&entry.path(), subsystem));
    }
    found
}

/// A driver that makes devices without hardware, and is removed at the end.
struct Module(&'static str);

impl Module {
    fn load(&self) {
        assert!(run("modprobe", &[self.0]), "{}", self.0);
    }

    fn unload(&self) {
        wait_until("the module is unused", || run("rmmod", &[self.0]));
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        run("rmmod", &[self.0]);
    }
}

/// What a driver's devices have in common: their class, the kernel's subsystem, the device they are
/// on, and where that is.
struct Driver {
    module: &'static str,
    class: &'static str,
    subsystem: &'static str,
    parent: &'static str,
    start: &'static str,
    end: &'static str,
}

fn driver_is_followed(driver: &Driver) {
    if !run("modprobe", &["-n", driver.module]) {
        return unable::note(&format!("its kernel has no module {}", driver.module));
    }
    let module = Module(driver.module);
    let (class, parent) = (driver.class, driver.parent);
    let agent = agent(&format!(
        r#"{{"class": "{class}", "parent": "{parent}", "mode": "640"}}"#
    ));
    let id = agent.create();
    let (_, text) = grant(&agent, id).unwrap_err();
    assert!(
        text.contains(&format!(
            "the host has no device of class {class}, parent {parent}"
        )),
        "{text}"
    );
    module.load();
    let on_host = || -> BTreeSet<String> {
        let all = ["/sys/devices/platform", "/sys/devices/faux"]
            .iter()
            .flat_map(|place| nodes_below(&Path::new(place).join(parent), driver.subsystem));
        all.filter(|node| {
            let name = node.rsplit('/').next().unwrap();
            name.starts_with(driver.start) && name.ends_with(driver.end)
        })
        .collect()
    };
    wait_until("the kernel has made the nodes", || !on_host().is_empty());
    grant(&agent, id).unwrap();
    let nodes = on_host();
    assert_eq!(given(&agent, id), nodes);
    for node in &nodes {
        agent.shell_ok(id, &format!("exec 3< {node}"));
        let mode = agent.shell_ok(id, &format!("stat -c %a {node}"));
        assert_eq!(mode, "640", "{node}");
        assert!(agent.log().contains(node), "{}", agent.log());
    }
    module.unload();
    wait_until("the nodes are gone from the container", || {
        given(&agent, id).is_empty()
    });
    module.load();
    wait_until("the nodes are back in the container", || {
        !on_host().is_empty() && given(&agent, id) == on_host()
    });
    agent.client().destroy(id).unwrap();
}

#[test]
fn render_node_is_found_by_its_class_and_followed() {
    driver_is_followed(&Driver {
        module: "vgem",
        class: "drm-render",
        subsystem: "drm",
        parent: "vgem",
        start: "renderD",
        end: "",
    });
}

#[test]
fn camera_is_found_by_its_class_and_followed() {
    driver_is_followed(&Driver {
        module: "vivid",
        class: "video4linux",
        subsystem: "video4linux",
        parent: "vivid.0",
        start: "",
        end: "",
    });
}

/// Makes a keyboard of one key, tells its name in sysfs, and removes it when its input ends.
const KEYBOARD: &str = r"
import fcntl, os, struct, sys
device = os.open('/dev/uinput', os.O_WRONLY)
fcntl.ioctl(device, 0x40045564, 1)
fcntl.ioctl(device, 0x40045565, 30)
fcntl.ioctl(device, 0x405c5503, struct.pack('HHHH80sI', 3, 1, 1, 1, b'test', 0))
fcntl.ioctl(device, 0x5501)
name = bytearray(64)
fcntl.ioctl(device, 0x8040552c, name)
print(name.split(b'\0')[0].decode(), flush=True)
sys.stdin.read()
";

#[test]
fn input_device_is_given_when_it_is_plugged_in_and_taken_when_it_goes() {
    use std::{
        io::{BufRead as _, BufReader},
        process::Stdio,
    };
    if !run("modprobe", &["uinput"]) && !Path::new("/dev/uinput").exists() {
        return unable::note("its kernel has no module uinput");
    }
    let agent = agent(r#"{"class": "input", "optional": true}"#);
    let id = agent.create();
    grant(&agent, id).unwrap();
    let before = given(&agent, id);
    let mut keyboard = Command::new("python3")
        .args(["-c", KEYBOARD])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut name = String::new();
    BufReader::new(keyboard.stdout.take().unwrap())
        .read_line(&mut name)
        .unwrap();
    let place = Path::new("/sys/devices/virtual/input").join(name.trim());
    let new: BTreeSet<_> = nodes_below(&place, "input")
        .into_iter()
        .filter(|node| node.contains("/event"))
        .collect();
    assert_eq!(new.len(), 1, "{place:?}");
    let with: BTreeSet<_> = before.union(&new).cloned().collect();
    wait_until("the app has the keyboard", || given(&agent, id) == with);
    agent.shell_ok(id, &format!("exec 3< {}", new.first().unwrap()));
    drop(keyboard.stdin.take());
    keyboard.wait().unwrap();
    wait_until("the keyboard is gone", || given(&agent, id) == before);
    agent.client().destroy(id).unwrap();
}

#[test]
fn sound_is_divided_into_playback_and_capture() {
    if !run("modprobe", &["snd-aloop"]) {
        return unable::note("its kernel has no module snd-aloop");
    }
    let _module = Module("snd_aloop");
    for (class, letter, other) in [("sound-playback", "p", "c"), ("sound-capture", "c", "p")] {
        let agent = agent(&format!(
            r#"{{"class": "{class}", "parent": "snd_aloop.0"}}"#
        ));
        let id = agent.create();
        grant(&agent, id).unwrap();
        let names = given(&agent, id);
        let pcm = |letter| {
            let is = |name: &&String| name.contains("/pcm") && name.ends_with(letter);
            names.iter().filter(is).count()
        };
        assert!(pcm(letter) > 0, "{names:?}");
        assert_eq!(pcm(other), 0, "{names:?}");
        agent.client().destroy(id).unwrap();
    }
}

/// A network device whose node comes and goes with it, on every kernel that has macvtap.
struct Tap {
    name: String,
}

impl Tap {
    fn new() -> Self {
        let name = format!("sctv{}", std::process::id());
        let peer = format!("sctw{}", std::process::id());
        let veth = ["link", "add", &name, "type", "veth", "peer", "name", &peer];
        assert!(run("ip", &veth));
        Self { name }
    }

    /// The device that the node is on.
    fn parent(&self) -> String {
        self.name.replace("sctv", "sctt")
    }

    fn plug(&self) -> bool {
        let (link, name) = (&self.name, &self.parent());
        run(
            "ip",
            &["link", "add", "link", link, "name", name, "type", "macvtap"],
        )
    }

    fn unplug(&self) {
        assert!(run("ip", &["link", "del", &self.parent()]));
    }

    fn node(&self) -> BTreeSet<String> {
        let place = Path::new("/sys/class/net").join(self.parent());
        nodes_below(&fs::canonicalize(place).unwrap(), "macvtap")
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        run("ip", &["link", "del", &self.name]);
    }
}

#[test]
fn node_that_the_kernel_makes_and_removes_is_followed() {
    let tap = Tap::new();
    let parent = tap.parent();
    let agent = agent(&format!(
        r#"{{"class": "macvtap", "parent": "{parent}", "mode": "600", "optional": true}},
           {{"class": "macvtap", "seat": "seat7", "optional": true}},
           {{"name": "/dev/no-such-node", "optional": true}}"#
    ));
    let id = agent.create();
    grant(&agent, id).unwrap();
    assert_eq!(given(&agent, id), BTreeSet::new());
    if !tap.plug() {
        return unable::note("its kernel has no macvtap");
    }
    let node = tap.node();
    assert_eq!(node.len(), 1);
    wait_until("the app has the node", || given(&agent, id) == node);
    let log = agent.log();
    let path = node.first().unwrap();
    assert!(
        log.contains(&format!("class macvtap, parent {parent} is {path}")),
        "{log}"
    );
    let facts = agent.shell_ok(id, &format!("stat -c '%a %u' {path}"));
    assert_eq!(facts, "600 0");
    // What the devices cgroup does not allow cannot be opened.
    agent.shell_ok(id, &format!("exec 3< {path}"));
    tap.unplug();
    wait_until("the node is gone", || given(&agent, id).is_empty());
    assert!(tap.plug());
    wait_until("the node is back", || given(&agent, id) == tap.node());
    agent.client().set_capabilities(id, &["test.none"]).unwrap();
    agent.client().destroy(id).unwrap();
}

#[test]
fn serial_line_is_found_by_its_driver() {
    let line = |entry: fs::DirEntry| {
        let driver = fs::read_link(entry.path().join("device/driver")).ok()?;
        let driver = driver.file_name()?.to_str()?.to_owned();
        Some((entry.file_name().into_string().ok()?, driver))
    };
    let entries = fs::read_dir("/sys/class/tty").into_iter().flatten();
    let Some((name, driver)) = entries.flatten().find_map(line) else {
        return unable::note("it has no serial line with a driver");
    };
    let agent = agent(&format!(r#"{{"class": "tty", "driver": "{driver}"}}"#));
    let id = agent.create();
    grant(&agent, id).unwrap();
    let names = given(&agent, id);
    assert!(names.contains(&format!("/dev/{name}")), "{names:?}");
    for name in names {
        let name = name.strip_prefix("/dev/").unwrap();
        assert!(
            Path::new("/sys/class/tty")
                .join(name)
                .join("device")
                .exists()
        );
    }
    agent.client().destroy(id).unwrap();
}

/// A link as udev makes it, for a terminal that nobody uses.
struct ByPath(PathBuf);

impl ByPath {
    fn new() -> Self {
        Self(format!("/dev/serial/by-path/sc-test-{}", std::process::id()).into())
    }

    fn make(&self) {
        fs::create_dir_all(self.0.parent().unwrap()).unwrap();
        symlink("../../tty63", &self.0).unwrap();
    }
}

impl Drop for ByPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        // Where udev has links of its own they stay.
        for directory in self.0.ancestors().skip(1).take(2) {
            let _ = fs::remove_dir(directory);
        }
    }
}

#[test]
fn device_is_found_by_its_place_and_followed() {
    if !Path::new("/sys/class/tty/tty63").exists() {
        return unable::note("its kernel has no virtual terminals");
    }
    let link = ByPath::new();
    let name = link.0.file_name().unwrap().to_str().unwrap();
    let agent = agent(&format!(r#"{{"class": "tty", "by-path": "{name}"}}"#));
    let id = agent.create();
    let (_, text) = grant(&agent, id).unwrap_err();
    assert!(
        text.contains(&format!("no device of class tty, by-path {name}")),
        "{text}"
    );
    assert_eq!(given(&agent, id), BTreeSet::new());
    link.make();
    grant(&agent, id).unwrap();
    assert_eq!(given(&agent, id), BTreeSet::from(["/dev/tty63".to_owned()]));
    fs::remove_file(&link.0).unwrap();
    wait_until("the node is gone", || given(&agent, id).is_empty());
    link.make();
    wait_until("the node is back", || !given(&agent, id).is_empty());
    agent.client().destroy(id).unwrap();
}
