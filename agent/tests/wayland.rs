//! A real Weston on the host and real Wayland clients in containers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use support::{Setup, TestAgent, signal, wait_until};
use tempfile::TempDir;

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.wayland", "gateways": [{"id": "wayland", "config": [{"enabled": true}]}]},
    {"name": "test.none", "gateways": []}
]}"#;
/// weston-simple-shm draws 250 by 250 pixels; desktop shells may add a frame, but never this much.
const CLIENT_AREA: std::ops::Range<usize> = 50_000..80_000;

/// A compositor without a screen; its runtime directory is a directory of the test.
struct Weston {
    child: Option<Child>,
    dir: TempDir,
}

impl Weston {
    fn new() -> Self {
        let dir = TempDir::with_prefix("sc-weston-").unwrap();
        let config = "[shell]\nbackground-color=0xff0000ff\npanel-position=none\nlocking=false\n";
        fs::write(dir.path().join("weston.ini"), config).unwrap();
        Self { child: None, dir }
    }

    fn started() -> Self {
        let mut weston = Self::new();
        weston.start();
        weston
    }

    fn start(&mut self) {
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        let child = Command::new("weston")
            .args(["--backend=headless-backend.so", "--use-pixman", "--debug"])
            .args([
                "--width=640",
                "--height=480",
                "--idle-time=0",
                "--socket=display",
            ])
            .arg(format!("--config={}/weston.ini", self.dir.path().display()))
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("weston");
        self.child = Some(child);
        wait_until("weston draws its background", || {
            self.socket().exists()
                && self
                    .screenshot()
                    .is_some_and(|it| it.background == [0, 0, 255])
        });
    }

    fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        signal(child.id(), "TERM");
        child.wait().unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("display")
    }

    fn screenshot(&self) -> Option<Screenshot> {
        let dir = tempfile::tempdir_in(self.dir.path()).unwrap();
        let status = Command::new("weston-screenshooter")
            .current_dir(dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("WAYLAND_DISPLAY", "display")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        let file = fs::read_dir(dir.path()).unwrap().next()?.unwrap().path();
        status.success().then(|| Screenshot::of(&file))
    }

    fn shows_client(&self) -> bool {
        self.screenshot().is_some_and(|screenshot| {
            CLIENT_AREA.contains(&screenshot.foreground) && screenshot.colours > 100
        })
    }

    fn shows_nothing(&self) -> bool {
        self.screenshot()
            .is_some_and(|screenshot| screenshot.foreground == 0)
    }
}

impl Drop for Weston {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What is to be seen on the screen.
struct Screenshot {
    background: [u8; 3],
    /// How many pixels are not background.
    foreground: usize,
    /// How many colours there are.
    colours: usize,
}

impl Screenshot {
    fn of(file: &Path) -> Self {
        let decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(file).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (640, 480));
        let pixels: Vec<&[u8]> = pixels[..info.buffer_size()]
            .chunks_exact(info.color_type.samples())
            .map(|pixel| &pixel[..3])
            .collect();
        Self {
            background: pixels[0].try_into().unwrap(),
            foreground: pixels.iter().filter(|pixel| **pixel != pixels[0]).count(),
            colours: pixels.iter().collect::<HashSet<_>>().len(),
        }
    }
}

fn agent(weston: &Weston) -> TestAgent {
    let mut setup = Setup::manifest(MANIFEST);
    setup.config = format!("wayland-socket = {}", weston.socket().display());
    TestAgent::with(&setup)
}

/// Starts a client that draws until it is ended.
fn draw(agent: &TestAgent, id: i32) -> u32 {
    let output = agent.path("client");
    agent
        .client()
        .execute(id, "weston-simple-shm", "", output.to_str().unwrap(), &[])
        .unwrap()
}

#[test]
fn client_in_a_container_with_the_capability_draws_on_the_screen() {
    let weston = Weston::started();
    assert!(weston.shows_nothing());
    let agent = agent(&weston);
    let id = agent.create();
    agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap();
    let variables = agent.shell_ok(id, "echo $XDG_RUNTIME_DIR $WAYLAND_DISPLAY; ls /gateways");
    assert_eq!(variables, "/gateways display\ndisplay");
    let pid = draw(&agent, id);
    wait_until("the client is seen on the screen", || weston.shows_client());
    signal(pid, "TERM");
    agent.client().wait_ended(id, pid);
    wait_until("the client is gone from the screen", || {
        weston.shows_nothing()
    });
    agent.client().destroy(id).unwrap();
}

