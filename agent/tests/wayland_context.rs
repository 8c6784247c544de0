//! Compositors that know security contexts, and such that do not: real ones, as the app sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod compositor;
mod newer_debian;
mod support;
mod unable;

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::Read as _,
    os::unix::net::UnixListener,
    path::Path,
    process::Command,
};

use compositor::{Compositor, PRIVILEGED, globals};
use support::{Setup, TestAgent, is_alive, signal, wait_until};
use tempfile::TempDir;

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.wayland", "gateways": [{"id": "wayland", "config": [{"enabled": true}]}]}
]}"#;

fn agent(socket: &Path, mode: &str) -> TestAgent {
    let mut setup = Setup::manifest(MANIFEST);
    setup.config = format!(
        "wayland-socket = {}\nwayland-security-context = {mode}",
        socket.display()
    );
    setup.supervised = true;
    TestAgent::with(&setup)
}

fn grant(agent: &TestAgent, id: i32) -> Result<(), (String, String)> {
    agent.client().set_capabilities(id, &["test.wayland"])
}

/// What an app is offered.
fn app_globals(agent: &TestAgent, id: i32) -> BTreeMap<String, u32> {
    globals(&agent.shell(id, "wayland-info").1)
}

fn assert_is_app(offered: &BTreeMap<String, u32>) {
    for name in ["wl_compositor", "wl_shm", "wl_seat", "xdg_wm_base"] {
        assert!(offered.contains_key(name), "{name}: {offered:?}");
    }
    for name in PRIVILEGED {
        assert!(!offered.contains_key(name), "{name}: {offered:?}");
    }
}

#[test]
fn app_is_offered_what_is_for_apps_and_draws() {
    let Some(compositor) = Compositor::labwc() else {
        return;
    };
    for mode in ["auto", "required"] {
        let agent = agent(&compositor.socket(), mode);
        let id = agent.create();
        grant(&agent, id).unwrap();
        let (plain, app) = (compositor.globals(), app_globals(&agent, id));
        for name in plain.keys() {
            let mark = if app.contains_key(name) { "yes" } else { "-" };
            println!("{name:50} plain client: yes, app: {mark}");
        }
        for name in PRIVILEGED {
            assert!(plain.contains_key(name), "{name}: {plain:?}");
        }
        assert_is_app(&app);
        let variables = agent.shell_ok(id, "echo $XDG_RUNTIME_DIR $WAYLAND_DISPLAY");
        assert_eq!(variables, "/gateways wayland-0");
        let output = agent.path("client");
        let client = "sh -c 'WAYLAND_DEBUG=1 exec weston-simple-shm'";
        let pid = agent
            .client()
            .execute(id, client, "", output.to_str().unwrap(), &[])
            .unwrap();
        wait_until("its frames are shown", || {
            let log = fs::read_to_string(&output).unwrap_or_default();
            log.lines()
                .any(|it| it.contains("wl_callback") && it.contains(".done("))
        });
        signal(pid, "TERM");
        agent.client().wait_ended(id, pid);
        let before = compositor.descriptors();
        agent.client().destroy(id).unwrap();
        // The listening socket, and what tells for how long.
        wait_until("the compositor has forgotten the container", || {
            compositor.descriptors() + 2 <= before
        });
    }
}

