//! Ends of the agent that leave containers to the next one.

use std::{fs, process::Command};

use crate::support::{Setup, TestAgent, is_alive, signal, wait_until};

fn agent(config: &str, supervised: bool) -> TestAgent {
    TestAgent::with(&Setup {
        config: config.to_owned(),
        supervised,
        ..Setup::default()
    })
}

/// A container with an app that ends with status 4 when there is a file.
fn started(agent: &TestAgent) -> (i32, u32) {
    let id = agent.create();
    let command = "sh -c 'until test -e /tmp/m; do sleep 0.02; done; exit 4'";
    let app = agent.client().execute(id, command, "", "", &[]).unwrap();
    (id, app)
}

fn ends_well(agent: &TestAgent, observer: &crate::support::Client, (id, app): (i32, u32)) {
    assert_eq!(agent.client().list().unwrap(), [id]);
    assert_eq!(agent.shell_ok(id, "touch /tmp/m; echo done"), "done");
    assert_eq!(observer.wait_ended(id, app).exit_code, 4 << 8);
    agent.client().destroy(id).unwrap();
    assert!(agent.supervisor().names().is_empty());
}

#[test]
fn an_agent_that_keeps_containers_leaves_them_to_the_next_one() {
    let mut agent = agent("on-stop = keep", true);
    let observer = agent.new_client();
    let app = started(&agent);
    agent.client().suspend(app.0).unwrap();
    for _ in 0..2 {
        assert_eq!(agent.stop(), Some(0));
        assert!(is_alive(app.1));
        agent.start_agent();
    }
    agent.client().resume(app.0).unwrap();
    ends_well(&agent, &observer, app);
    // Nothing was left to anybody.
    assert_eq!(agent.stop(), Some(0));
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    assert!(!fs::exists(format!("/sys/class/net/{}", agent.bridge)).unwrap());
}

#[test]
fn by_default_or_where_nobody_keeps_descriptors_a_stop_destroys_everything() {
    for (config, supervised) in [("", true), ("on-stop = keep", false)] {
        let mut agent = agent(config, supervised);
        let observer = agent.new_client();
        let (id, app) = started(&agent);
        assert_eq!(agent.stop(), Some(0));
        assert!(!observer.wait_ended(id, app).is_running);
        assert!(!is_alive(app), "{config}");
        assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    }
}

#[test]
fn a_call_that_is_under_way_is_finished_and_its_container_left() {
    let mut agent = agent("on-stop = keep", true);
    let (id, app) = started(&agent);
    let caller = agent.new_client();
    let calls = std::thread::spawn(move || {
        let mut suspended = false;
        loop {
            let called = if suspended {
                caller.resume(id)
            } else {
                caller.suspend(id)
            };
            match called {
                Ok(()) => suspended = !suspended,
                Err(_) => return,
            }
        }
    });
    assert_eq!(agent.stop(), Some(0));
    calls.join().unwrap();
    agent.start_agent();
    assert_eq!(agent.client().list().unwrap(), [id]);
    let _ = agent.client().resume(id);
    assert_eq!(agent.shell_ok(id, "echo ok"), "ok");
    assert!(is_alive(app));
    agent.client().destroy(id).unwrap();
}

#[test]
fn replace_has_the_next_agent_go_on_and_waits_for_it() {
    let mut agent = agent("", true);
    let observer = agent.new_client();
    let app = started(&agent);
    let mut command: Command = agent.command();
    let mut replacing = command.arg("--replace").spawn().unwrap();
    assert_eq!(agent.wait_agent(), Some(75));
    assert!(is_alive(app.1));
    assert_eq!(replacing.try_wait().unwrap(), None, "it waits");
    agent.start_agent();
    wait_until("it has seen the next one", || {
        replacing.try_wait().unwrap().is_some()
    });
    assert!(replacing.wait().unwrap().success());
    ends_well(&agent, &observer, app);
}

#[test]
fn an_agent_whose_descriptors_nobody_keeps_is_not_replaced() {
    let mut agent = agent("", false);
    let (id, _) = started(&agent);
    signal(agent.pid(), "USR2");
    wait_until("it says so", || agent.log().contains("not replaced"));
    assert_eq!(agent.client().list().unwrap(), [id]);
    assert_eq!(agent.stop(), Some(0));
    let none = agent.command().arg("--replace").output().unwrap();
    assert!(!none.status.success());
    let text = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(text.contains("no agent runs"), "{text}");
}
