//! A real PulseAudio daemon with a sink that goes nowhere, and what is heard there.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    f64::consts::TAU,
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::support::wait_until;

/// Samples a second.
pub const RATE: u32 = 48_000;

/// A sound server with a sink that goes nowhere.
pub struct Pulse {
    child: Option<Child>,
    dir: TempDir,
}

impl Pulse {
    pub fn started() -> Self {
        let dir = TempDir::with_prefix("sc-pulse-").unwrap();
        let mut pulse = Self { child: None, dir };
        pulse.start();
        pulse
    }

    pub fn start(&mut self) {
        let sink = format!("module-null-sink sink_name=test rate={RATE} channels=1 format=s16le");
        let socket = self.socket();
        let protocol = format!(
            "module-native-protocol-unix socket={} auth-anonymous=1",
            socket.display()
        );
        let child = self
            .command("pulseaudio")
            .args([
                "--daemonize=no",
                "-n",
                "--exit-idle-time=-1",
                "--use-pid-file=no",
            ])
            .args(["-L", &sink, "-L", &protocol])
            .stderr(Stdio::null())
            .spawn()
            .expect("pulseaudio");
        self.child = Some(child);
        wait_until("the sound server answers", || {
            let mut pactl = self.command("pactl");
            let pactl = pactl
                .arg("info")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            pactl.status().unwrap().success()
        });
    }

    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.dir.path())
            .env("PULSE_RUNTIME_PATH", self.dir.path())
            .env("PULSE_STATE_PATH", self.dir.path())
            .env("PULSE_SERVER", format!("unix:{}", self.socket().display()));
        command
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// What the sink gets while `play` runs and shortly after.
    pub fn record(&self, play: impl FnOnce()) -> Vec<i16> {
        let file = self.dir.path().join("recorded");
        let mut recorder = self
            .command("parec")
            .args([
                "--device=test.monitor",
                "--raw",
                "--format=s16le",
                "--channels=1",
            ])
            .arg(format!("--rate={RATE}"))
            .arg("--latency-msec=20")
            .stdout(fs::File::create(&file).unwrap())
            .spawn()
            .unwrap();
        let length = || fs::metadata(&file).unwrap().len();
        wait_until("the recorder records", || length() > 0);
        play();
        let played = length();
        wait_until("the rest is recorded", || {
            length() > played + u64::from(RATE)
        });
        recorder.kill().unwrap();
        recorder.wait().unwrap();
        fs::read(&file)
            .unwrap()
            .chunks_exact(2)
            .map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]]))
            .collect()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.stop();
        }
    }
}

/// The amplitude of `frequency` in the loudest tenth of a second (Goertzel's algorithm).
pub fn amplitude(samples: &[i16], frequency: f64) -> f64 {
    let window = RATE / 10;
    let coefficient = 2.0 * (TAU * frequency / f64::from(RATE)).cos();
    let in_window = |samples: &[i16]| {
        let (mut last, mut before) = (0.0, 0.0);
        for &sample in samples {
            (last, before) = (f64::from(sample) + coefficient * last - before, last);
        }
        let power: f64 = last * last + before * before - coefficient * last * before;
        2.0 * power.sqrt() / f64::from(window)
    };
    samples
        .chunks_exact(window as usize)
        .map(in_window)
        .fold(0.0, f64::max)
}
