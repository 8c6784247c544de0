//! Rules that change, proxies that die, buses that move.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    io::{IoSlice, Read as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use softwarecontainer_dbus_proxy::{
    address::SocketAddress,
    client::{BusAccess, Hook, Left, Options, Proxy, SocketIdentity, Spawn},
    limits,
    wire::Kind,
};
use support::{
    Bus, Endpoint, NOBODY, Setup, eventually, kill,
    raw::{Raw, call, driver_call},
    resources, rules,
};

const INTERFACE: &str = "org.example.Test";
const ALL: &[(&str, &str, &str, &str)] = &[("*", "*", "*", "*")];

/// Whether the client may call the service.
fn may_call(client: &mut Raw, service: &mut Raw, serial: u32) -> bool {
    client.send(&call(
        serial,
        &service.name,
        Some(INTERFACE),
        "/",
        "Ask",
        None,
    ));
    client
        .settle(serial + 1000)
        .iter()
        .all(|message| message.kind != Kind::Error)
        && !service.settle(serial + 2000).is_empty()
}

#[test]
fn rules_count_at_once_on_open_connections_and_can_be_taken_back() {
    let bus = Bus::open();
    let setup = Setup::new(&bus, rules(&[]));
    let mut service = Raw::hello(&bus.path());
    let mut client = Raw::hello(&setup.system.path);
    service.settle(900);
    for (serial, allowed) in (10..).zip([false, true, false, true]) {
        setup.set_rules(rules(if allowed { ALL } else { &[] }));
        assert_eq!(may_call(&mut client, &mut service, serial), allowed);
    }
}

#[test]
fn a_bus_that_is_served_no_longer_closes_its_connections_and_leaves_the_other_alone() {
    let bus = Bus::open();
    let setup = Setup::without_rules(&bus, &bus);
    let session = || Some(setup.session.service(rules(&[])));
    let system = || Some(setup.system.service(rules(&[])));
    setup.proxy.serve([session(), system()]).unwrap();
    let (mut on_session, mut on_system) = (
        Raw::hello(&setup.session.path),
        Raw::hello(&setup.system.path),
    );
    setup.proxy.serve([None, system()]).unwrap();
    assert!(on_session.is_closed());
    on_system.settle(2);
    setup.proxy.serve([session(), system()]).unwrap();
    Raw::hello(&setup.session.path);
    on_system.settle(3);
}

#[test]
fn a_proxy_that_dies_is_started_again_on_the_same_sockets_with_the_same_rules() {
    let bus = Bus::open();
    let setup = Setup::new(&bus, rules(ALL));
    let mut service = Raw::hello(&bus.path());
    service.settle(2);
    for _ in 0..3 {
        let mut old = Raw::hello(&setup.system.path);
        let pid = setup.pid();
        kill(pid);
        assert!(old.is_closed());
        // Whoever connects meanwhile waits.
        let mut client = Raw::hello(&setup.system.path);
        assert!(may_call(&mut client, &mut service, 10));
        assert_ne!(setup.pid(), pid);
    }
}

#[test]
fn new_rules_that_meet_a_dead_proxy_are_in_force_when_serve_returns() {
    let bus = Bus::open();
    let setup = Setup::new(&bus, rules(&[]));
    let mut service = Raw::hello(&bus.path());
    service.settle(2);
    kill(setup.pid());
    setup.set_rules(rules(ALL));
    let mut client = Raw::hello(&setup.system.path);
    assert!(may_call(&mut client, &mut service, 10));
}

