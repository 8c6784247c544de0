//! Apps in containers on the host's buses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "buses/mod.rs"]
mod buses;
mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use buses::{SystemBus, manifest, ready, rule, service, session, system};
use softwarecontainer_agent::host::cgroup::Cgroups;
use support::{Setup, TestAgent, is_alive, signal, wait_until};

fn agent_on(bus: &SystemBus, capabilities: &[(&str, String)]) -> TestAgent {
    let environment = vec![("DBUS_SYSTEM_BUS_ADDRESS".to_owned(), bus.address.clone())];
    TestAgent::with(&Setup {
        environment,
        ..Setup::manifest(&manifest(capabilities))
    })
}

/// A shell command that calls the service's `method` on `bus` ("system" or "session").
fn call(bus: &str, method: &str) -> String {
    format!(
        "gdbus call --{bus} --timeout 5 --dest org.example.Service --object-path /org/example/Test --method org.example.Test.{method} hello"
    )
}

const ECHOED: &str = "('hello',)";

fn echoes(agent: &TestAgent, id: i32, bus: &str, method: &str) -> bool {
    let (status, output) = agent.shell(id, &format!("{} 2>&1", call(bus, method)));
    let answered = output.trim_end() == ECHOED;
    assert!(answered || output.contains("AccessDenied"), "{output}");
    assert_eq!(answered, status == 0);
    answered
}

/// The proxies that the agent has started.
fn proxies(agent: &TestAgent) -> Vec<u32> {
    let children = format!("/proc/{}/task", agent.pid());
    let tasks = fs::read_dir(children)
        .unwrap()
        .map(|task| task.unwrap().path());
    let lists = tasks.filter_map(|task| fs::read_to_string(task.join("children")).ok());
    let pids: Vec<u32> = lists
        .flat_map(|list| {
            list.split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect::<Vec<u32>>()
        })
        .collect();
    let is_proxy = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("softwarecontainer-dbus-proxy")
    };
    pids.into_iter().filter(is_proxy).collect()
}

#[test]
fn an_app_reaches_what_rules_allow_on_both_buses() {
    let bus = SystemBus::start();
    let both = format!(
        "{}, {}",
        session(&[rule("outgoing", "Echo")]),
        system(&[rule("outgoing", "EchoToo")])
    );
    let agent = agent_on(&bus, &[("both", both)]);
    let mut on_session = service(agent.address());
    let id = agent.create();
    agent.client().set_capabilities(id, &["both"]).unwrap();
    assert!(echoes(&agent, id, "session", "Echo"));
    assert!(!echoes(&agent, id, "session", "EchoToo"));
    assert!(echoes(&agent, id, "system", "EchoToo"));
    assert!(!echoes(&agent, id, "system", "Echo"));
    let addresses = agent.shell_ok(
        id,
        "echo $DBUS_SESSION_BUS_ADDRESS $DBUS_SYSTEM_BUS_ADDRESS",
    );
    let expected =
        format!("unix:path=/gateways/sess_SC-{id}.sock unix:path=/gateways/sys_SC-{id}.sock");
    assert_eq!(addresses, expected);
    assert_eq!(proxies(&agent).len(), 1, "one process for both buses");
    on_session.kill().unwrap();
    on_session.wait().unwrap();
}

#[test]
fn an_empty_array_blocks_a_bus_and_an_absent_key_gives_none() {
    let bus = SystemBus::start();
    let agent = agent_on(&bus, &[("blocked", system(&[]))]);
    let id = agent.create();
    agent.client().set_capabilities(id, &["blocked"]).unwrap();
    assert!(!echoes(&agent, id, "system", "Echo"));
    assert_eq!(
        agent.shell_ok(id, "ls /gateways/*.sock"),
        format!("/gateways/sys_SC-{id}.sock")
    );
    assert_eq!(agent.shell_ok(id, "echo -$DBUS_SESSION_BUS_ADDRESS-"), "--");
}

#[test]
fn a_container_without_the_gateway_has_no_proxy() {
    let bus = SystemBus::start();
    let agent = agent_on(&bus, &[]);
    let id = agent.create();
    assert_eq!(agent.shell(id, "ls /gateways/*.sock").0 >> 8, 1);
    assert!(proxies(&agent).is_empty());
}

