//! Apps that swap directories for links while the host mounts.

use std::{fs, time::Duration};

use crate::{support::signal, world::Attack};

/// What is mounted must appear in the container or nowhere; above all, never at what the link means
/// on the host.
#[test]
fn a_bind_mount_follows_no_link_out_of_the_container() {
    let attack = Attack::new();
    let (agent, client) = (&attack.agent, attack.agent.client());
    // The same absolute path means a directory on the host, and nothing in the container.
    let outside = agent.path("outside");
    let source = agent.path("source");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(&source).unwrap();
    fs::write(source.join("mark"), "x").unwrap();
    let command = format!(
        "python3 -I -B /attacker.py swap_links /tmp/place {} 600",
        outside.display()
    );
    let pid = client.execute(attack.id, &command, "", "", &[]).unwrap();
    let mut mounted = 0;
    for round in 0..300 {
        let target = format!("/tmp/place/{round}");
        if client
            .bind_mount(attack.id, source.to_str().unwrap(), &target, true)
            .is_ok()
        {
            mounted += 1;
        }
        assert_eq!(
            fs::read_dir(&outside).unwrap().count(),
            0,
            "something was made outside of the container"
        );
        assert!(
            agent
                .mounts()
                .iter()
                .all(|line| !line.contains(outside.to_str().unwrap())),
            "something is mounted outside of the container"
        );
        if round % 50 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    assert!(mounted > 0, "no mount ever succeeded: the race was not run");
    signal(pid, "KILL");
    client.wait_ended(attack.id, pid);
    attack.check_health();
}

/// A link to the host's path, made before the mount, is followed inside the container.
#[test]
fn an_absolute_link_means_the_containers_path() {
    let attack = Attack::new();
    let (agent, client) = (&attack.agent, attack.agent.client());
    let (outside, source) = (agent.path("linked"), agent.path("linked-source"));
    fs::create_dir(&outside).unwrap();
    fs::create_dir(&source).unwrap();
    fs::write(source.join("mark"), "x").unwrap();
    let source = source.to_str().unwrap();
    let mount = |path: &str| client.bind_mount(attack.id, source, path, true);
    agent.shell_ok(attack.id, &format!("ln -s {} /tmp/link", outside.display()));
    // In the container it leads nowhere, and nothing is made there.
    let error = mount("/tmp/link/new").unwrap_err();
    assert!(error.1.contains("/tmp/link"), "{error:?}");
    // As soon as there is such a directory in the container, it is that one.
    agent.shell_ok(attack.id, &format!("mkdir -p {}", outside.display()));
    mount("/tmp/link/new").unwrap();
    let seen = agent.shell_ok(attack.id, &format!("cat {}/new/mark", outside.display()));
    assert_eq!(seen, "x");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    attack.check_health();
}
