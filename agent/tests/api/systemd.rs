//! What the agent tells systemd (sd_notify(3)).

use std::{
    os::unix::net::UnixDatagram,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::support::{Client, PATIENCE, Setup, TestAgent};

/// The socket of a service manager, and an agent that is to be started under it.
fn prepared(dir: &tempfile::TempDir, more: &[(&str, &str)]) -> (UnixDatagram, TestAgent) {
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(*PATIENCE)).unwrap();
    let mut environment = vec![(
        "NOTIFY_SOCKET".to_owned(),
        path.to_str().unwrap().to_owned(),
    )];
    environment.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let agent = TestAgent::prepared(&Setup {
        environment,
        ..Setup::default()
    });
    (socket, agent)
}

fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let count = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[test]
fn it_is_ready_once_it_can_be_called_and_says_that_it_stops() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let (socket, agent) = prepared(&dir, &[]);
    let mut child = agent
        .command()
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let first = receive(&socket);
    assert!(first.lines().any(|line| line == "READY=1"), "{first}");
    // At once, without a second attempt.
    let client = Client::connect(agent.address());
    assert!(client.list().unwrap().is_empty());
    assert_eq!(client.create("[]"), Ok(0));
    crate::support::signal(child.id(), "TERM");
    let next = receive(&socket);
    assert!(next.lines().any(|line| line == "STOPPING=1"), "{next}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_is_not_ready_if_it_cannot_have_its_name() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let running = TestAgent::start();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let output = running
        .command()
        .env("NOTIFY_SOCKET", &path)
        .output()
        .unwrap();
    assert!(!output.status.success());
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 4096];
    while let Ok(count) = socket.recv(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        assert!(!text.contains("READY=1"), "{text}");
    }
}

/// How long systemd would wait for a sign of life.
const WATCHDOG: Duration = Duration::from_millis(400);

#[test]
fn the_watchdog_is_fed_also_while_containers_come_and_go() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let (socket, mut agent) = prepared(
        &dir,
        &[("WATCHDOG_USEC", &WATCHDOG.as_micros().to_string())],
    );
    agent.start_agent();
    while !receive(&socket).contains("READY=1") {}
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (agent, done) = (&agent, &done);
        let cycling = scope.spawn(move || {
            let mut cycles = 0;
            while !done.load(Ordering::Relaxed) {
                let id = agent.create();
                agent.client().destroy(id).unwrap();
                cycles += 1;
            }
            cycles
        });
        let (started, mut pings) = (Instant::now(), 0);
        while pings < 8 {
            pings += u32::from(receive(&socket).contains("WATCHDOG=1"));
        }
        let whole = started.elapsed();
        done.store(true, Ordering::Relaxed);
        assert!(cycling.join().unwrap() > 0);
        // systemd would not have ended it, on the average at least: one moment may be a busy
        // machine's.
        assert!(whole / pings < WATCHDOG, "{pings} pings in {whole:?}");
    });
}

#[test]
fn apps_know_nothing_of_the_service_manager() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let (_socket, mut agent) = prepared(&dir, &[("WATCHDOG_USEC", "60000000")]);
    agent.start_agent();
    let id = agent.create();
    let variables = agent.shell_ok(id, "env");
    for name in ["NOTIFY_SOCKET", "WATCHDOG", "DBUS_SESSION_BUS_ADDRESS"] {
        assert!(!variables.contains(name), "{variables}");
    }
}
