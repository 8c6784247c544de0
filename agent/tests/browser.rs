//! A browser as Debian has it, with its own sandbox, as a user that is not root.
#![cfg(feature = "gateway-privileges")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use support::{Setup, TestAgent};

const PRIVILEGES: &str = include_str!("../../manifests/optional/privileges.json");

#[test]
fn chromium_loads_a_page_with_its_sandbox_on() {
    let agent = TestAgent::with(&Setup::manifest(PRIVILEGES));
    let client = agent.client();
    let id = client
        .create(r#"[{"writeBufferEnabled": false, "userID": 1000}]"#)
        .unwrap();
    client
        .set_capabilities(id, &["com.pelagicore.privileges.browser"])
        .unwrap();
    let page = agent.path("page");
    fs::create_dir(&page).unwrap();
    fs::write(
        page.join("index.html"),
        "<p id=p>loading</p><script>p.textContent = 'answer ' + 6 * 7</script>",
    )
    .unwrap();
    client
        .bind_mount(id, page.to_str().unwrap(), "/page", true)
        .unwrap();
    client
        .execute(id, "python3 -m http.server -d /page 8000", "", "", &[])
        .unwrap();
    let script = "until python3 -c \"import socket; socket.create_connection(('127.0.0.1', 8000))\" \
                  2>/dev/null; do sleep 0.1; done; \
                  chromium --headless --disable-gpu --dump-dom http://127.0.0.1:8000/ 2>~/log; \
                  status=$?; cat ~/log; exit $status";
    let (status, output) = agent.shell(id, script);
    assert_eq!(status, 0, "{output}");
    assert!(output.contains("<p id=\"p\">answer 42</p>"), "{output}");
    assert!(!output.to_lowercase().contains("no-sandbox"), "{output}");
}