#[test]
fn client_without_the_capability_cannot_connect() {
    let weston = Weston::started();
    let agent = agent(&weston);
    let id = agent.create();
    agent.client().set_capabilities(id, &["test.none"]).unwrap();
    assert_eq!(
        agent.shell_ok(id, "echo $WAYLAND_DISPLAY; ls /gateways"),
        ""
    );
    let variables = "XDG_RUNTIME_DIR=/gateways WAYLAND_DISPLAY=display";
    let (status, _) = agent.shell(id, &format!("{variables} timeout 5 weston-simple-shm"));
    assert_ne!(status, 0);
    assert!(status >> 8 != 143, "it ran until it was ended");
    assert!(weston.shows_nothing());
    agent.client().destroy(id).unwrap();
}

#[test]
fn compositor_that_is_restarted_is_used_by_clients_that_start_later() {
    let mut weston = Weston::started();
    let agent = agent(&weston);
    let id = agent.create();
    agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap();
    let pid = draw(&agent, id);
    wait_until("the client is seen on the screen", || weston.shows_client());
    weston.stop();
    agent.client().wait_ended(id, pid);
    // While there is no compositor, everything else goes on.
    assert_eq!(agent.shell_ok(id, "echo still here"), "still here");
    agent.client().set_capabilities(id, &["test.none"]).unwrap();
    weston.start();
    let pid = draw(&agent, id);
    wait_until("a new client is seen on the screen", || {
        weston.shows_client()
    });
    signal(pid, "KILL");
    agent.client().wait_ended(id, pid);
    agent.client().destroy(id).unwrap();
}

#[test]
fn process_that_was_already_running_finds_the_restarted_compositor() {
    let mut weston = Weston::started();
    let agent = agent(&weston);
    let id = agent.create();
    agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap();
    let script = "/bin/sh -c 'while :; do weston-simple-shm; sleep 0.1; done'";
    let pid = agent.client().execute(id, script, "", "", &[]).unwrap();
    wait_until("the client is seen on the screen", || weston.shows_client());
    weston.stop();
    weston.start();
    wait_until("the client is back on the screen", || weston.shows_client());
    agent.client().destroy(id).unwrap();
    assert_ne!(agent.client().wait_ended(id, pid).exit_code, 0);
}

#[test]
fn socket_may_appear_after_the_agent_has_started() {
    let mut weston = Weston::new();
    let agent = agent(&weston);
    let id = agent.create();
    let (_, text) = agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap_err();
    assert!(text.contains("gateway wayland"), "{text}");
    assert!(text.contains(weston.socket().to_str().unwrap()), "{text}");
    assert!(text.contains("No such file or directory"), "{text}");
    weston.start();
    agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap();
    draw(&agent, id);
    wait_until("the client is seen on the screen", || weston.shows_client());
    agent.client().destroy(id).unwrap();
}

#[test]
fn socket_is_found_by_the_agents_environment() {
    let weston = Weston::started();
    let mut setup = Setup::manifest(MANIFEST);
    let directory = weston.dir.path().to_str().unwrap().to_owned();
    setup.environment = vec![
        ("XDG_RUNTIME_DIR".to_owned(), directory),
        ("WAYLAND_DISPLAY".to_owned(), "display".to_owned()),
    ];
    let agent = TestAgent::with(&setup);
    let id = agent.create();
    agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap();
    draw(&agent, id);
    wait_until("the client is seen on the screen", || weston.shows_client());
    agent.client().destroy(id).unwrap();
}

#[test]
fn missing_variable_is_named() {
    let mut setup = Setup::manifest(MANIFEST);
    setup.environment = vec![("WAYLAND_DISPLAY".to_owned(), String::new())];
    let agent = TestAgent::with(&setup);
    let id = agent.create();
    let (_, text) = agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap_err();
    assert!(text.contains("WAYLAND_DISPLAY"), "{text}");
    agent.client().destroy(id).unwrap();
}
