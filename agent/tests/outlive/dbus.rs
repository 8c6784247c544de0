//! D-Bus: proxies, their connections and rules.

use std::{fs, path::PathBuf};

use crate::{
    buses::{SystemBus, manifest, rule, service, session, system},
    restart,
    support::{Setup, TestAgent, is_alive, signal, wait_until},
};

/// Calls the service over one connection, and tells each answer and the connection's name.
const CALLER: &str = r#"
import dbus, itertools, sys, time
bus = getattr(dbus, sys.argv[1])()
test = bus.get_object("org.example.Service", "/org/example/Test", introspect=False)
for number in itertools.count():
    assert test.Echo(str(number), dbus_interface="org.example.Test") == str(number)
    print(number, bus.get_unique_name(), flush=True)
    time.sleep(0.005)
"#;

/// An app that calls over one connection.
struct Caller {
    pid: u32,
    output: PathBuf,
}

impl Caller {
    fn start(agent: &TestAgent, id: i32, bus: &str) -> Self {
        let program = agent.path("caller.py");
        fs::write(&program, CALLER).unwrap();
        let inside = format!("/caller-{bus}.py");
        let client = agent.client();
        client
            .bind_mount(id, program.to_str().unwrap(), &inside, true)
            .unwrap();
        let output = agent.path(&format!("caller-{id}-{bus}"));
        let command = format!("/usr/bin/python3 {inside} {bus}");
        let pid = client
            .execute(id, &command, "", output.to_str().unwrap(), &[])
            .unwrap();
        let caller = Self { pid, output };
        caller.is_answered();
        caller
    }

    /// Checks that every call so far was answered over the same connection, and that they go on.
    fn is_answered(&self) {
        let said = || fs::read_to_string(&self.output).unwrap_or_default();
        let before = said().lines().count();
        wait_until("its calls are answered", || {
            let said = said();
            assert!(!said.contains("Traceback"), "{said}");
            said.lines().count() > before + 3
        });
        let text = said();
        let mut lines = text.split_inclusive('\n').filter(|it| it.ends_with('\n'));
        let name = text.lines().next().unwrap().strip_prefix("0 ").unwrap();
        assert!(lines.all(|line| line.trim_end().ends_with(name)), "{text}");
        assert!(is_alive(self.pid));
    }
}

fn supervised(bus: &SystemBus, capabilities: &[(&str, String)]) -> TestAgent {
    TestAgent::with(&Setup {
        environment: vec![("DBUS_SYSTEM_BUS_ADDRESS".to_owned(), bus.address.clone())],
        supervised: true,
        ..Setup::manifest(&manifest(capabilities))
    })
}

/// The proxies of a test's containers, whoever has started them.
fn proxies(bus: &SystemBus) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|it| it.unwrap().file_name().to_str()?.parse().ok());
    let is_proxy = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("softwarecontainer-dbus-proxy") && line.contains(&bus.address)
    };
    pids.filter(is_proxy).collect()
}

/// Whether a new connection may call the service's `method` on the system bus.
fn may_call(agent: &TestAgent, id: i32, method: &str) -> bool {
    let call = format!(
        "gdbus call --system --timeout 20 --dest org.example.Service --object-path \
         /org/example/Test --method org.example.Test.{method} hello 2>&1"
    );
    let (status, output) = agent.shell(id, &call);
    assert!(
        status == 0 || output.contains("AccessDenied"),
        "{method}: {output}"
    );
    status == 0
}