#[test]
fn a_proxy_ends_with_its_handle() {
    let bus = Bus::open();
    let setup = Setup::new(&bus, rules(ALL));
    let pid = setup.pid();
    drop(setup);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_proxy_ends_when_its_agent_is_killed() {
    // The same that happens to the socket then: it closes.
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_softwarecontainer-dbus-proxy"))
        .args([
            "--uid",
            "65534",
            "--gid",
            "65534",
            "--system-bus",
            "unix:path=/nowhere",
        ])
        .stdin(std::os::fd::OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(child.try_wait().unwrap().is_none());
    drop(ours);
    assert!(child.wait().unwrap().success());
}

/// A proxy process whose agent has been killed: it serves `endpoint` with rules that allow
/// everything, and the agent was about to say something and had half read an answer.
struct Orphan {
    child: std::process::Child,
    control: UnixStream,
}

impl Orphan {
    fn new(bus: &Bus, endpoint: &Endpoint) -> Self {
        let (mut control, theirs) = UnixStream::pair().unwrap();
        let program = env!("CARGO_BIN_EXE_softwarecontainer-dbus-proxy");
        let id = NOBODY.to_string();
        let child = std::process::Command::new(program)
            .args(["--uid", &id, "--gid", &id, "--system-bus", &bus.address])
            .stdin(OwnedFd::from(theirs))
            .spawn()
            .unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut listener = SendAncillaryBuffer::new(&mut space);
        let service = endpoint.service(rules(ALL));
        let descriptors = [service.listener.as_fd()];
        assert!(listener.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let text = IoSlice::new(b"bus system 1\n*\t*\t*\t*\nsync 1\n");
        rustix::net::sendmsg(&control, &[text], &mut listener, SendFlags::empty()).unwrap();
        control.read_exact(&mut [0; 3]).unwrap();
        control.write_all(b"bus system 1\n*\t*").unwrap();
        Self { child, control }
    }

    fn left(&self) -> Left {
        let pid = rustix::process::Pid::from_child(&self.child);
        let flags = rustix::process::PidfdFlags::empty();
        Left {
            pid: self.child.id(),
            process: rustix::process::pidfd_open(pid, flags).unwrap(),
            control: self.control.try_clone().unwrap().into(),
            sockets: [SocketIdentity::default(); 2],
        }
    }
}

#[test]
fn another_agent_goes_on_with_a_proxy_whose_connections_stay_open() {
    let bus = Bus::open();
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::new(directory.path().join("app"));
    let mut orphan = Orphan::new(&bus, &endpoint);
    let mut service = Raw::hello(&bus.path());
    let mut client = Raw::hello(&endpoint.path);
    service.settle(900);
    assert!(may_call(&mut client, &mut service, 10));
    let options = system_only(
        env!("CARGO_BIN_EXE_softwarecontainer-dbus-proxy"),
        bus.path(),
    );
    let services = |allowed: &[_]| [None, Some(endpoint.service(rules(allowed)))];
    let proxy = Proxy::adopt(options, orphan.left(), services(&[])).unwrap();
    eventually("its rules are in force", || {
        static SERIAL: AtomicU32 = AtomicU32::new(11);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        !may_call(&mut client, &mut service, serial)
    });
    proxy.serve(services(ALL)).unwrap();
    assert!(may_call(&mut client, &mut service, 500));
    let mut second = Raw::hello(&endpoint.path);
    assert!(may_call(&mut second, &mut service, 600));
    assert_eq!(proxy.pid(), Some(orphan.child.id()));
    // As any other, it is started again when it dies, and ends with its handle.
    kill(orphan.child.id());
    orphan.child.wait().unwrap();
    assert!(client.is_closed());
    let mut third = Raw::hello(&endpoint.path);
    assert!(may_call(&mut third, &mut service, 700));
    drop(proxy);
    assert!(third.is_closed());
}

#[test]
fn one_that_has_ended_without_an_agent_is_replaced_on_the_same_socket() {
    let bus = Bus::open();
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::new(directory.path().join("app"));
    let mut orphan = Orphan::new(&bus, &endpoint);
    let left = orphan.left();
    orphan.child.kill().unwrap();
    orphan.child.wait().unwrap();
    let options = system_only(
        env!("CARGO_BIN_EXE_softwarecontainer-dbus-proxy"),
        bus.path(),
    );
    let services = [None, Some(endpoint.service(rules(ALL)))];
    let proxy = Proxy::adopt(options, left, services).unwrap();
    let mut service = Raw::hello(&bus.path());
    let mut client = Raw::hello(&endpoint.path);
    service.settle(900);
    assert!(may_call(&mut client, &mut service, 10));
    assert_ne!(proxy.pid(), Some(orphan.child.id()));
}

/// A proxy of the bus at `address` alone.
fn system_only(program: &str, address: impl Into<PathBuf>) -> Options {
    Options {
        program: program.into(),
        name: "SC-test".to_owned(),
        session: None,
        system: BusAccess {
            address: SocketAddress::Path(address.into()),
            uid: NOBODY,
        },
        gid: NOBODY,
        connections: limits::CONNECTIONS,
        pending_calls: limits::PENDING_CALLS,
        spawn: Spawn::default(),
        restarted: Hook::default(),
        refused: None,
    }
}

#[test]
fn a_bus_that_comes_late_or_moves_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let address = directory.path().join("bus");
    let endpoint = Endpoint::new(directory.path().join("app"));
    let options = system_only(env!("CARGO_BIN_EXE_softwarecontainer-dbus-proxy"), &address);
    let proxy = Proxy::start(options).unwrap();
    // Allowing is not refused for want of a bus.
    proxy
        .serve([None, Some(endpoint.service(rules(&[])))])
        .unwrap();
    assert!(!works(&endpoint));
    for _ in 0..2 {
        let bus = Bus::open();
        let _ = std::fs::remove_file(&address);
        std::fs::hard_link(bus.path(), &address).unwrap();
        eventually("the bus is found", || works(&endpoint));
    }
}

fn works(endpoint: &Endpoint) -> bool {
    let mut raw = Raw::connect(&endpoint.path);
    let mut bytes = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n".to_vec();
    bytes.extend(driver_call(1, "Hello", None));
    let sent = std::io::Write::write_all(&mut raw.stream, &bytes).is_ok();
    // The answer to the authentication comes from the proxy, the next one from the bus.
    sent && raw.has_answer() && raw.has_answer()
}

#[test]
fn a_proxy_that_cannot_be_started_is_an_error_that_names_it() {
    let options = system_only("/nowhere/proxy", "/x");
    let error = softwarecontainer_dbus_proxy::error_chain(&Proxy::start(options).unwrap_err());
    assert!(
        error.contains("/nowhere/proxy") && error.contains("No such file"),
        "{error}"
    );
}

#[test]
fn a_program_that_is_no_proxy_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::new(directory.path().join("app"));
    let options = system_only("/bin/true", "/x");
    let proxy = Proxy::start(options).unwrap();
    proxy
        .serve([None, Some(endpoint.service(rules(&[])))])
        .unwrap_err();
}

#[test]
fn many_rules_are_taken() {
    let bus = Bus::open();
    let setup = Setup::new(&bus, rules(&[]));
    let many =
        (0..5000).map(|number| support::rule(">", &format!("org.example.I{number}"), "/*", "M*"));
    setup.set_rules(
        many.chain([support::rule(">", INTERFACE, "*", "*")])
            .collect(),
    );
    let mut service = Raw::hello(&bus.path());
    let mut client = Raw::hello(&setup.system.path);
    service.settle(2);
    assert!(may_call(&mut client, &mut service, 10));
    assert!(resources(setup.pid()).memory < 3000);
}
