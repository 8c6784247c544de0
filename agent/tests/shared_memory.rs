//! Memory shared between the host and containers, and not shared with those that may not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use support::{Setup, TestAgent, is_alive, wait_until};

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.sysv", "gateways": [{"id": "ipc", "config": [{"host": true}]}]},
    {"name": "test.posix", "gateways": [{"id": "file", "config": [
        {"path-host": "/dev/shm", "path-container": "/dev/shm", "read-only": false}]}]},
    {"name": "test.none", "gateways": []}
]}"#;
const TEXT: &str = "written on the host";

/// A System V segment of the host that everybody may read.
struct Segment(String);

impl Segment {
    fn new() -> Self {
        let script = format!(
            "import ctypes\n\
             libc = ctypes.CDLL(None)\n\
             libc.shmat.restype = ctypes.c_void_p\n\
             id = libc.shmget(0, 4096, 0o1666)\n\
             at = libc.shmat(id, None, 0)\n\
             ctypes.memmove(at, b'{TEXT}', {})\n\
             print(id)",
            TEXT.len()
        );
        let output = Command::new("python3")
            .args(["-c", &script])
            .output()
            .unwrap();
        let id = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        assert!(id.parse::<u32>().is_ok(), "{id:?}");
        Self(id)
    }

    /// A shell command that prints what is in it.
    fn read(&self) -> String {
        format!(
            "python3 -c \"import ctypes; libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p; \
             at = libc.shmat({}, None, 0o10000); assert at != ctypes.c_void_p(-1).value; \
             print(ctypes.string_at(at).decode())\"",
            self.0
        )
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let _ = Command::new("ipcrm").args(["-m", &self.0]).status();
    }
}

fn ipc_namespace(pid: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/ipc")).unwrap()
}

#[test]
fn segment_of_the_host_is_read_in_a_container_with_the_capability_only() {
    let segment = Segment::new();
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let (with, without) = (agent.create(), agent.create());
    agent
        .client()
        .set_capabilities(with, &["test.sysv"])
        .unwrap();
    agent
        .client()
        .set_capabilities(without, &["test.none"])
        .unwrap();
    assert_eq!(agent.shell_ok(with, &segment.read()), TEXT);
    let (status, output) = agent.shell(without, &segment.read());
    assert_ne!(status, 0);
    assert!(!output.contains(TEXT), "{output}");
    for id in [with, without] {
        agent.client().destroy(id).unwrap();
    }
}

#[test]
fn process_in_the_hosts_ipc_namespace_is_confined_like_any_other() {
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let id = agent.create();
    let facts = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; id -u; hostname; pwd; \
                 cat /proc/self/uid_map; grep -v ^0: /proc/self/cgroup; ls -l /proc/self/fd | wc -l; \
                 ulimit -c; cat /proc/self/oom_score_adj; for n in mnt net pid user uts cgroup; do readlink /proc/self/ns/$n; done";
    let ordinary = agent.shell_ok(id, facts);
    let ipc = agent.shell_ok(id, "readlink /proc/self/ns/ipc");
    agent.client().set_capabilities(id, &["test.sysv"]).unwrap();
    assert_eq!(agent.shell_ok(id, facts), ordinary);
    let shared = agent.shell_ok(id, "readlink /proc/self/ns/ipc");
    assert_ne!(shared, ipc);
    assert_eq!(shared, ipc_namespace("self").to_str().unwrap());
    agent.client().destroy(id).unwrap();
}

#[test]
fn processes_in_the_hosts_ipc_namespace_end_and_are_told_of_like_any_other() {
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let id = agent.create();
    let client = agent.client();
    let before = client.execute(id, "sleep 1000", "", "", &[]).unwrap();
    client.set_capabilities(id, &["test.sysv"]).unwrap();
    assert_eq!(agent.shell(id, "exit 7").0, 7 << 8);
    let after = client.execute(id, "sleep 1000", "", "", &[]).unwrap();
    let (host, own) = (ipc_namespace("self"), ipc_namespace(&before.to_string()));
    assert_eq!(ipc_namespace(&after.to_string()), host);
    assert_ne!(own, host);
    client.suspend(id).unwrap();
    client.resume(id).unwrap();
    client.destroy(id).unwrap();
    // SIGTERM is enough.
    for pid in [before, after] {
        assert_eq!(client.wait_ended(id, pid).exit_code, 15, "{pid}");
        assert!(!is_alive(pid));
    }
    assert!(!agent.container_dir(id).exists());
}

