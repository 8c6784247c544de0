//! A browser as Debian has it, with its own sandbox, as a user that is not root.
#![cfg(all(feature = "gateway-privileges", feature = "gateway-wayland"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
mod unable;
mod weston;

use std::{fs, path::Path};

use support::{Setup, TestAgent, is_alive, wait_until};
use weston::Weston;

const PRIVILEGES: &str = include_str!("../../manifests/optional/privileges.json");
const WAYLAND: &str = include_str!("../../manifests/optional/wayland.json");
const GREEN: [u8; 3] = [0, 192, 64];

/// Whether there is a browser: not every distribution has one as a package.
fn can_run() -> bool {
    let there = Path::new("/usr/bin/chromium").exists();
    if !there {
        unable::note("no package `chromium` is installed");
    }
    there
}

/// A container of user 1000 with a server of a page that a script makes green.
fn with_page(agent: &TestAgent, capabilities: &[&str]) -> i32 {
    let client = agent.client();
    let id = client
        .create(r#"[{"writeBufferEnabled": false, "userID": 1000}]"#)
        .unwrap();
    client.set_capabilities(id, capabilities).unwrap();
    let page = agent.path("page");
    fs::create_dir(&page).unwrap();
    let [red, green, blue] = GREEN;
    let text = format!(
        "<p id=p>loading</p><script>p.textContent = 'answer ' + 6 * 7; \
         document.body.style.background = 'rgb({red}, {green}, {blue})'</script>"
    );
    fs::write(page.join("index.html"), text).unwrap();
    client
        .bind_mount(id, page.to_str().unwrap(), "/page", true)
        .unwrap();
    client
        .execute(id, "python3 -m http.server -d /page 8000", "", "", &[])
        .unwrap();
    agent.shell_ok(
        id,
        "until python3 -c \"import socket; socket.create_connection(('127.0.0.1', 8000))\" \
         2>/dev/null; do sleep 0.1; done",
    );
    id
}

#[test]
fn chromium_loads_a_page_with_its_sandbox_on() {
    if !can_run() {
        return;
    }
    let agent = TestAgent::with(&Setup::manifest(PRIVILEGES));
    let id = with_page(&agent, &["com.pelagicore.privileges.browser"]);
    let script = "chromium --headless --disable-gpu --dump-dom http://127.0.0.1:8000/ 2>~/log; \
                  status=$?; cat ~/log; exit $status";
    let (status, output) = agent.shell(id, script);
    assert_eq!(status, 0, "{output}");
    assert!(output.contains("<p id=\"p\">answer 42</p>"), "{output}");
    assert!(!output.to_lowercase().contains("no-sandbox"), "{output}");
}

/// The processes that draw a page have a user and a process namespace of their own, of the
/// browser's making: that is its sandbox.
#[test]
fn chromium_draws_a_page_in_the_hosts_compositor_with_its_sandbox_on() {
    if !can_run() {
        return;
    }
    let weston = Weston::started();
    let agent = TestAgent::with(&Setup {
        manifests: [("privileges.json", PRIVILEGES), ("wayland.json", WAYLAND)]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into(),
        config: format!("wayland-socket = {}", weston.socket().display()),
        ..Setup::default()
    });
    let capabilities = [
        "com.pelagicore.privileges.browser",
        "com.pelagicore.wayland",
    ];
    let id = with_page(&agent, &capabilities);
    let output = agent.path("browser");
    let browser = "chromium --ozone-platform=wayland --disable-gpu --no-first-run --kiosk \
                   http://127.0.0.1:8000/";
    let pid = agent
        .client()
        .execute(id, browser, "", output.to_str().unwrap(), &[])
        .unwrap();
    wait_until("the page is seen on the screen", || {
        let alive = is_alive(pid);
        assert!(alive, "{}", fs::read_to_string(&output).unwrap());
        weston.shows(GREEN) > 640 * 480 / 2
    });
    // Neither the shell itself is one, nor need the last process be one.
    let sandboxed = "cd /proc; for p in [0-9]*; do tr '\\0' ' ' < $p/cmdline | grep -q \
         -- '--type=[r]enderer' && grep NSpid $p/status | wc -w && grep Seccomp: $p/status; done; \
         true";
    let facts = agent.shell_ok(id, sandboxed);
    assert!(facts.starts_with("4\nSeccomp:\t2"), "{facts}");
    agent.client().destroy(id).unwrap();
    wait_until("the page is gone from the screen", || {
        weston.shows_nothing()
    });
}