#[test]
fn connections_to_both_buses_stay_open_and_rules_can_be_added() {
    let bus = SystemBus::start();
    let rules = [rule("outgoing", "Echo")];
    let both = format!("{}, {}", session(&rules), system(&rules));
    let more = system(&[rule("outgoing", "EchoToo")]);
    let mut agent = supervised(&bus, &[("both", both), ("more", more)]);
    let mut on_session = service(agent.address());
    let id = agent.create();
    agent.client().set_capabilities(id, &["both"]).unwrap();
    let callers = ["SystemBus", "SessionBus"].map(|bus| Caller::start(&agent, id, bus));
    let before = proxies(&bus);
    assert_eq!(before.len(), 1);
    for round in 0..3 {
        agent.kill();
        callers.iter().for_each(Caller::is_answered);
        agent.start_agent();
        callers.iter().for_each(Caller::is_answered);
        assert_eq!(agent.client().list().unwrap(), [id]);
        assert_eq!(proxies(&bus), before);
        assert!(may_call(&agent, id, "Echo"));
        assert_eq!(may_call(&agent, id, "EchoToo"), round > 0);
        agent.client().set_capabilities(id, &["more"]).unwrap();
        assert!(may_call(&agent, id, "EchoToo"));
    }
    assert_eq!(agent.supervisor().names().len(), 4);
    agent.client().destroy(id).unwrap();
    assert_eq!(proxies(&bus), [0; 0]);
    assert!(agent.supervisor().names().is_empty());
    assert_eq!(agent.stop(), Some(0));
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    on_session.kill().unwrap();
    on_session.wait().unwrap();
}

#[test]
fn a_proxy_that_ends_is_replaced_whichever_agent_is_there_or_none() {
    let bus = SystemBus::start();
    let one = system(&[rule("outgoing", "Echo")]);
    let mut agent = supervised(&bus, &[("one", one)]);
    let id = agent.create();
    agent.client().set_capabilities(id, &["one"]).unwrap();
    // Without an agent.
    agent.kill();
    signal(proxies(&bus)[0], "KILL");
    agent.start_agent();
    assert!(may_call(&agent, id, "Echo"));
    // Its agent has not started it.
    restart(&mut agent);
    let [adopted] = proxies(&bus).try_into().unwrap();
    signal(adopted, "KILL");
    assert!(may_call(&agent, id, "Echo"));
    // What was written down of the one before is of no use.
    let caller = Caller::start(&agent, id, "SystemBus");
    let second = proxies(&bus);
    restart(&mut agent);
    caller.is_answered();
    assert_eq!(proxies(&bus), second);
    assert_eq!(agent.stop(), Some(0));
    assert_eq!(proxies(&bus), [0; 0]);
}

#[test]
fn without_its_descriptors_a_proxy_is_made_anew_and_the_container_goes_on() {
    let bus = SystemBus::start();
    let one = system(&[rule("outgoing", "Echo")]);
    let mut agent = supervised(&bus, &[("one", one)]);
    let id = agent.create();
    agent.client().set_capabilities(id, &["one"]).unwrap();
    let app = agent
        .client()
        .execute(id, "sleep 1000", "", "", &[])
        .unwrap();
    for lost in [".dbus", ".dbus-system"] {
        let before = proxies(&bus);
        agent.kill();
        agent.supervisor().lose(lost);
        agent.start_agent();
        assert!(may_call(&agent, id, "Echo"), "{lost}");
        assert!(is_alive(app), "{lost}");
        let after = proxies(&bus);
        assert_eq!(after.len(), 1, "{lost}");
        assert_eq!(after != before, lost == ".dbus");
    }
    assert_eq!(agent.stop(), Some(0));
}

/// A proxy of another version may not understand what it is told.
#[test]
fn a_proxy_of_another_version_is_replaced() {
    let bus = SystemBus::start();
    let one = system(&[rule("outgoing", "Echo")]);
    let mut agent = supervised(&bus, &[("one", one)]);
    let id = agent.create();
    agent.client().set_capabilities(id, &["one"]).unwrap();
    let before = proxies(&bus);
    agent.kill();
    let state = fs::read_dir(agent.path("mounts/state")).unwrap();
    let path = state.map(|it| it.unwrap().path()).next().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let other = text.replace(
        r#""version":1},"devicenode""#,
        r#""version":0},"devicenode""#,
    );
    assert_ne!(text, other);
    fs::write(&path, other).unwrap();
    agent.start_agent();
    assert!(may_call(&agent, id, "Echo"));
    wait_until("the other one has ended", || {
        let now = proxies(&bus);
        now.len() == 1 && now != before
    });
    assert_eq!(agent.client().list().unwrap(), [id]);
    agent.client().destroy(id).unwrap();
    assert!(agent.supervisor().names().is_empty());
}
