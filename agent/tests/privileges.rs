//! What manifests open with the privileges gateway: that much, in that container, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::Command;

use support::{Setup, TestAgent};

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.calls", "gateways": [{"id": "privileges", "config": [{"allow-syscalls": [
        "chroot", "clone", "io_uring_enter", "io_uring_register", "io_uring_setup", "perf_event_open", "personality", "pidfd_getfd",
        "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace", "unshare", "userfaultfd"]}]}]},
    {"name": "test.uring", "gateways": [{"id": "privileges", "config": [{"allow-syscalls": ["io_uring_setup"]}]}]},
    {"name": "test.trace", "gateways": [{"id": "privileges", "config": [{"allow-syscalls": ["ptrace"]}]}]},
    {"name": "test.chroot", "gateways": [{"id": "privileges", "config": [
        {"allow-syscalls": ["chroot"], "capabilities": ["sys_chroot"]}]}]},
    {"name": "test.raw", "gateways": [{"id": "privileges", "config": [{"capabilities": ["net_raw"]}]}]},
    {"name": "test.caps", "gateways": [{"id": "privileges", "config": [{"capabilities": ["setpcap", "sys_chroot"]}]}]},
    {"name": "test.files", "gateways": [{"id": "privileges", "config": [{"limits": {"nofile": 6000}}]}]},
    {"name": "test.audio", "gateways": [{"id": "privileges", "config": [{"limits": {"rtprio": 50, "memlock": "1G"}}]}]},
    {"name": "test.ipc", "gateways": [{"id": "ipc", "config": [{"host": true}]}]},
    {"name": "test.wrong", "gateways": [{"id": "privileges", "config": [{"allow-syscalls": ["mount"]}]}]},
    {"name": "test.none", "gateways": []}
]}"#;

/// An agent with a container that has capabilities, and one that has none.
struct Pair {
    agent: TestAgent,
    with: i32,
    without: i32,
}

impl Pair {
    fn new(capabilities: &[&str]) -> Self {
        let agent = TestAgent::with(&Setup::manifest(MANIFEST));
        let (with, without) = (container(&agent), container(&agent));
        let client = agent.client();
        client.set_capabilities(with, capabilities).unwrap();
        client.set_capabilities(without, &["test.none"]).unwrap();
        Self {
            agent,
            with,
            without,
        }
    }

    /// How an attempt ends in the container with the capabilities, and in the one without.
    fn attempts(&self, arguments: &str) -> (String, String) {
        (
            attempt(&self.agent, self.with, arguments),
            attempt(&self.agent, self.without, arguments),
        )
    }
}

fn container(agent: &TestAgent) -> i32 {
    let id = agent.create();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attacks/attacker.py");
    agent
        .client()
        .bind_mount(id, program, "/attacker.py", true)
        .unwrap();
    id
}

