//! Landlock, with every other protection off that would be there first.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use crate::support::{Setup, TestAgent};

/// An agent that leaves apps all kernel capabilities and system calls.
fn unprotected(landlock: &str) -> (TestAgent, i32) {
    let extra = tempfile::NamedTempFile::with_prefix("sc-test-").unwrap();
    std::fs::write(extra.path(), "lxc.cap.keep =\n").unwrap();
    let agent = TestAgent::with(&Setup {
        config: format!(
            "user-namespace = off\nseccomp-profile =\nlandlock = {landlock}\n\
             deprecated-lxc-config-path = {}",
            extra.path().display()
        ),
        ..Setup::default()
    });
    let id = agent.create();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attacks/attacker.py");
    let client = agent.client();
    client
        .bind_mount(id, program, "/attacker.py", true)
        .unwrap();
    (agent, id)
}

fn attempt(agent: &TestAgent, id: i32, arguments: &str) -> String {
    let script = format!("exec python3 -I -B /attacker.py {arguments} 2>&1");
    let (_, output) = agent.shell(id, &script);
    output.lines().last().unwrap_or_default().to_owned()
}

/// The version of the kernel's interface (landlock_create_ruleset(2)).
fn version() -> i64 {
    let none = std::ptr::null::<u8>();
    // SAFETY: without attributes, the call only returns a version.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, 1_usize) }
}

#[test]
fn nothing_is_mounted_and_no_device_is_made_where_nothing_else_forbids_it() {
    assert!(version() >= 2, "this kernel has no Landlock to test");
    for (landlock, mount, device) in [
        ("auto", "refused EPERM", "refused EACCES"),
        ("off", "done", "done"),
    ] {
        let (agent, id) = unprotected(landlock);
        for (attack, expected) in [
            ("mount_in_own_namespace", mount),
            ("mount_tmpfs", mount),
            ("mknod_null", device),
        ] {
            let found = attempt(&agent, id, attack);
            assert_eq!(found, expected, "{landlock}: {attack}");
        }
        agent.shell_ok(
            id,
            "mkdir -p /home/a /home/b && touch /home/a/f && ln /home/a/f /home/b/l && \
             mv /home/a/f /home/b/f && mkfifo /home/b/p && mv /home/b /home/a/b",
        );
    }
}

/// What a launcher mounts later, in a running container, is as writable as it always was.
#[test]
fn what_is_mounted_later_is_moved_about_in_by_an_app_that_runs() {
    let agent = TestAgent::start();
    let id = agent.create();
    let host = agent.path("later");
    std::fs::create_dir_all(host.join("from")).unwrap();
    let client = agent.client();
    let app = client
        .execute(
            id,
            "/bin/sh -c 'until [ -d /new/later/from ]; do sleep 0.02; done; cd /new/later && \
             touch from/f && mkdir to && mv from/f to/f && ln to/f from/l'",
            "",
            "",
            &[],
        )
        .unwrap();
    let path = host.to_str().unwrap();
    client.bind_mount(id, path, "/new/later", false).unwrap();
    assert_eq!(client.wait_ended(id, app).exit_code, 0);
    assert!(host.join("to/f").exists() && host.join("from/l").exists());
}

#[test]
fn no_abstract_socket_outside_of_the_container_is_connected_to() {
    if version() < 6 {
        return;
    }
    for (landlock, expected) in [("auto", "refused EPERM"), ("off", "done")] {
        let (agent, id) = unprotected(landlock);
        // As if the container shared a network namespace with this process.
        let script = "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); \
            s.bind('\\0outside'); s.listen(); print('listens', flush=True); s.accept()";
        let mut outside = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", agent.init_pid(id)))
            .args(["python3", "-I", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = outside.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert_eq!(line, "listens\n");
        assert_eq!(attempt(&agent, id, "abstract_socket outside"), expected);
        let within = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0within'); \
            s.listen(); socket.socket(socket.AF_UNIX).connect('\\0within')";
        agent.shell_ok(id, &format!("python3 -I -c \"{within}\""));
        let _ = outside.kill();
        outside.wait().unwrap();
    }
}
