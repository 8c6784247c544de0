//! What manifests open with the privileges gateway: that much, in that container, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs::Permissions,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::Command,
};

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

/// The book says which parts of the profile io_uring goes past. A write buffer brings no
/// set-user-ID program to the host all the same, and what the kernel itself refuses stays refused.
#[test]
fn what_goes_through_io_uring_no_filter_sees_but_the_rest_holds() {
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let host = agent.path("shared");
    std::fs::create_dir(&host).unwrap();
    let options = r#"[{"writeBufferEnabled": true}]"#;
    let client = agent.client();
    let (direct, buffered) = (agent.create(), client.create(options).unwrap());
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attacks/attacker.py");
    let planted = host.join("planted");
    for id in [buffered, direct] {
        let path = host.to_str().unwrap();
        client
            .bind_mount(id, program, "/attacker.py", true)
            .unwrap();
        client.bind_mount(id, path, "/shared", false).unwrap();
        let attempt = |what: &str| attempt(&agent, id, what);
        assert_eq!(attempt("ring_set_user_id /shared"), "refused EPERM");
        assert_eq!(attempt("ring_socket"), "refused EPERM");
        client.set_capabilities(id, &["test.calls"]).unwrap();
        assert_eq!(attempt("ring_socket"), "done");
        for closed in [
            "/usr/attack",
            "/proc/sys/kernel/core_pattern",
            "/sys/attack",
        ] {
            let refused = attempt(&format!("ring_write {closed}"));
            assert!(refused.starts_with("refused E"), "{closed}: {refused}");
        }
        assert_eq!(attempt("ring_set_user_id /shared"), "done");
        client.destroy(id).unwrap();
        let mode = planted.metadata().unwrap().mode() & 0o7777;
        let expected = if id == buffered { 0o755 } else { 0o4755 };
        assert_eq!(mode, expected, "{mode:o}");
        std::fs::remove_file(&planted).unwrap();
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

/// Without a user namespace the init's program file in the container is the app's to change. It is
/// not what becomes the second init.
#[test]
fn a_second_init_is_not_the_program_that_an_app_has_put_in_its_place() {
    let agent = without_user_namespace();
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

fn without_user_namespace() -> TestAgent {
    let mut setup = Setup::manifest(MANIFEST);
    setup.config = "user-namespace = off\n".to_owned();
    TestAgent::with(&setup)
}

/// A line of a process's status (proc_pid_status(5)).
fn status(pid: u32, key: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap().trim().to_owned()
}

/// It has executed nothing, which would have taken from it what is not in its bounding set.
#[test]
fn the_second_init_has_no_more_capabilities_than_the_first() {
    for agent in [
        TestAgent::with(&Setup::manifest(MANIFEST)),
        without_user_namespace(),
    ] {
        let id = container(&agent);
        agent.client().set_capabilities(id, &["test.ipc"]).unwrap();
        let pid = agent
            .client()
            .execute(id, "/bin/sleep 600", "", "", &[])
            .unwrap();
        let second = status(pid, "PPid:").parse().unwrap();
        let sets = ["CapPrm:", "CapEff:", "CapBnd:", "CapInh:", "CapAmb:"];
        let of = |pid| sets.map(|key| status(pid, key));
        assert_eq!(of(second), of(agent.init_pid(id)));
    }
}

/// The second init is a process of the agent's own program. An app can get at that file, as
/// CVE-2019-5736 did with runc's: the launcher starts an app that has made itself a link to it.
#[test]
fn the_agents_program_file_cannot_be_changed_through_the_second_init() {
    let agent = without_user_namespace();
    let id = container(&agent);
    agent.client().set_capabilities(id, &["test.ipc"]).unwrap();
    agent.shell_ok(id, "mkfifo /tmp/wait && ln -s /proc/self/exe /tmp/app");
    let pid = agent
        .client()
        .execute(id, "/tmp/app --config /tmp/wait", "", "", &[])
        .unwrap();
    let own = std::fs::metadata(env!("CARGO_BIN_EXE_softwarecontainer-agent")).unwrap();
    let reached = std::fs::metadata(format!("/proc/{pid}/exe")).unwrap();
    assert_eq!((reached.dev(), reached.ino()), (own.dev(), own.ino()));
    let inside = status(pid, "NSpid:");
    let inside = inside.split_whitespace().last().unwrap();
    let (failed, output) = agent.shell(id, &format!("chmod 755 /proc/{inside}/exe 2>&1"));
    assert_ne!(failed, 0);
    assert!(output.contains("Read-only file system"), "{output}");
    support::signal(pid, "KILL");
}

/// The host's `/dev/null`, which gets its mode back should an attack work.
struct HostNull(u32);

impl HostNull {
    fn new() -> Self {
        Self(Self::mode())
    }

    fn mode() -> u32 {
        std::fs::metadata("/dev/null").unwrap().mode()
    }
}

impl Drop for HostNull {
    fn drop(&mut self) {
        std::fs::set_permissions("/dev/null", Permissions::from_mode(self.0 & 0o7777)).unwrap();
    }
}

/// Without a user namespace an app can replace the nodes in its `/dev`. liblxc changes the mode of
/// what it takes for standard streams.
#[test]
fn what_an_app_puts_in_place_of_dev_null_is_not_used() {
    let null = HostNull::new();
    for made in ["ln -s /etc/passwd", "mkfifo", "touch", "ln -s null"] {
        let agent = without_user_namespace();
        let id = container(&agent);
        agent.shell_ok(id, &format!("rm /dev/null && {made} /dev/null"));
        assert_eq!(agent.shell_ok(id, "cat"), "", "{made}");
        agent.client().set_capabilities(id, &["test.ipc"]).unwrap();
        // No second init comes up without it, which is the app's own loss.
        let output = agent.path("none");
        let path = output.to_str().unwrap();
        let started = agent.client().execute(id, "/bin/cat", "", path, &[]);
        assert!(started.is_err(), "{made}");
        assert_eq!(HostNull::mode(), null.0, "{made}");
        let other = container(&agent);
        assert_eq!(agent.shell_ok(other, "echo alive"), "alive");
    }
}

/// Without a user namespace, root there could change the mode of the host's.
#[test]
fn an_app_without_output_file_has_the_containers_own_dev_null() {
    let null = HostNull::new();
    let agent = without_user_namespace();
    let id = container(&agent);
    let host = std::fs::metadata("/dev/null").unwrap();
    for capability in ["test.none", "test.ipc"] {
        agent.client().set_capabilities(id, &[capability]).unwrap();
        let pid = agent
            .client()
            .execute(id, "/bin/sleep 600", "", "", &[])
            .unwrap();
        for stream in 0..3 {
            let stream = std::fs::metadata(format!("/proc/{pid}/fd/{stream}")).unwrap();
            assert_eq!(stream.rdev(), host.rdev());
            assert_ne!((stream.dev(), stream.ino()), (host.dev(), host.ino()));
        }
    }
    assert_eq!(HostNull::mode(), null.0);
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
