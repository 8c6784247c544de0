//! Apps in the host's IPC namespace.

use std::{fs, path::Path};

use crate::{
    restart,
    support::{Setup, TestAgent, is_alive, signal, wait_until},
};

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.ipc", "gateways": [{"id": "ipc", "config": [{"host": true}]}]}
]}"#;
/// Ends with status 3 when there is a file.
const QUITS: &str = "sh -c 'until test -e /tmp/m; do sleep 0.02; done; exit 3'";

fn supervised() -> TestAgent {
    TestAgent::with(&Setup {
        supervised: true,
        ..Setup::manifest(MANIFEST)
    })
}

fn is_in_the_hosts(pid: u32) -> bool {
    let namespace = |pid: &str| fs::read_link(Path::new("/proc").join(pid).join("ns/ipc"));
    namespace(&pid.to_string()).unwrap() == namespace("self").unwrap()
}

#[test]
fn apps_in_the_hosts_namespace_go_on_and_their_ends_are_true() {
    let mut agent = supervised();
    let observer = agent.new_client();
    let id = agent.create();
    let execute = |agent: &TestAgent, command| {
        let pid = agent.client().execute(id, command, "", "", &[]);
        pid.unwrap()
    };
    // One before, so that numbers of the two inits differ.
    let outside = execute(&agent, "sleep 1000");
    agent.client().set_capabilities(id, &["test.ipc"]).unwrap();
    let quits = execute(&agent, QUITS);
    let stays = execute(&agent, "sleep 1000");
    assert!(is_in_the_hosts(quits) && !is_in_the_hosts(outside));
    agent.kill();
    fs::write(agent.container_dir(id).join("rootfs/tmp/m"), "").unwrap();
    wait_until("it has ended without an agent", || !is_alive(quits));
    agent.start_agent();
    assert_eq!(observer.wait_ended(id, quits).exit_code, 3 << 8);
    let later = execute(&agent, "sleep 1000");
    assert!(is_in_the_hosts(later));
    restart(&mut agent);
    for pid in [outside, stays, later] {
        assert!(is_alive(pid), "{pid}");
        signal(pid, "TERM");
        assert_eq!(observer.wait_ended(id, pid).exit_code, 15);
    }
    agent.client().destroy(id).unwrap();
    assert!(agent.supervisor().names().is_empty());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn without_its_connection_the_container_is_gone_and_that_is_told() {
    let mut agent = supervised();
    let observer = agent.new_client();
    let id = agent.create();
    agent.client().set_capabilities(id, &["test.ipc"]).unwrap();
    let command = "sleep 1000";
    let app = agent.client().execute(id, command, "", "", &[]).unwrap();
    agent.kill();
    agent.supervisor().lose(".host-ipc");
    agent.start_agent();
    assert_eq!(agent.client().list().unwrap(), [0; 0]);
    assert_eq!(observer.wait_ended(id, app).exit_code, 9);
    assert!(!is_alive(app));
    assert!(agent.supervisor().names().is_empty());
}
