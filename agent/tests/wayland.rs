//! A real Weston on the host and real Wayland clients in containers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
mod weston;

use support::{Setup, TestAgent, signal, wait_until};
use weston::Weston;

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.wayland", "gateways": [{"id": "wayland", "config": [{"enabled": true}]}]},
    {"name": "test.none", "gateways": []}
]}"#;

fn agent(weston: &Weston) -> TestAgent {
    let mut setup = Setup::manifest(MANIFEST);
    setup.config = format!("wayland-socket = {}", weston.socket().display());
    TestAgent::with(&setup)
}

/// Starts a client that draws until it is ended.
fn draw(agent: &TestAgent, id: i32) -> u32 {
    let output = agent.path("client");
    agent
        .client()
        .execute(id, "weston-simple-shm", "", output.to_str().unwrap(), &[])
        .unwrap()
}

#[test]
fn client_in_a_container_with_the_capability_draws_on_the_screen() {
    let weston = Weston::started();
    assert!(weston.shows_nothing());
    let agent = agent(&weston);
    let id = agent.create();
    agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap();
    let variables = agent.shell_ok(id, "echo $XDG_RUNTIME_DIR $WAYLAND_DISPLAY; ls /gateways");
    assert_eq!(variables, "/gateways display\ndisplay");
    let pid = draw(&agent, id);
    wait_until("the client is seen on the screen", || weston.shows_client());
    signal(pid, "TERM");
    agent.client().wait_ended(id, pid);
    wait_until("the client is gone from the screen", || {
        weston.shows_nothing()
    });
    agent.client().destroy(id).unwrap();
}

/// The compositor's socket is its user's alone.
#[test]
fn client_of_another_user_than_root_draws_on_the_screen() {
    let weston = Weston::started();
    let agent = agent(&weston);
    let options = r#"[{"writeBufferEnabled": false, "userID": 1000}]"#;
    let id = agent.client().create(options).unwrap();
    agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap();
    assert_eq!(agent.shell_ok(id, "id -u"), "1000");
    let pid = draw(&agent, id);
    wait_until("the client is seen on the screen", || weston.shows_client());
    agent.client().destroy(id).unwrap();
    agent.client().wait_ended(id, pid);
}

#[test]
fn client_without_the_capability_cannot_connect() {
    let weston = Weston::started();
    let agent = agent(&weston);
    let id = agent.create();
    agent.client().set_capabilities(id, &["test.none"]).unwrap();
    assert_eq!(
        agent.shell_ok(id, "echo $WAYLAND_DISPLAY; ls /gateways"),
        ""
    );
    let variables = "XDG_RUNTIME_DIR=/gateways WAYLAND_DISPLAY=display";
    let (status, _) = agent.shell(id, &format!("{variables} timeout 5 weston-simple-shm"));
    assert_ne!(status, 0);
    assert!(status >> 8 != 143, "it ran until it was ended");
    assert!(weston.shows_nothing());
    agent.client().destroy(id).unwrap();
}

#[test]
fn compositor_that_is_restarted_is_used_by_clients_that_start_later() {
    let mut weston = Weston::started();
    let agent = agent(&weston);
    let id = agent.create();
    agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap();
    let pid = draw(&agent, id);
    wait_until("the client is seen on the screen", || weston.shows_client());
    weston.stop();
    agent.client().wait_ended(id, pid);
    // While there is no compositor, everything else goes on.
    assert_eq!(agent.shell_ok(id, "echo still here"), "still here");
    agent.client().set_capabilities(id, &["test.none"]).unwrap();
    weston.start();
    let pid = draw(&agent, id);
    wait_until("a new client is seen on the screen", || {
        weston.shows_client()
    });
    signal(pid, "KILL");
    agent.client().wait_ended(id, pid);
    agent.client().destroy(id).unwrap();
}

#[test]
fn process_that_was_already_running_finds_the_restarted_compositor() {
    let mut weston = Weston::started();
    let agent = agent(&weston);
    let id = agent.create();
    agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap();
    let script = "/bin/sh -c 'while :; do weston-simple-shm; sleep 0.1; done'";
    let pid = agent.client().execute(id, script, "", "", &[]).unwrap();
    wait_until("the client is seen on the screen", || weston.shows_client());
    weston.stop();
    weston.start();
    wait_until("the client is back on the screen", || weston.shows_client());
    agent.client().destroy(id).unwrap();
    assert_ne!(agent.client().wait_ended(id, pid).exit_code, 0);
}

#[test]
fn socket_may_appear_after_the_agent_has_started() {
    let mut weston = Weston::new();
    let agent = agent(&weston);
    let id = agent.create();
    let (_, text) = agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap_err();
    assert!(text.contains("gateway wayland"), "{text}");
    assert!(text.contains(weston.socket().to_str().unwrap()), "{text}");
    assert!(text.contains("No such file or directory"), "{text}");
    weston.start();
    agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap();
    draw(&agent, id);
    wait_until("the client is seen on the screen", || weston.shows_client());
    agent.client().destroy(id).unwrap();
}

#[test]
fn socket_is_found_by_the_agents_environment() {
    let weston = Weston::started();
    let mut setup = Setup::manifest(MANIFEST);
    let directory = weston.dir.path().to_str().unwrap().to_owned();
    setup.environment = vec![
        ("XDG_RUNTIME_DIR".to_owned(), directory),
        ("WAYLAND_DISPLAY".to_owned(), "display".to_owned()),
    ];
    let agent = TestAgent::with(&setup);
    let id = agent.create();
    agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap();
    draw(&agent, id);
    wait_until("the client is seen on the screen", || weston.shows_client());
    agent.client().destroy(id).unwrap();
}

#[test]
fn missing_variable_is_named() {
    let mut setup = Setup::manifest(MANIFEST);
    setup.environment = vec![("WAYLAND_DISPLAY".to_owned(), String::new())];
    let agent = TestAgent::with(&setup);
    let id = agent.create();
    let (_, text) = agent
        .client()
        .set_capabilities(id, &["test.wayland"])
        .unwrap_err();
    assert!(text.contains("WAYLAND_DISPLAY"), "{text}");
    agent.client().destroy(id).unwrap();
}