#[test]
fn rules_grow_with_each_call_and_a_repeat_changes_nothing() {
    let bus = SystemBus::start();
    let agent = agent_on(
        &bus,
        &[
            ("one", system(&[rule("outgoing", "Echo")])),
            ("two", system(&[rule("outgoing", "EchoToo")])),
        ],
    );
    let id = agent.create();
    let client = agent.client();
    client.set_capabilities(id, &["one"]).unwrap();
    let before = proxies(&agent);
    assert!(echoes(&agent, id, "system", "Echo"));
    assert!(!echoes(&agent, id, "system", "EchoToo"));
    client.set_capabilities(id, &["two"]).unwrap();
    client.set_capabilities(id, &["one", "two"]).unwrap();
    assert!(echoes(&agent, id, "system", "Echo"));
    assert!(echoes(&agent, id, "system", "EchoToo"));
    assert_eq!(proxies(&agent), before);
}

#[test]
fn a_proxy_that_dies_is_replaced_and_logged() {
    let bus = SystemBus::start();
    let agent = agent_on(&bus, &[("one", system(&[rule("outgoing", "Echo")]))]);
    let id = agent.create();
    agent.client().set_capabilities(id, &["one"]).unwrap();
    for round in 1..3 {
        let before = proxies(&agent);
        signal(before[0], "KILL");
        assert!(echoes(&agent, id, "system", "Echo"));
        assert_ne!(proxies(&agent), before);
        let said = format!("D-Bus proxy of SC-{id} ended");
        assert_eq!(agent.log().matches(&said).count(), round, "{}", agent.log());
    }
}

/// Opens connections for as long as they work, says how many those are, and keeps them.
const CONNECTION_BOMB: &str = r#"
import os, socket, time
path = os.environ["DBUS_SYSTEM_BUS_ADDRESS"].removeprefix("unix:path=")
uid = str(os.getuid()).encode().hex().encode()
# Hello of the bus driver, without which dbus-daemon does not count a connection as complete
hello = bytes.fromhex("6c01000100000000010000006d000000"
    "01016f00150000002f6f72672f667265656465736b746f702f44427573000000"
    "030173000500000048656c6c6f000000"
    "02017300140000006f72672e667265656465736b746f702e4442757300000000"
    "06017300140000006f72672e667265656465736b746f702e4442757300000000")
kept = []
while len(kept) < 300:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
        connection.sendall(b"\0AUTH EXTERNAL " + uid + b"\r\nBEGIN\r\n" + hello)
        answers = b""
        while b":1." not in answers:
            part = connection.recv(4096)
            if not part:
                raise OSError("closed")
            answers += part
    except OSError:
        break
    kept.append(connection)
print(len(kept), flush=True)
time.sleep(100)
"#;

#[test]
fn a_container_cannot_take_the_connections_of_the_others() {
    let bus = SystemBus::start();
    let agent = agent_on(&bus, &[("one", system(&[rule("outgoing", "Echo")]))]);
    let ids: Vec<i32> = (0..4).map(|_| agent.create()).collect();
    let (victim, attackers) = ids.split_first().unwrap();
    let program = agent.path("bomb.py");
    fs::write(&program, CONNECTION_BOMB).unwrap();
    for &id in &ids {
        agent.client().set_capabilities(id, &["one"]).unwrap();
    }
    for &id in attackers {
        let (client, output) = (agent.client(), agent.path(&format!("bomb-{id}")));
        client
            .bind_mount(id, program.to_str().unwrap(), "/bomb.py", true)
            .unwrap();
        let command = "/usr/bin/python3 -I /bomb.py";
        client
            .execute(id, command, "", output.to_str().unwrap(), &[])
            .unwrap();
        let mut said = String::new();
        wait_until("the attacker has what it can have", || {
            said = fs::read_to_string(&output).unwrap_or_default();
            said.ends_with('\n')
        });
        assert_eq!(said, "32\n");
    }
    assert!(echoes(&agent, *victim, "system", "Echo"));
}

#[test]
fn a_proxy_ends_with_its_container() {
    let bus = SystemBus::start();
    let agent = agent_on(&bus, &[("one", system(&[]))]);
    let ids = [agent.create(), agent.create()];
    for id in ids {
        agent.client().set_capabilities(id, &["one"]).unwrap();
    }
    let all = proxies(&agent);
    assert_eq!(all.len(), 2);
    agent.client().destroy(ids[0]).unwrap();
    assert_eq!(proxies(&agent).len(), 1);
    agent.client().destroy(ids[1]).unwrap();
    assert!(proxies(&agent).is_empty());
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}

