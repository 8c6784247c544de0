//! Apps that are another user of the container than its root, one of the host's own among them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::PathBuf,
};

use crate::support::TestAgent;

const HOST_USER: u32 = 70_011;

/// Containers of user 1000: one that nobody on the host is, and one that a user of the host is.
fn containers(agent: &TestAgent) -> [i32; 2] {
    let plain = r#"[{"writeBufferEnabled": false, "userID": 1000}]"#.to_owned();
    let known = plain.replace('}', &format!(r#", "hostUserID": {HOST_USER}}}"#));
    [plain, known].map(|options| agent.client().create(&options).unwrap())
}

/// A home that belongs to a user of the host.
fn home(agent: &TestAgent, owner: u32) -> PathBuf {
    let home = agent.path(&format!("home-{owner}"));
    fs::create_dir(&home).unwrap();
    chown(&home, Some(owner), Some(owner)).unwrap();
    home
}

#[test]
fn another_user_gets_no_rights_of_root() {
    let agent = TestAgent::start();
    for id in containers(&agent) {
        for attempt in [
            "import os; os.setuid(0)",
            "import os; os.setgroups([0])",
            "import os; os.setresuid(0, 0, 0)",
            "import os; os.kill(1, 9)",
            "import os; os.chown('/tmp', 1000, 1000)",
            "import os; os.chroot('/tmp')",
            "open('/proc/1/mem', 'rb')",
            "open('/proc/1/environ').read()",
            "open('/proc/sys/kernel/hostname', 'w').write('x')",
            "open('/proc/self/uid_map', 'wb', 0).write(b'0 0 1')",
            "open('/etc/passwd', 'a').write('x')",
        ] {
            let (status, output) = agent.shell(id, &format!("python3 -c \"{attempt}\""));
            assert_ne!(status, 0, "{attempt}: {output}");
            assert!(
                ["PermissionError", "OSError"]
                    .iter()
                    .any(|it| output.contains(it)),
                "{attempt}: {output}"
            );
        }
        assert_eq!(agent.shell_ok(id, "id -u; echo fine"), "1000\nfine");
    }
}

/// Whoever prepares a home may have left such a file there.
#[test]
fn a_set_user_id_program_in_a_home_gives_nobodys_rights() {
    let agent = TestAgent::start();
    for (id, owner) in containers(&agent).into_iter().zip([1000, HOST_USER]) {
        let home = home(&agent, owner);
        let program = home.join("id");
        fs::copy("/usr/bin/id", &program).unwrap();
        for other in [0, 3] {
            chown(&program, Some(other), Some(other)).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).unwrap();
            let client = agent.client();
            let at = format!("/home/app/{other}");
            client
                .bind_mount(id, home.to_str().unwrap(), &at, false)
                .unwrap();
            assert_eq!(
                agent.shell_ok(id, &format!("{at}/id -u; {at}/id -g")),
                "1000\n1000"
            );
        }
    }
}

/// The kernel takes both for one user; what lies between them is their namespaces.
#[test]
fn two_apps_that_are_one_user_of_the_host_do_not_reach_each_other() {
    let agent = TestAgent::start();
    let [_, first] = containers(&agent);
    let [_, second] = containers(&agent);
    let client = agent.client();
    let victim = client.execute(first, "sleep 1000", "", "", &[]).unwrap();
    agent.shell_ok(first, "touch /tmp/secret /dev/shm/secret ~/secret");
    let script = format!(
        "kill -9 {victim}; for pid in $(seq 2 200); do [ $pid = $$ ] || kill -9 $pid; done; \
         ls /tmp/secret /dev/shm/secret ~/secret; cat /proc/*/comm"
    );
    let (_, output) = agent.shell(second, &format!("{{ {script}; }} 2>/dev/null"));
    assert!(
        !output.contains("secret") && !output.contains("sleep"),
        "{output}"
    );
    assert!(crate::support::is_alive(victim));
    // The trees of both are closed to the user on the host, as to everybody.
    let owner = softwarecontainer_agent::host::credentials::Credentials {
        user: HOST_USER,
        groups: vec![HOST_USER],
        process: None,
    };
    let inside = agent.container_dir(first).join("rootfs/tmp/secret");
    assert!(inside.exists());
    assert!(!owner.act(|| inside.exists()).unwrap());
}
