//! What the agent says at its start about the kernel that it runs on.
#![allow(clippy::unwrap_used)]

mod support;

use std::{io, process::Command, sync::Arc};

use support::{Before, Setup, TestAgent, wait_until};

const SAYS: &str = "the kernel lacks ";

/// Answers a system call like a kernel that does not have it.
fn without_system_call(number: libc::c_long) -> Before {
    // linux/filter.h: load the call's number, compare, return.
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let program = [
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 1, u32::try_from(number).unwrap()),
        instruction(
            0x06,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs(),
        ),
        instruction(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    Arc::new(move || {
        let mut program = program;
        let program = libc::sock_fprog {
            len: 4,
            filter: program.as_mut_ptr(),
        };
        let (operation, flags) = (libc::SECCOMP_SET_MODE_FILTER, 0);
        // SAFETY: the program points to as many instructions as it says, which outlive the call.
        let result =
            unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    })
}

/// The options that the agent says are missing.
fn told(agent: &TestAgent) -> Vec<String> {
    let log = agent.log();
    let lines = log.lines().filter_map(|line| line.split_once(SAYS));
    lines
        .flat_map(|(_, text)| text.split(", ").next().unwrap().split(" or "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_the_kernel_does_not_have_is_told_and_containers_are_made_if_they_can_do_without() {
    let agent = TestAgent::with(&Setup {
        before: Some(without_system_call(libc::SYS_landlock_create_ruleset)),
        ..Setup::default()
    });
    wait_until("the agent has looked at the kernel", || {
        told(&agent).contains(&"CONFIG_SECURITY_LANDLOCK".to_owned())
    });
    let id = agent.create();
    assert_eq!(agent.shell_ok(id, "echo works"), "works");
    let line = agent.log();
    let line = line.lines().find(|line| line.contains(SAYS)).unwrap();
    assert!(line.contains("lsm="), "{line}");
}

#[test]
fn what_the_kernel_has_is_not_said_to_be_missing() {
    let agent = TestAgent::start();
    // The agent has looked before it makes a container.
    agent.create();
    let script = "zcat /proc/config.gz 2>/dev/null || cat /boot/config-$(uname -r) 2>/dev/null";
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    let config = String::from_utf8(output.stdout).unwrap();
    for option in told(&agent) {
        let set = format!("{option}=");
        let is_set = config.lines().any(|line| line.starts_with(&set));
        assert!(!is_set, "{option}: {}", agent.log());
    }
}

#[test]
fn without_mount_setattr_what_is_mounted_is_as_restricted() {
    let agent = TestAgent::with(&Setup {
        // As on Linux 5.10: without ID-mapped mounts, too.
        before: Some(without_system_call(libc::SYS_mount_setattr)),
        config: "user-namespace = off".to_owned(),
        ..Setup::default()
    });
    let host = tempfile::TempDir::new().unwrap();
    std::fs::write(host.path().join("file"), "seen").unwrap();
    let directory = host.path().to_str().unwrap();
    let file = format!("{directory}/file");
    let id = agent.create();
    for (what, place, read_only) in [
        (directory, "/read", true),
        (directory, "/write", false),
        (&file, "/file", true),
    ] {
        agent
            .client()
            .bind_mount(id, what, place, read_only)
            .unwrap();
    }
    let mounts = agent.shell_ok(id, "cat /proc/self/mountinfo");
    // proc_pid_mountinfo(5): the fifth field is the place, the sixth has the mount's own flags.
    let has = |place: &str, flag: &str| {
        let lines = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>());
        let mut there = lines.filter(|fields| fields[4] == place);
        there.next().unwrap()[5].split(',').any(|word| word == flag)
    };
    for (place, flag) in [
        ("/read", "ro"),
        ("/read", "nosuid"),
        ("/read", "nodev"),
        ("/write", "rw"),
        ("/write", "nosuid"),
        ("/write", "nodev"),
        ("/file", "ro"),
        ("/file", "nosuid"),
    ] {
        assert!(has(place, flag), "{place} is not {flag}: {mounts}");
    }
    assert_eq!(
        agent.shell_ok(id, "cat /file; echo more > /write/new"),
        "seen"
    );
    assert!(host.path().join("new").exists());
    // None of the namespaces that this took is left, nor a mount in them.
    assert!(
        !std::fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .contains(directory)
    );
}