/// What an app has its proxy do is bounded with all apps, and tells whose it is. Suspend does not
/// freeze it: others depend on it, too. liblxc moves the agent to the cgroup of each container's
/// monitor for a while; a proxy that stayed there would keep it.
#[test]
fn a_proxy_is_beside_its_container_below_the_bounds_of_all_apps() {
    let bus = SystemBus::start();
    let agent = agent_on(&bus, &[("one", system(&[]))]);
    let cgroups = |pid: u32| Cgroups::of_process(pid).unwrap();
    let own = cgroups(agent.pid()).directories();
    let client = agent.client();
    let ids = [agent.create(), agent.create(), agent.create()];
    std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let client = agent.client();
            for _ in 0..5 {
                let id = agent.create();
                client.destroy(id).unwrap();
            }
        });
        for id in ids {
            client.set_capabilities(id, &["one"]).unwrap();
        }
        signal(proxies(&agent)[0], "KILL");
        others.join().unwrap();
    });
    let bounded = |id: i32, controller: &str| {
        let container = cgroups(agent.init_pid(id)).directory(controller).unwrap();
        container.with_file_name(format!("SC-{id}.helpers"))
    };
    let is_bounded = |proxy: &u32, id: i32| {
        let proxy = cgroups(*proxy);
        ["memory", "cpu", "pids"]
            .iter()
            .all(|it| proxy.directory(it).unwrap() == bounded(id, it))
    };
    wait_until("there is one proxy again beside each container", || {
        let all = proxies(&agent);
        ids.iter()
            .all(|id| all.iter().filter(|it| is_bounded(it, *id)).count() == 1)
    });
    for proxy in proxies(&agent) {
        let beside = |path: &PathBuf| path.to_str().unwrap().ends_with(".helpers");
        for path in cgroups(proxy).directories() {
            assert!(beside(&path) || own.contains(&path), "{path:?}");
        }
    }
    wait_until("the agent is back", || {
        cgroups(agent.pid()).directories() == own
    });
    let frozen = cgroups(agent.init_pid(ids[0]))
        .directory("freezer")
        .unwrap();
    for proxy in proxies(&agent) {
        let freezer = cgroups(proxy).directory("freezer").unwrap();
        assert!(!freezer.starts_with(&frozen), "{freezer:?}");
    }
    for id in ids {
        let left = ["memory", "cpu", "pids"].map(|it| bounded(id, it));
        client.destroy(id).unwrap();
        assert!(!left.iter().any(|it| it.exists()), "{left:?}");
    }
}

#[test]
fn no_proxy_outlives_a_killed_agent() {
    let bus = SystemBus::start();
    let mut agent = agent_on(&bus, &[("one", system(&[]))]);
    let id = agent.create();
    agent.client().set_capabilities(id, &["one"]).unwrap();
    let proxy = proxies(&agent)[0];
    agent.kill();
    wait_until("the proxy has ended", || !is_alive(proxy));
    agent.start_agent();
}

#[test]
fn a_service_in_a_container_can_be_called_from_the_host() {
    let bus = SystemBus::start();
    let own = r#"{"direction": "outgoing", "interface": "org.freedesktop.DBus", "object-path": "/org/freedesktop/DBus", "method": "RequestName"}"#;
    let rules = [rule("incoming", "Echo"), own.to_owned()];
    let agent = agent_on(&bus, &[("serve", session(&rules))]);
    let id = agent.create();
    let client = agent.client();
    client.set_capabilities(id, &["serve"]).unwrap();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../dbus-proxy/tests/support/service.py"
    );
    client
        .bind_mount(id, script, "/tmp/service.py", true)
        .unwrap();
    let command = format!(
        "/usr/bin/python3 /tmp/service.py unix:path=/gateways/sess_SC-{id}.sock org.example.Service"
    );
    let output = agent.path("service-output");
    client
        .execute(id, &command, "", output.to_str().unwrap(), &[])
        .unwrap();
    wait_until("the service is ready", || {
        fs::read_to_string(&output)
            .unwrap_or_default()
            .contains("ready")
    });
    for (method, allowed) in [("Echo", true), ("EchoToo", false)] {
        let mut caller = Command::new("sh");
        caller
            .arg("-c")
            .arg(call("session", method))
            .env("DBUS_SESSION_BUS_ADDRESS", agent.address());
        assert_eq!(
            caller.output().unwrap().status.success(),
            allowed,
            "{method}"
        );
    }
}

