//! Memory that a suspended container gives back.

use std::{
    fs::{self, File},
    io::Write as _,
    process::Command,
};

use crate::{
    error,
    support::{Setup, TestAgent, wait_until},
};

/// How much the app has of a file.
const MAPPED: u64 = 32 << 20;
/// Uses its memory, and says on SIGUSR1 whether all of it is what it was.
const APP: &str = r#"
import mmap, os, signal, sys
file = os.open("/data/file", os.O_RDONLY)
pages = mmap.mmap(file, 0, prot=mmap.PROT_READ)
own = bytearray(b"mine" * (1 << 20))
def whole():
    return pages[::4096] == b"x" * (len(pages) // 4096) and own == b"mine" * (1 << 20)
def tell(*_):
    print("intact" if whole() else "changed", flush=True)
signal.signal(signal.SIGUSR1, tell)
print("ready" if whole() else "wrong", flush=True)
while True:
    signal.pause()
"#;

struct App<'a> {
    agent: &'a TestAgent,
    id: i32,
    pid: u32,
}

impl<'a> App<'a> {
    fn start(agent: &'a TestAgent) -> Self {
        let client = agent.client();
        let id = agent.create();
        let data = agent.path("data");
        fs::create_dir(&data).unwrap();
        let mut file = File::create(data.join("file")).unwrap();
        let size = usize::try_from(MAPPED).unwrap();
        file.write_all(&vec![b'x'; size]).unwrap();
        // The kernel takes no page that is not on disk.
        file.sync_all().unwrap();
        fs::write(data.join("app.py"), APP).unwrap();
        client
            .bind_mount(id, data.to_str().unwrap(), "/data", true)
            .unwrap();
        let output = agent.path("output");
        let output = output.to_str().unwrap();
        let pid = client
            .execute(id, "python3 /data/app.py", "", output, &[])
            .unwrap();
        let app = Self { agent, id, pid };
        app.wait_for("ready\n");
        app
    }

    fn wait_for(&self, output: &str) {
        wait_until(output, || {
            fs::read_to_string(self.agent.path("output")).unwrap() == output
        });
    }

    /// Its bytes in memory.
    fn resident(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.pid)).unwrap();
        let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    fn is_as_before(&self) {
        self.agent.client().resume(self.id).unwrap();
        let pid = self.pid.to_string();
        let signal = Command::new("kill").args(["-USR1", &pid]).status();
        assert!(signal.unwrap().success());
        self.wait_for("ready\nintact\n");
    }
}

#[test]
fn a_suspended_container_gives_its_memory_back_and_goes_on_with_it() {
    let agent = TestAgent::start();
    let app = App::start(&agent);
    let client = agent.client();
    let reclaim = || client.manage("Reclaim", &app.id);
    let (name, text) = reclaim().unwrap_err();
    assert_eq!(name, error!("WrongState"), "{text}");
    assert!(text.contains("cannot reclaim its memory"), "{text}");

    client.suspend(app.id).unwrap();
    let before = app.resident();
    let bytes: u64 = reclaim().unwrap().body().deserialize().unwrap();
    // Without swap it is what is of files.
    assert!(bytes > MAPPED / 2, "{bytes} of {before}");
    assert!(app.resident() < before - MAPPED / 2);
    app.is_as_before();
    assert!(app.resident() > before - MAPPED / 2);
}

#[test]
fn suspend_takes_the_memory_where_the_configuration_says_so() {
    let agent = TestAgent::with(&Setup {
        config: "reclaim-when-suspended = true\n".to_owned(),
        ..Setup::default()
    });
    let app = App::start(&agent);
    let before = app.resident();
    agent.client().suspend(app.id).unwrap();
    assert!(app.resident() < before - MAPPED / 2);
    let log = agent.log();
    assert!(
        log.contains(&format!("container {}: ", app.id)) && log.contains("were reclaimed"),
        "{log}"
    );
    app.is_as_before();
}