/// By the messages that reach the compositor, and by what it does with them: a rule of its closes
/// the windows of one app.
#[test]
fn compositor_knows_engine_app_and_instance_of_who_draws() {
    let closing = |app: &str| {
        format!(
            "<windowRules><windowRule sandboxEngine='com.pelagicore.SoftwareContainer' \
             sandboxAppId='{app}'><action name='Close'/></windowRule></windowRules>"
        )
    };
    let Some(mut compositor) = Compositor::labwc_with(&closing("org.example.Map")) else {
        return;
    };
    let agent = agent(&compositor.socket(), "required");
    let client = agent.client();
    let config = r#"[{"writeBufferEnabled": false}]"#;
    let none = HashMap::<&str, zbus::Variant<'_>>::new();
    let named = client.manage("CreateNamed", &(config, "org.example.Map", none));
    let (named, _): (i32, zbus::OwnedObjectPath) = named.unwrap().body().deserialize().unwrap();
    let unnamed = agent.create();
    assert_eq!([named, unnamed], [0, 1]);
    for id in [named, unnamed] {
        grant(&agent, id).unwrap();
    }
    let draw = |id, output: &str| {
        let draw = "sh -c 'WAYLAND_DEBUG=1 exec weston-simple-shm'";
        let output = agent.path(output);
        let _ = fs::remove_file(&output);
        let pid = client.execute(id, draw, "", output.to_str().unwrap(), &[]);
        let shown = move || {
            let log = fs::read_to_string(&output).unwrap_or_default();
            log.contains("wl_buffer") && log.matches(".done(").count() > 20
        };
        (pid.unwrap(), shown)
    };
    for (closed, goes_on) in [(named, unnamed), (unnamed, named)] {
        let log = compositor.log();
        for (id, app) in [(named, "org.example.Map"), (unnamed, "SC-1")] {
            for (request, value) in [
                ("set_sandbox_engine", "com.pelagicore.SoftwareContainer"),
                ("set_app_id", app),
                ("set_instance_id", &format!("SC-{id}")),
            ] {
                let line = format!(r#".{request}("{value}")"#);
                assert!(log.contains(&line), "{line}");
            }
        }
        let (pid, _) = draw(closed, "closed");
        assert_eq!(client.wait_ended(closed, pid).exit_code, 0);
        let (pid, shown) = draw(goes_on, "goes-on");
        wait_until("the other app goes on drawing", shown);
        signal(pid, "KILL");
        client.wait_ended(goes_on, pid);
        compositor.stop();
        compositor.configure(&closing("SC-1"));
        compositor.start();
        wait_until("it is told again", || {
            compositor.log().matches(".set_instance_id(").count() == 2
        });
    }
    for id in [named, unnamed] {
        client.destroy(id).unwrap();
    }
}

#[test]
fn restarted_compositor_knows_the_apps_again() {
    let Some(mut compositor) = Compositor::labwc() else {
        return;
    };
    let agent = agent(&compositor.socket(), "auto");
    let ids = [agent.create(), agent.create()];
    for id in ids {
        grant(&agent, id).unwrap();
        assert_is_app(&app_globals(&agent, id));
    }
    for _ in 0..2 {
        compositor.stop();
        // Who connects meanwhile waits for the next one.
        let output = agent.path("waiting");
        let waiting = output.to_str().unwrap();
        let pid = agent
            .client()
            .execute(ids[0], "wayland-info", "", waiting, &[])
            .unwrap();
        compositor.start();
        assert_eq!(agent.client().wait_ended(ids[0], pid).exit_code, 0);
        assert_is_app(&globals(&fs::read_to_string(&output).unwrap()));
        assert_is_app(&app_globals(&agent, ids[1]));
    }
    for id in ids {
        agent.client().destroy(id).unwrap();
    }
}

#[test]
fn apps_of_a_killed_agent_go_on_to_draw_and_are_known_as_before() {
    let Some(mut compositor) = Compositor::labwc() else {
        return;
    };
    let mut agent = agent(&compositor.socket(), "required");
    let id = agent.create();
    grant(&agent, id).unwrap();
    let output = agent.path("client");
    let command = "sh -c 'WAYLAND_DEBUG=1 exec weston-simple-shm'";
    let (client, output_name) = (agent.client(), output.to_str().unwrap());
    let drawing = client.execute(id, command, "", output_name, &[]).unwrap();
    let frames = || {
        let log = fs::read_to_string(&output).unwrap_or_default();
        let is_frame = |line: &&str| line.contains("wl_callback") && line.contains(".done(");
        log.lines().filter(is_frame).count()
    };
    wait_until("its frames are shown", || frames() > 3);
    for _ in 0..2 {
        agent.kill();
        let before = frames();
        wait_until("it draws without an agent", || frames() > before + 3);
        agent.start_agent();
        let before = frames();
        wait_until("it draws on", || frames() > before + 3);
        assert_is_app(&app_globals(&agent, id));
    }
    assert!(is_alive(drawing));
    // Restarted while there was no agent.
    agent.kill();
    compositor.stop();
    compositor.start();
    agent.start_agent();
    assert_is_app(&app_globals(&agent, id));
    let before = compositor.descriptors();
    agent.client().destroy(id).unwrap();
    wait_until("the compositor has forgotten the container", || {
        compositor.descriptors() + 2 <= before
    });
    assert!(agent.supervisor().names().is_empty());
}

/// A plain mount of the compositor's socket.
#[test]
fn displays_without_contexts_outlive_the_agent() {
    let mut compositor = Compositor::weston();
    let mut agent = agent(&compositor.socket(), "auto");
    let id = agent.create();
    grant(&agent, id).unwrap();
    assert!(app_globals(&agent, id).contains_key("xdg_wm_base"));
    agent.kill();
    agent.start_agent();
    assert!(app_globals(&agent, id).contains_key("xdg_wm_base"));
    agent.kill();
    compositor.stop();
    compositor.start();
    agent.start_agent();
    assert!(app_globals(&agent, id).contains_key("xdg_wm_base"));
    agent.client().destroy(id).unwrap();
}

#[test]
fn socket_is_the_compositors_own_when_contexts_are_off() {
    let Some(compositor) = Compositor::labwc() else {
        return;
    };
    let agent = agent(&compositor.socket(), "off");
    let id = agent.create();
    grant(&agent, id).unwrap();
    let names = |globals: BTreeMap<String, u32>| globals.into_keys().collect::<Vec<_>>();
    assert_eq!(names(app_globals(&agent, id)), names(compositor.globals()));
    agent.client().destroy(id).unwrap();
}

#[test]
fn compositor_without_contexts_is_used_as_it_is_unless_they_are_required() {
    let compositor = Compositor::weston();
    let plain = compositor.globals();
    assert!(!plain.contains_key("wp_security_context_manager_v1"));
    let auto = agent(&compositor.socket(), "auto");
    let id = auto.create();
    grant(&auto, id).unwrap();
    assert!(app_globals(&auto, id).contains_key("xdg_wm_base"));
    auto.client().destroy(id).unwrap();
    let required = agent(&compositor.socket(), "required");
    let id = required.create();
    let (_, text) = grant(&required, id).unwrap_err();
    assert!(text.contains("gateway wayland"), "{text}");
    let expected = format!(
        "the compositor at {} does not offer wp_security_context_manager_v1",
        compositor.socket().display()
    );
    assert!(text.contains(&expected), "{text}");
    assert_eq!(required.shell_ok(id, "ls /gateways"), "");
    required.client().destroy(id).unwrap();
}

#[test]
fn program_that_asks_a_hung_compositor_has_no_privileges_and_is_not_waited_for() {
    let dir = TempDir::with_prefix("sc-compositor-").unwrap();
    let socket = dir.path().join("wayland-0");
    let mut hung = Command::new("nc").arg("-lkU").arg(&socket).spawn().unwrap();
    wait_until("somebody listens", || socket.exists());
    let agent = agent(&socket, "auto");
    let id = agent.create();
    let address = agent.address().to_owned();
    let granted = std::thread::spawn(move || {
        support::Client::connect(&address).set_capabilities(id, &["test.wayland"])
    });
    let mut status = String::new();
    wait_until("the program has given up its privileges", || {
        let children = format!("/proc/{0}/task/{0}/children", agent.pid());
        let tasks = fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap();
        let all = tasks
            .flatten()
            .map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default())
            .collect::<Vec<_>>()
            .join(" ");
        assert!(Path::new(&children).exists());
        all.split_whitespace().any(|pid| {
            status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.contains("Name:\tsoftwarecontain")
                && status.contains("Uid:\t65534\t65534\t65534\t65534")
                && status.contains("NoNewPrivs:\t1")
        })
    });
    for line in [
        "Gid:\t65534\t65534\t65534\t65534",
        "CapPrm:\t0000000000000000",
    ] {
        assert!(status.contains(line), "{status}");
    }
    granted.join().unwrap().unwrap();
    assert!(agent.log().contains("no answer from the server"));
    assert_eq!(agent.shell_ok(id, "ls /gateways"), "wayland-0");
    agent.client().destroy(id).unwrap();
    hung.kill().unwrap();
    hung.wait().unwrap();
}

#[test]
fn launcher_that_is_the_compositor_is_not_asked_while_it_waits() {
    let dir = TempDir::with_prefix("sc-compositor-").unwrap();
    let socket = dir.path().join("wayland-0");
    // This process is both.
    let compositor = UnixListener::bind(&socket).unwrap();
    compositor.set_nonblocking(true).unwrap();
    let auto = agent(&socket, "auto");
    let id = auto.create();
    grant(&auto, id).unwrap();
    let log = auto.log();
    assert!(
        log.contains("the compositor is the launcher itself, which waits for this call"),
        "{log}"
    );
    assert!(!log.contains("no answer"), "{log}");
    assert_eq!(auto.shell_ok(id, "ls /gateways"), "wayland-0");
    // Nothing was said on the connection.
    let (mut connection, _) = compositor.accept().unwrap();
    assert_eq!(connection.read(&mut [0; 64]).unwrap(), 0);
    auto.client().destroy(id).unwrap();
    // Who must be asked is.
    let required = agent(&socket, "required");
    let id = required.create();
    let (_, text) = grant(&required, id).unwrap_err();
    assert!(text.contains("no answer from the server"), "{text}");
    required.client().destroy(id).unwrap();
}