/// The last line of what an attempt printed.
fn attempt(agent: &TestAgent, id: i32, arguments: &str) -> String {
    let script = format!("exec python3 -I -B /attacker.py {arguments} 2>&1");
    let (_, output) = agent.shell(id, &script);
    output.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn system_calls_that_a_manifest_allows_work_in_that_container_only() {
    let pair = Pair::new(&["test.calls"]);
    for attempt in [
        "clone_user",
        "io_uring",
        "perf",
        "personality",
        "ptrace_self_child",
        "read_own_child",
        "unshare_user",
        "userfaultfd",
    ] {
        let expected = ("done".to_owned(), "refused EPERM".to_owned());
        assert_eq!(pair.attempts(attempt), expected, "{attempt}");
    }
}

#[test]
fn one_system_call_that_is_allowed_opens_no_other() {
    let pair = Pair::new(&["test.uring"]);
    assert_eq!(pair.attempts("io_uring").0, "done");
    for attempt in [
        "perf",
        "personality",
        "ptrace_self_child",
        "unshare_user",
        "clone_user",
        "userfaultfd",
    ] {
        assert_eq!(pair.attempts(attempt).0, "refused EPERM", "{attempt}");
    }
}

#[test]
fn what_no_manifest_may_open_stays_closed_with_everything_that_one_can_give() {
    let pair = Pair::new(&["test.calls", "test.caps", "test.raw"]);
    for (attempt, error) in [
        ("mount_tmpfs", "EPERM"),
        ("mount_new_api", "EPERM"),
        ("open_tree_clone", "EPERM"),
        ("umount_masked", "EPERM"),
        ("pivot_root", "EPERM"),
        ("open_by_handle", "EPERM"),
        ("setns_init", "EPERM"),
        ("clone3_user", "ENOSYS"),
        ("kexec", "EPERM"),
        ("load_module", "EPERM"),
        ("bpf", "EPERM"),
        ("keyctl_session", "ENOSYS"),
        ("kernel_log", "EPERM"),
        ("reboot", "EPERM"),
        ("mknod_mem", "EPERM"),
        ("packet_socket", "EPERM"),
        ("old_packet_socket", "EPERM"),
        ("xdp_socket", "EAFNOSUPPORT"),
        ("vsock", "EAFNOSUPPORT"),
        ("gain_capability", "EPERM"),
    ] {
        assert_eq!(
            pair.attempts(attempt).0,
            format!("refused {error}"),
            "{attempt}"
        );
    }
}

#[test]
fn a_manifest_applies_to_what_is_started_after_it_was_set() {
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let id = container(&agent);
    let output = agent.path("early");
    let early = agent
        .client()
        .execute(
            id,
            "/bin/sh -c 'until [ -e /tmp/go ]; do sleep 0.02; done; exec python3 -I -B /attacker.py io_uring'",
            "",
            output.to_str().unwrap(),
            &[],
        )
        .unwrap();
    assert_eq!(attempt(&agent, id, "io_uring"), "refused EPERM");
    agent
        .client()
        .set_capabilities(id, &["test.uring"])
        .unwrap();
    assert_eq!(attempt(&agent, id, "io_uring"), "done");
    agent.shell_ok(id, "touch /tmp/go");
    agent.client().wait_ended(id, early);
    let early = std::fs::read_to_string(output).unwrap();
    assert_eq!(early.trim(), "refused EPERM");
}

#[test]
fn kernel_capabilities_that_a_manifest_gives_are_had_in_that_container_only() {
    let pair = Pair::new(&["test.raw"]);
    let expected = ("done".to_owned(), "refused EPERM".to_owned());
    assert_eq!(pair.attempts("raw_socket"), expected);
    let sets = |id| {
        pair.agent
            .shell_ok(
                id,
                "grep -E 'Cap(Eff|Prm|Bnd|Inh|Amb)|NoNewPrivs' /proc/self/status",
            )
            .replace('\t', " ")
    };
    let all = |bits: &str| {
        format!(
            "CapInh: 0000000000000000\nCapPrm: {bits}\nCapEff: {bits}\nCapBnd: {bits}\nCapAmb: 0000000000000000\nNoNewPrivs: 1"
        )
    };
    assert_eq!(sets(pair.with), all("00000000000024fb"));
    assert_eq!(sets(pair.without), all("00000000000004fb"));
}

#[test]
fn chroot_needs_the_call_and_the_capability_and_still_leads_nowhere() {
    let pair = Pair::new(&["test.chroot"]);
    let file = pair.agent.path("only-on-the-host");
    std::fs::write(&file, "x").unwrap();
    let arguments = format!("chroot_escape {}", file.display());
    let expected = ("refused ENOENT".to_owned(), "refused EPERM".to_owned());
    assert_eq!(pair.attempts(&arguments), expected);
}

#[test]
fn the_init_cannot_be_taken_over_by_apps_that_may_trace() {
    let pair = Pair::new(&["test.calls", "test.caps"]);
    for (attempt, error) in [
        ("ptrace_init", "EPERM"),
        ("read_init_memory", "EACCES"),
        ("process_vm_readv", "EPERM"),
        ("take_descriptor 1", "EPERM"),
        ("open_init_descriptors", "EACCES"),
        ("read_init_environment", "EACCES"),
    ] {
        assert_eq!(
            pair.attempts(attempt).0,
            format!("refused {error}"),
            "{attempt}"
        );
    }
}

#[test]
fn the_second_init_can_be_killed_but_not_taken_over() {
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let id = container(&agent);
    agent
        .client()
        .set_capabilities(id, &["test.ipc", "test.calls", "test.caps"])
        .unwrap();
    let second = || agent.shell_ok(id, "echo $PPID");
    let first = second();
    assert_ne!(first, "1");
    for (attempted, error) in [
        ("ptrace_host", "EPERM"),
        ("read_memory", "EACCES"),
        ("read_vector", "EPERM"),
        ("take_descriptor", "EPERM"),
    ] {
        assert_eq!(
            attempt(&agent, id, &format!("{attempted} {first}")),
            format!("refused {error}"),
            "{attempted}"
        );
    }
    agent
        .client()
        .execute(id, &format!("/bin/kill -9 {first}"), "", "", &[])
        .unwrap();
    let output = agent.path("second");
    let command = "/bin/sh -c 'echo $PPID'";
    support::wait_until("another second init has taken over", || {
        let client = agent.client();
        // One that meets the dying init fails.
        let Ok(pid) = client.execute(id, command, "", output.to_str().unwrap(), &[]) else {
            return false;
        };
        client.wait_ended(id, pid);
        let now = std::fs::read_to_string(&output).unwrap();
        !now.is_empty() && now.trim_end() != first
    });
}

/// Without a user namespace the init's program file in the container is the app's to change. It is not what becomes the second init.
#[test]
fn a_second_init_is_not_the_program_that_an_app_has_put_in_its_place() {
    let mut setup = Setup::manifest(MANIFEST);
    setup.config = "user-namespace = off\n".to_owned();
    let agent = TestAgent::with(&setup);
    let id = container(&agent);
    agent.shell_ok(
        id,
        "printf '#!/bin/sh\\necho taken >/tmp/taken\\n' >/sbin/new && chmod 755 /sbin/new && mv /sbin/new /sbin/softwarecontainer-init",
    );
    agent
        .client()
        .set_capabilities(id, &["test.ipc", "test.trace"])
        .unwrap();
    let second = agent.shell_ok(id, "echo $PPID");
    assert_ne!(second, "1");
    assert_ne!(agent.shell(id, "cat /tmp/taken").0, 0);
    let traced = attempt(&agent, id, &format!("ptrace_host {second}"));
    assert_eq!(traced, "refused EPERM");
}

#[test]
fn limits_that_a_manifest_raises_are_raised_in_that_container_only() {
    let pair = Pair::new(&["test.files"]);
    let limits = |id| pair.agent.shell_ok(id, "ulimit -Sn; ulimit -Hn");
    assert_eq!(limits(pair.with), "6000\n6000");
    assert_eq!(limits(pair.without), "1024\n4096");
}

#[test]
fn realtime_priority_is_given_where_the_agent_has_it_and_told_to_be_missing_elsewhere() {
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let id = container(&agent);
    let mut able = Command::new("prlimit");
    able.args(["--rtprio=50", "--memlock=1073741824", "true"]);
    let answer = agent.client().set_capabilities(id, &["test.audio"]);
    if able.output().unwrap().status.success() {
        answer.unwrap();
        assert_eq!(agent.shell_ok(id, "ulimit -r; ulimit -l"), "50\n1048576");
    } else {
        let (_, text) = answer.unwrap_err();
        assert!(
            text.contains("is as high as the agent can make it here"),
            "{text}"
        );
        assert_eq!(agent.shell_ok(id, "ulimit -r"), "0");
    }
}

#[test]
fn a_system_call_that_no_manifest_can_allow_is_refused_by_name() {
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let id = container(&agent);
    let (_, text) = agent
        .client()
        .set_capabilities(id, &["test.wrong"])
        .unwrap_err();
    assert!(
        text.contains("\"mount\" can be allowed by no manifest"),
        "{text}"
    );
    assert_eq!(attempt(&agent, id, "mount_tmpfs"), "refused EPERM");
}

/// What an integrator's own LXC settings say of kernel capabilities and limits holds for all apps.
#[test]
fn the_integrators_own_lxc_settings_win() {
    let mut setup = Setup::manifest(MANIFEST);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "lxc.cap.keep =\nlxc.cap.keep = chown net_raw\nlxc.prlimit.nofile = 2000\n",
    )
    .unwrap();
    setup.config = format!("deprecated-lxc-config-path = {}\n", file.path().display());
    let agent = TestAgent::with(&setup);
    let id = container(&agent);
    assert_eq!(agent.shell_ok(id, "ulimit -n"), "2000");
    let status = agent.shell_ok(id, "grep CapEff /proc/self/status");
    assert_eq!(status, "CapEff:\t0000000000002001");
    let (_, text) = agent
        .client()
        .set_capabilities(id, &["test.chroot"])
        .unwrap_err();
    assert!(text.contains("sys_chroot cannot be given"), "{text}");
}