#[test]
fn a_call_that_fails_takes_rules_and_sockets_back() {
    let bus = SystemBus::start();
    let more = format!(
        "{}, {}",
        session(&[rule("outgoing", "Echo")]),
        system(&[rule("outgoing", "EchoToo")])
    );
    // The cgroups gateway comes after this one, and no kernel has such a setting.
    let fails = format!(
        r#"{{"name": "fails", "gateways": [{{"id": "dbus", "config": [{more}]}},
        {{"id": "cgroups", "config": [{{"setting": "memory.nonsense", "value": "1"}}]}}]}}"#
    );
    let one = manifest(&[("one", system(&[rule("outgoing", "Echo")]))]);
    let setup = Setup {
        environment: vec![("DBUS_SYSTEM_BUS_ADDRESS".to_owned(), bus.address.clone())],
        manifests: vec![
            ("one.json".to_owned(), one),
            (
                "fails.json".to_owned(),
                format!(r#"{{"version": "1", "capabilities": [{fails}]}}"#),
            ),
        ],
        ..Setup::default()
    };
    let agent = TestAgent::with(&setup);
    let client = agent.client();

    let fresh = agent.create();
    client.set_capabilities(fresh, &["fails"]).unwrap_err();
    assert!(proxies(&agent).is_empty());
    assert_eq!(agent.shell(fresh, "ls /gateways/*.sock").0 >> 8, 1);

    let id = agent.create();
    client.set_capabilities(id, &["one"]).unwrap();
    let before = proxies(&agent);
    let (_, error) = client.set_capabilities(id, &["fails"]).unwrap_err();
    assert!(error.contains("memory.nonsense"), "{error}");
    assert!(echoes(&agent, id, "system", "Echo"));
    assert!(!echoes(&agent, id, "system", "EchoToo"));
    assert_eq!(
        agent.shell_ok(id, "ls /gateways/*.sock"),
        format!("/gateways/sys_SC-{id}.sock")
    );
    assert_eq!(proxies(&agent), before);
}

/// Each connection finds no bus. The log is for people, and is on flash.
#[test]
fn an_app_that_connects_to_a_bus_that_is_away_does_not_flood_the_log() {
    let mut bus = SystemBus::start();
    let agent = agent_on(&bus, &[("test.bus", system(&[]))]);
    let id = agent.create();
    agent.client().set_capabilities(id, &["test.bus"]).unwrap();
    for child in &mut bus.children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let script = r#"
import os, socket, time
path = os.environ["DBUS_SYSTEM_BUS_ADDRESS"].split("=", 1)[1]
end, count = time.monotonic() + 2, 0
while time.monotonic() < end:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
        while client.recv(4096):
            pass
    count += 1
print(count)
"#;
    fs::write(agent.path("connect.py"), script).unwrap();
    let path = agent.path("connect.py");
    agent
        .client()
        .bind_mount(id, path.to_str().unwrap(), "/connect.py", true)
        .unwrap();
    let before = agent.log().lines().count();
    let count: u32 = agent
        .shell_ok(id, "python3 -I -B /connect.py")
        .parse()
        .unwrap();
    let lines = agent.log().lines().count() - before;
    assert!(count > 200, "only {count} connections");
    assert!(lines < 100, "{lines} lines for {count} connections");
}

