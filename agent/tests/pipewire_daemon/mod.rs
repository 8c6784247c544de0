//! A newer Debian's PipeWire and WirePlumber with a speaker, a microphone and a camera that are
//! none, and what is heard there.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod keeper;

use std::{
    f64::consts::TAU,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use keeper::Keeper;
use tempfile::TempDir;

use crate::{
    newer_debian,
    support::{signal, wait_until},
};

/// Samples a second.
pub const RATE: u32 = 48_000;
/// What the microphone hears.
pub const MICROPHONE: f64 = 440.0;
/// What [`PipeWire::tone`] plays.
pub const TONE: f64 = 997.0;
const AMPLITUDE: f64 = 12_000.0;
const CONFIG: &str = include_str!("pipewire.conf");
/// As the book asks for it.
const PULSE_CONFIG: &str = "pulse.properties = { pulse.allow-module-loading = false }\n";
const DAEMON: [&str; 3] = ["pipewire", "-c", "/mnt/pipewire.conf"];
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wireplumber");
/// Of a WAV file.
const HEADER: usize = 44;

/// PipeWire, its session manager, and the server for PulseAudio's clients, as far as they run.
pub struct PipeWire {
    root: PathBuf,
    dir: TempDir,
    daemon: Option<Child>,
    manager: Option<Child>,
    pulse: Option<Child>,
    keeper: Option<Keeper>,
}

impl PipeWire {
    /// With the script that this project has for the session manager; notes why where this machine
    /// cannot have it.
    pub fn started() -> Option<Self> {
        let mut pipewire = Self::prepared()?;
        pipewire.start_daemon();
        pipewire.start_manager();
        Some(pipewire)
    }

    /// Nothing runs yet, the script is there.
    pub fn prepared() -> Option<Self> {
        let root = newer_debian::root()?;
        let dir = TempDir::with_prefix("sc-pipewire-").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for (name, file) in [
            ("access.lua", "data/wireplumber/scripts/softwarecontainer"),
            (
                "softwarecontainer.conf",
                "config/wireplumber/wireplumber.conf.d",
            ),
        ] {
            let directory = dir.path().join(file);
            fs::create_dir_all(&directory).unwrap();
            fs::copy(Path::new(SCRIPTS).join(name), directory.join(name)).unwrap();
        }
        fs::create_dir(dir.path().join("run")).unwrap();
        fs::write(dir.path().join("pipewire.conf"), CONFIG).unwrap();
        let pulse = dir.path().join("config/pipewire/pipewire-pulse.conf.d");
        fs::create_dir_all(&pulse).unwrap();
        fs::write(pulse.join("apps.conf"), PULSE_CONFIG).unwrap();
        fs::write(dir.path().join("tone.wav"), wav(&tone())).unwrap();
        Some(Self {
            root,
            dir,
            daemon: None,
            manager: None,
            pulse: None,
            keeper: None,
        })
    }

    /// A service manager listens for the daemon from now on, also while that does not run.
    pub fn keep_socket(&mut self) {
        let daemon = self.command(&DAEMON);
        self.keeper = Some(Keeper::start(self.dir.path(), "run/pipewire-0", &daemon));
    }

    /// Takes the script away, as where it was never installed.
    pub fn without_script(&self) {
        fs::remove_dir_all(self.dir.path().join("config/wireplumber")).unwrap();
    }

    /// Replaces a line of the script, which has it.
    pub fn edit_script(&self, line: &str, instead: &str) {
        let script = "data/wireplumber/scripts/softwarecontainer/access.lua";
        let script = self.dir.path().join(script);
        let content = fs::read_to_string(&script).unwrap();
        assert_eq!(content.matches(line).count(), 1, "{line}");
        fs::write(script, content.replace(line, instead)).unwrap();
    }

    /// Adds a file to the session manager's configuration.
    pub fn configure_manager(&self, content: &str) {
        let file = "config/wireplumber/wireplumber.conf.d/zz-test.conf";
        fs::write(self.dir.path().join(file), content).unwrap();
    }

    /// Undoes what the book asks for.
    pub fn allow_modules(&self) {
        let config = "config/pipewire/pipewire-pulse.conf.d";
        fs::remove_dir_all(self.dir.path().join(config)).unwrap();
    }

    pub fn start_daemon(&mut self) {
        match &mut self.keeper {
            Some(keeper) => keeper.tell("start"),
            None => self.daemon = Some(self.run(&DAEMON)),
        }
        wait_until("PipeWire answers", || {
            self.host("pw-cli", &["info", "0"]).is_some()
        });
    }

    pub fn start_manager(&mut self) {
        self.manager = Some(self.run(&["wireplumber"]));
        wait_until("the session manager has settled", || {
            let listed = self.host("pw-cli", &["ls", "Metadata"]).unwrap_or_default();
            let is_there = |name: &str| listed.contains(&format!("\"{name}\""));
            let has_script = self.dir.path().join("config/wireplumber").exists();
            is_there("default") && (is_there("softwarecontainer") || !has_script)
        });
    }

    /// The server for PulseAudio's clients.
    pub fn start_pulse(&mut self) {
        self.pulse = Some(self.run(&["pipewire-pulse"]));
        wait_until("the server for PulseAudio's clients answers", || {
            let mut pactl = Command::new("pactl");
            let server = format!("unix:{}", self.pulse_socket().display());
            let output = pactl.arg("info").env("PULSE_SERVER", server).output();
            output.unwrap().status.success()
        });
    }

    pub fn stop_daemon(&mut self) {
        match &mut self.keeper {
            Some(keeper) => keeper.tell("stop"),
            None => end(&mut self.daemon),
        }
    }

    pub fn stop_manager(&mut self) {
        end(&mut self.manager);
    }

    pub fn stop_pulse(&mut self) {
        end(&mut self.pulse);
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("run/pipewire-0")
    }

    pub fn pulse_socket(&self) -> PathBuf {
        self.dir.path().join("run/pulse/native")
    }

    /// A WAV file with half a second of a tone.
    pub fn tone(&self) -> PathBuf {
        self.dir.path().join("tone.wav")
    }

    /// What a program of the host that talks to PipeWire prints, if it can.
    pub fn host(&self, program: &str, arguments: &[&str]) -> Option<String> {
        let mut command = self.client(program);
        let output = command.args(arguments).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(printed)
    }

    /// The number of a node, if there is one of this name.
    pub fn node(&self, name: &str) -> Option<u32> {
        let listed = self.host("pw-cli", &["ls", "Node"]).unwrap();
        let mut number = None;
        for line in listed.lines() {
            if let Some(rest) = line.trim().strip_prefix("id ") {
                number = rest.split(',').next().and_then(|it| it.parse().ok());
            }
            if line.contains(&format!("node.name = \"{name}\"")) {
                return number;
            }
        }
        None
    }

    /// What the speaker gets while `play` runs and shortly after.
    pub fn record(&self, play: impl FnOnce()) -> Vec<i16> {
        let file = self.dir.path().join("recorded.wav");
        let mut recorder = self
            .client("pw-record")
            .env("PIPEWIRE_PROPS", "{ stream.capture.sink = true }")
            .args(["--target", "speaker", "--channels", "1", "--format", "s16"])
            .args(["--rate", &RATE.to_string()])
            .arg(&file)
            .spawn()
            .unwrap();
        let length = || fs::metadata(&file).map_or(0, |it| it.len());
        wait_until("the recorder records", || length() > 10_000);
        play();
        let played = length();
        wait_until("the rest is recorded", || {
            length() > played + u64::from(RATE)
        });
        signal(recorder.id(), "INT");
        recorder.wait().unwrap();
        samples(&file)
    }

    /// What the servers have said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("XDG_RUNTIME_DIR", self.dir.path().join("run"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// A server, in the newer Debian.
    fn command(&self, arguments: &[&str]) -> Command {
        let variables = [
            ("HOME", "/mnt"),
            ("WIREPLUMBER_DEBUG", "W,s-softwarecontainer:N"),
            ("XDG_RUNTIME_DIR", "/mnt/run"),
            ("XDG_CONFIG_HOME", "/mnt/config"),
            ("XDG_DATA_HOME", "/mnt/data"),
            ("XDG_STATE_HOME", "/mnt/state"),
        ];
        let log = self.dir.path().join("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log);
        let log = log.unwrap();
        let mut command = newer_debian::command(&self.root, self.dir.path(), &variables);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command
    }
}

impl Drop for PipeWire {
    fn drop(&mut self) {
        for child in [&mut self.pulse, &mut self.manager, &mut self.daemon] {
            end(child);
        }
    }
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// What is in a WAV file.
pub fn samples(file: &Path) -> Vec<i16> {
    let bytes = fs::read(file).unwrap_or_default();
    bytes
        .get(HEADER..)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]]))
        .collect()
}

fn tone() -> Vec<i16> {
    let sample = |n: u32| AMPLITUDE * (TAU * TONE * f64::from(n) / f64::from(RATE)).sin();
    #[allow(clippy::cast_possible_truncation)]
    let samples = (0..RATE / 2).map(|n| sample(n) as i16);
    samples.collect()
}

/// One channel of 16 bits.
fn wav(samples: &[i16]) -> Vec<u8> {
    let length = u32::try_from(2 * samples.len()).unwrap();
    let mut file = Vec::new();
    for part in [
        b"RIFF".as_slice(),
        &(length + 36).to_le_bytes(),
        b"WAVEfmt ",
    ] {
        file.extend(part);
    }
    file.extend(16_u32.to_le_bytes());
    for half in [1_u16, 1] {
        file.extend(half.to_le_bytes());
    }
    for word in [RATE, 2 * RATE] {
        file.extend(word.to_le_bytes());
    }
    for half in [2_u16, 16] {
        file.extend(half.to_le_bytes());
    }
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}