#[test]
fn app_that_ends_the_second_init_harms_nobody_else() {
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let id = agent.create();
    agent.client().set_capabilities(id, &["test.sysv"]).unwrap();
    // The shell's parent is the second init.
    let _ = agent.shell(id, "kill -9 $PPID; sleep 1");
    wait_until("processes can be started again", || {
        agent
            .client()
            .execute(id, "/bin/true", "", "", &[])
            .map(|pid| agent.client().wait_ended(id, pid))
            .is_ok_and(|ended| ended.exit_code == 0)
    });
    let shared = agent.shell_ok(id, "readlink /proc/self/ns/ipc");
    assert_eq!(shared, ipc_namespace("self").to_str().unwrap());
    agent.client().destroy(id).unwrap();
}

#[test]
fn posix_shared_memory_goes_through_the_file_gateway_also_with_write_buffers() {
    let name = format!("sc-test-{}", std::process::id());
    let path = PathBuf::from("/dev/shm").join(&name);
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let without = agent.create();
    for options in [
        r#"[{"writeBufferEnabled": false}]"#,
        r#"[{"writeBufferEnabled": true}]"#,
    ] {
        fs::write(&path, TEXT).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let with = agent.client().create(options).unwrap();
        agent
            .client()
            .set_capabilities(with, &["test.posix"])
            .unwrap();
        let seen = agent.shell_ok(with, &format!("cat /dev/shm/{name}"));
        agent.shell_ok(with, &format!("echo answer > /dev/shm/{name}"));
        let answer = fs::read_to_string(&path).unwrap();
        let hidden = agent.shell(without, &format!("cat /dev/shm/{name}")).0;
        fs::remove_file(&path).unwrap();
        assert_eq!(seen, TEXT);
        assert_eq!(answer, "answer\n", "{options}");
        assert_ne!(hidden, 0);
        agent.client().destroy(with).unwrap();
    }
    agent.client().destroy(without).unwrap();
}

#[test]
fn a_container_has_bounded_shared_memory_of_its_own() {
    let agent = TestAgent::with(&Setup {
        config: "shm-size = 8388608\n".to_owned(),
        ..Setup::manifest(MANIFEST)
    });
    let (id, other) = (agent.create(), agent.create());
    let script = "import multiprocessing as m\n\
                  from multiprocessing.shared_memory import SharedMemory\n\
                  m.Lock()\n\
                  s = SharedMemory(name=\"sc-own\", create=True, size=4 << 20)\n\
                  s.buf[:5] = b\"hello\"\n\
                  import os, sys\n\
                  print(os.listdir(\"/dev/shm\")); sys.stdout.flush(); os._exit(0)";
    let python = format!("python3 -c '{script}'");
    assert_eq!(agent.shell_ok(id, &python), "['sc-own']");
    assert!(!PathBuf::from("/dev/shm/sc-own").exists());
    assert_eq!(agent.shell_ok(other, "ls /dev/shm"), "");
    assert_eq!(agent.shell_ok(id, "stat -c %a /dev/shm"), "1777");
    let (status, text) = agent.shell(id, "dd if=/dev/zero of=/dev/shm/big bs=1M count=9");
    assert_ne!(status, 0);
    assert!(text.contains("No space left"), "{text}");
    let empty = "i=0; while [ $i -lt 5000 ] && : > /dev/shm/$i; do i=$((i+1)); done 2>&1";
    assert!(agent.shell(id, empty).1.contains("No space left"));
    // A second mount over it is one too many.
    agent
        .client()
        .set_capabilities(id, &["test.posix"])
        .unwrap();
    agent
        .client()
        .bind_mount(id, "/usr/share", "/dev/shm", true)
        .unwrap_err();
}
