//! A real Weston without a screen, and what is to be seen there.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::support::{signal, wait_until};

/// weston-simple-shm draws 250 by 250 pixels; desktop shells may add a frame, but never this much.
const CLIENT_AREA: std::ops::Range<usize> = 50_000..80_000;

/// A compositor without a screen; its runtime directory is a directory of the test.
pub struct Weston {
    child: Option<Child>,
    pub dir: TempDir,
}

impl Weston {
    pub fn new() -> Self {
        let dir = TempDir::with_prefix("sc-weston-").unwrap();
        let config = "[shell]\nbackground-color=0xff0000ff\npanel-position=none\nlocking=false\n";
        fs::write(dir.path().join("weston.ini"), config).unwrap();
        Self { child: None, dir }
    }

    pub fn started() -> Self {
        let mut weston = Self::new();
        weston.start();
        weston
    }

    pub fn start(&mut self) {
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

    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        signal(child.id(), "TERM");
        child.wait().unwrap();
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("display")
    }

    pub fn screenshot(&self) -> Option<Screenshot> {
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

    pub fn shows_client(&self) -> bool {
        self.screenshot().is_some_and(|screenshot| {
            CLIENT_AREA.contains(&screenshot.foreground) && screenshot.colours.len() > 100
        })
    }

    /// How much of the screen has a colour.
    pub fn shows(&self, colour: [u8; 3]) -> usize {
        let screenshot = self.screenshot();
        screenshot.map_or(0, |it| it.colours.get(&colour).copied().unwrap_or(0))
    }

    pub fn shows_nothing(&self) -> bool {
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
pub struct Screenshot {
    /// The colour of the corner.
    pub background: [u8; 3],
    /// How many pixels are not background.
    pub foreground: usize,
    /// How many pixels there are of each colour.
    pub colours: HashMap<[u8; 3], usize>,
}

impl Screenshot {
    fn of(file: &Path) -> Self {
        let decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(file).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (640, 480));
        let mut colours = HashMap::new();
        for pixel in pixels[..info.buffer_size()].chunks_exact(info.color_type.samples()) {
            *colours.entry(pixel[..3].try_into().unwrap()).or_default() += 1;
        }
        let background = pixels[..3].try_into().unwrap();
        Self {
            background,
            foreground: 640 * 480 - colours[&background],
            colours,
        }
    }
}
