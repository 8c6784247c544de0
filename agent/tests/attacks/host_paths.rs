//! Host paths of BindMount: what an app could make of a directory that a launcher gives parts of to
//! others.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    support::{TestAgent, signal},
    world::Attack,
};

/// A directory of the host that the attacker can write to, at `/home/app`, and one that it has no
/// business with.
fn home_and_victim(attack: &Attack) -> (PathBuf, PathBuf) {
    // IDs come again.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = |name: &str| attack.agent.path(&format!("{name}-{number}"));
    let (home, victim) = (path("home"), path("victim"));
    fs::create_dir(&home).unwrap();
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("secret"), "x").unwrap();
    mount(attack, attack.id, &home, "/home/app").unwrap();
    (home, victim)
}

fn mount(attack: &Attack, id: i32, host: &Path, container: &str) -> Result<(), String> {
    let client = attack.agent.client();
    client
        .bind_mount(id, host.to_str().unwrap(), container, false)
        .map_err(|error| format!("{error:?}"))
}

/// A container of another app, with a write buffer.
fn buffered(attack: &Attack) -> i32 {
    let options = r#"[{"writeBufferEnabled": true}]"#;
    attack.agent.client().create(options).unwrap()
}

/// The launcher gives each app a part of its home.
#[test]
fn a_link_that_an_app_made_leads_a_bind_mount_to_nothing_that_the_app_does_not_have() {
    let attack = Attack::new();
    let (home, victim) = home_and_victim(&attack);
    let script = format!(
        "cd /home/app && mkdir data && touch data/own && ln -s data kept && ln -s {} cache && ln -s cache/.. up",
        victim.display()
    );
    attack.agent.shell_ok(attack.id, &script);
    let other = buffered(&attack);
    for id in [attack.id, other] {
        for (link, container) in [
            ("cache", "/tmp/a"),
            ("cache/secret", "/tmp/b"),
            ("up", "/tmp/c"),
        ] {
            let error = mount(&attack, id, &home.join(link), container).unwrap_err();
            assert!(error.contains("symbolic link"), "{link}: {error}");
        }
        mount(&attack, id, &home.join("kept"), "/tmp/kept").unwrap();
        attack.agent.shell_ok(id, "test -e /tmp/kept/own");
    }
    attack.agent.client().destroy(other).unwrap();
    attack.check_health();
}

/// What the app left is there for the next agent, and the launcher may have moved it meanwhile.
#[test]
fn links_that_an_app_made_are_not_believed_by_the_next_agent_nor_under_another_name() {
    let mut agent = TestAgent::start();
    let (home, moved) = (agent.path("home"), agent.path("moved"));
    for directory in [&home, &agent.path("victim")] {
        fs::create_dir(directory).unwrap();
    }
    let id = agent.create();
    let host = home.to_str().unwrap();
    let client = agent.client();
    client.bind_mount(id, host, "/home/app", false).unwrap();
    agent.shell_ok(id, "ln -s ../victim /home/app/cache");
    let refused = |agent: &TestAgent, link: &Path| {
        let (id, link) = (agent.create(), link.to_str().unwrap());
        let refused = agent.client().bind_mount(id, link, "/tmp/a", false);
        let error = format!("{:?}", refused.unwrap_err());
        assert!(error.contains("symbolic link"), "{link}: {error}");
    };
    refused(&agent, &home.join("cache"));
    fs::rename(&home, &moved).unwrap();
    refused(&agent, &moved.join("cache"));
    agent.kill();
    agent.start_agent();
    refused(&agent, &moved.join("cache"));
    agent.stop();
    agent.start_agent();
    refused(&agent, &moved.join("cache"));
}

/// As above, with the directory swapped for the link while the agent looks.
#[test]
fn a_directory_that_is_swapped_for_a_link_leads_a_bind_mount_nowhere() {
    let attack = Attack::new();
    let (home, victim) = home_and_victim(&attack);
    let command = format!(
        "python3 -I -B /attacker.py swap_links /home/app/place {} 600",
        victim.display()
    );
    let client = attack.agent.client();
    let pid = client.execute(attack.id, &command, "", "", &[]).unwrap();
    let other = buffered(&attack);
    let (mut mounted, mut refused) = (0, 0);
    for round in 0..400 {
        let id = [attack.id, other][round % 2];
        match mount(&attack, id, &home.join("place"), &format!("/tmp/m/{round}")) {
            Ok(()) => mounted += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(mounted > 0 && refused > 0, "the race was not run");
    signal(pid, "KILL");
    client.wait_ended(attack.id, pid);
    for id in [attack.id, other] {
        let found = attack
            .agent
            .shell_ok(id, "ls /tmp/m/*/secret 2>/dev/null || echo none");
        assert_eq!(found, "none");
    }
    client.destroy(other).unwrap();
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
    attack.check_health();
}

/// What is open to every user of a container is not open to every user of the host: sockets of the
/// D-Bus proxy, device nodes, files.
#[test]
fn no_other_user_of_the_host_reaches_into_a_container() {
    let attack = Attack::new();
    attack.agent.shell_ok(attack.id, "touch /tmp/public");
    let directory = attack.agent.container_dir(attack.id);
    let reaches = |user: &str, name: &str| {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={user}"), &format!("--regid={user}")]);
        command.args(["--clear-groups", "test", "-e"]);
        let status = command.arg(directory.join(name)).status().unwrap();
        status.success()
    };
    let other = (524_288 + 65536 * (attack.id + 1)).to_string();
    for name in ["gateways", "devices", "rootfs/tmp/public"] {
        assert!(directory.join(name).exists());
        assert!(!reaches("65534", name), "nobody reaches {name}");
        assert!(
            !reaches(&other, name),
            "another container's root reaches {name}"
        );
    }
    attack.check_health();
}

/// An app that writes there would decide what the next agent writes to the host.
#[test]
fn the_directories_of_containers_are_given_to_no_app_for_writing() {
    let attack = Attack::new();
    let mounts = attack.agent.path("mounts");
    for host in [
        attack.agent.path(""),
        mounts.clone(),
        mounts.join("template"),
        attack.agent.path("lxc"),
    ] {
        let error = mount(&attack, attack.id, &host, "/tmp/own").unwrap_err();
        assert!(error.contains("read-only"), "{host:?}: {error}");
    }
    attack.check_health();
}

/// Root of the container is root of the host on a mount of it. What it left there with set-user-ID
/// bits, anybody on the host could run.
#[test]
fn no_set_user_id_program_is_left_on_the_host() {
    let attack = Attack::new();
    let (home, _) = home_and_victim(&attack);
    attack.refused("plant_set_user_id /home/app", &["EPERM"]);
    let mut found = 0;
    for entry in fs::read_dir(&home).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().mode();
        assert_eq!(mode & 0o6000, 0, "{mode:o}");
        found += 1;
    }
    assert_eq!(found, 2, "other files are made as ever");
}