#[test]
fn an_app_sees_of_the_bus_what_its_rules_are_about() {
    let mut bus = SystemBus::start();
    let rules = [rule("outgoing", "Echo")];
    let agent = agent_on(&bus, &[("echo", system(&rules)), ("nothing", system(&[]))]);
    let secret = ready(Command::new("/usr/bin/python3").args([
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../dbus-proxy/tests/support/service.py"
        ),
        &bus.address,
        "com.other.Secret",
    ]));
    bus.children.push(secret);
    let ask = |id, member: &str, name: &str| {
        let to = "--dest org.freedesktop.DBus --object-path /org/freedesktop/DBus";
        let command = format!(
            "gdbus call --system --timeout 5 {to} --method org.freedesktop.DBus.{member} {name} 2>&1"
        );
        agent.shell(id, &command).1
    };
    let (echo, nothing) = (agent.create(), agent.create());
    agent.client().set_capabilities(echo, &["echo"]).unwrap();
    agent
        .client()
        .set_capabilities(nothing, &["nothing"])
        .unwrap();
    for (id, visible) in [(echo, true), (nothing, false)] {
        let list = ask(id, "ListNames", "");
        assert!(list.contains("org.freedesktop.DBus"), "{list}");
        assert!(!list.contains("Secret"), "{list}");
        assert_eq!(list.contains("org.example.Service"), visible, "{list}");
        let has = |name| ask(id, "NameHasOwner", name).contains("true");
        assert!(!has("com.other.Secret"));
        assert_eq!(has("org.example.Service"), visible);
        for call in ["RequestName", "ReloadConfig", "Introspectable.Introspect"] {
            let arguments = if call == "RequestName" {
                "org.example.Mine 0"
            } else {
                ""
            };
            let answer = ask(id, call, arguments);
            assert!(answer.contains("AccessDenied"), "{call}: {answer}");
        }
    }
    let start = ask(nothing, "StartServiceByName", "org.example.Service 0");
    assert!(start.contains("ServiceUnknown"), "{start}");
}

/// Prints each ProcessStateChanged and InterfacesRemoved that arrives.
const LISTENER: &str = "
import sys, dbus.bus, dbus.mainloop.glib
from gi.repository import GLib
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
connection = dbus.bus.BusConnection(sys.argv[1])
connection.add_signal_receiver(
    lambda *arguments: print(*map(int, arguments), flush=True),
    'ProcessStateChanged', 'com.pelagicore.SoftwareContainerAgent')
connection.add_signal_receiver(
    lambda path, interfaces: print(path, *interfaces, flush=True),
    'InterfacesRemoved', 'org.freedesktop.DBus.ObjectManager')
connection.add_signal_receiver(
    lambda interface, *_, path: print(path, interface, flush=True),
    'PropertiesChanged', 'org.freedesktop.DBus.Properties', path_keyword='path')
print('ready', flush=True)
GLib.MainLoop().run()
";

#[test]
fn the_shipped_policy_lets_nobody_but_the_agent_say_what_becomes_of_processes_and_containers() {
    let policy = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../systemd/com.pelagicore.SoftwareContainerAgent.conf"
    );
    let mut bus = SystemBus::with(&format!("<include>{policy}</include>"));
    let mut listener = Command::new("/usr/bin/python3")
        .args(["-c", LISTENER, &bus.address])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
    bus.children.push(listener);
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let send = |uid, below: &str, signal: &[&str]| {
        let status = Command::new("dbus-send")
            .arg(format!("--bus={}", bus.address))
            .arg("--type=signal")
            .arg(format!("/com/pelagicore/SoftwareContainerAgent{below}"))
            .args(signal)
            .uid(uid)
            .status();
        assert!(status.unwrap().success());
    };
    let ended = |id| {
        let name = "com.pelagicore.SoftwareContainerAgent.ProcessStateChanged";
        [name, id, "uint32:7", "boolean:false", "uint32:0"]
    };
    let removed = |path| {
        let name = "org.freedesktop.DBus.ObjectManager.InterfacesRemoved";
        [name, path, "array:string:com.example.Container"]
    };
    let changed = |interface| {
        [
            "org.freedesktop.DBus.Properties.PropertiesChanged",
            interface,
        ]
    };
    let containers = ["/containers/0", "/containers/31"];
    send(65534, "", &ended("int32:1"));
    send(65534, "", &removed("objpath:/by/another"));
    for container in containers {
        send(65534, container, &changed("string:by.Another"));
    }
    send(0, "", &ended("int32:2"));
    send(0, "", &removed("objpath:/by/root"));
    for container in containers {
        send(0, container, &changed("string:by.Root"));
    }
    // Other services are free to say what they like of themselves.
    send(65534, "Not", &changed("string:by.Another"));
    // What root sent comes through, so the others have not.
    assert_eq!(lines.next().unwrap().unwrap(), "2 7 0 0");
    assert_eq!(
        lines.next().unwrap().unwrap(),
        "/by/root com.example.Container"
    );
    let path = "/com/pelagicore/SoftwareContainerAgent";
    for expected in [
        format!("{path}/containers/0 by.Root"),
        format!("{path}/containers/31 by.Root"),
        format!("{path}Not by.Another"),
    ] {
        assert_eq!(lines.next().unwrap().unwrap(), expected);
    }
}
