//! The way of one app, from Create to Destroy.
#![allow(clippy::unwrap_used)]

mod support;

use support::{TestAgent, is_alive};

#[test]
fn an_app_runs_in_a_container_and_nothing_is_left() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    assert_eq!(client.list().unwrap(), [id]);
    assert_eq!(agent.shell_ok(id, "hostname; id -u"), "contained\n0");
    let pid = client.execute(id, "sleep 100", "", "", &[]).unwrap();
    assert!(is_alive(pid));
    client.destroy(id).unwrap();
    let ended = client.wait_ended(id, pid);
    assert!(!ended.is_running);
    assert_eq!(ended.exit_code, 15, "SIGTERM");
    assert!(!is_alive(pid));
    assert!(client.list().unwrap().is_empty());
    assert!(!agent.container_dir(id).exists());
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}
