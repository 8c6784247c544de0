//! Launchers that make calls, whatever becomes of them.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{
    random::Random,
    support::{Client, TestAgent, wait_until},
};

/// The capability that they ask for.
pub const CAPABILITY: &str = "com.example.chaos";
const BUFFERED: &str = r#"[{"writeBufferEnabled": true}]"#;
const PLAIN: &str = "[]";
/// Where a container with write buffer has the host's directory.
const DATA: &str = "/data";
/// As many containers one launcher has at most.
const MOST: usize = 4;

/// A process that a launcher knows.
#[derive(Debug)]
pub struct Known {
    pub container: i32,
    pub pid: u32,
    /// The file that it writes in a write buffer.
    pub file: Option<String>,
}

/// Launchers, each a thread with a connection of its own.
pub struct Launchers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Known>>>,
}

impl Launchers {
    pub fn start(agent: &TestAgent, data: &Path, count: usize, random: &mut Random) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|_| {
            let mut launcher = Launcher {
                client: agent.new_client(),
                data: data.to_owned(),
                random: Random::new(random.next()),
                containers: Vec::new(),
                known: Vec::new(),
            };
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    launcher.call();
                }
                launcher.known
            })
        });
        Self {
            threads: threads.collect(),
            stop,
        }
    }

    /// Ends them after the calls that they are in; the processes that they know.
    pub fn stop(self) -> Vec<Known> {
        self.stop.store(true, Ordering::Relaxed);
        wait_until("every call has come back", || {
            self.threads.iter().all(JoinHandle::is_finished)
        });
        let known = self.threads.into_iter().flat_map(|it| it.join().unwrap());
        known.collect()
    }
}

struct Launcher {
    client: Client,
    data: PathBuf,
    random: Random,
    containers: Vec<i32>,
    known: Vec<Known>,
}

impl Launcher {
    /// Makes one call. Most can fail: what they are about may be gone.
    fn call(&mut self) {
        let client = &self.client;
        let Some(&id) = self.random.choose(&self.containers) else {
            return self.create();
        };
        let result = match self.random.below(16) {
            0..=2 => return self.create(),
            3..=4 => client.destroy(id),
            5 => client.set_capabilities(id, &[CAPABILITY]),
            6 => client.bind_mount(id, "/usr/share", "/mnt/share", true),
            7 => client.suspend(id),
            8..=9 => client.resume(id),
            10 => return self.execute(id, "sleep 1000", None),
            11..=12 => return self.execute(id, "true", None),
            _ => return self.write(id),
        };
        if let Err((name, message)) = result {
            self.failed(id, &name, &message);
        }
    }

    fn create(&mut self) {
        if self.containers.len() >= MOST {
            return;
        }
        let is_buffered = self.random.below(2) == 0;
        let options = if is_buffered { BUFFERED } else { PLAIN };
        let Ok(id) = self.client.create(options) else {
            return std::thread::sleep(Duration::from_millis(5));
        };
        self.containers.push(id);
        if is_buffered {
            let host = self.data.to_str().unwrap();
            if let Err((name, message)) = self.client.bind_mount(id, host, DATA, false) {
                self.failed(id, &name, &message);
            }
        }
    }

    /// Has a process write a file of a name of its own.
    fn write(&mut self, id: i32) {
        static FILES: AtomicU64 = AtomicU64::new(0);
        let name = format!("file-{}", FILES.fetch_add(1, Ordering::Relaxed));
        let command = format!("sh -c 'test -d {DATA} && echo {name} > {DATA}/{name}'");
        self.execute(id, &command, Some(name));
    }

    fn execute(&mut self, container: i32, command: &str, file: Option<String>) {
        match self.client.execute(container, command, "", "", &[]) {
            Ok(pid) => self.known.push(Known {
                container,
                pid,
                file,
            }),
            Err((name, message)) => self.failed(container, &name, &message),
        }
    }

    fn failed(&mut self, id: i32, name: &str, message: &str) {
        let is_gone = !name.ends_with(".Failed") || message.contains("no container");
        if is_gone {
            self.containers.retain(|it| *it != id);
            // The next agent needs a moment.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
