//! Programs and scripts start as they do on the host.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{chdir, pivot_root},
};

use crate::support::{Setup, TestAgent, wait_until};

/// Runs a program file with `content` in the container.
fn run_file(agent: &TestAgent, id: i32, content: &str) -> (u32, String) {
    let host = agent.path("app");
    fs::create_dir_all(&host).unwrap();
    let file = host.join("run");
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    // A repeat is refused, as it is mounted already.
    let _ = agent
        .client()
        .bind_mount(id, host.to_str().unwrap(), "/app", true);
    execute(agent, id, "/app/run")
}

fn execute(agent: &TestAgent, id: i32, command: &str) -> (u32, String) {
    let output = agent.path("output");
    let client = agent.client();
    let pid = client
        .execute(id, command, "", output.to_str().unwrap(), &[])
        .unwrap();
    let ended = client.wait_ended(id, pid);
    (ended.exit_code, fs::read_to_string(output).unwrap())
}

fn assert_scripts_start(agent: &TestAgent) {
    let id = agent.create();
    for (script, wanted) in [
        ("#!/bin/sh\necho \"from $0\"\n", "from /app/run\n"),
        ("#!/bin/bash\na=(1 2)\necho \"bash ${#a[@]}\"\n", "bash 2\n"),
        (
            "#!/usr/bin/env python3\nprint('python', 1 + 1)\n",
            "python 2\n",
        ),
        (
            "#!/usr/bin/env bash\necho ${BASH_VERSION:+bash}\n",
            "bash\n",
        ),
        ("#!/bin/busybox sh\necho busybox\n", "busybox\n"),
        ("#! /bin/cat\n", "#! /bin/cat\n"),
    ] {
        assert_eq!(
            run_file(agent, id, script),
            (0, wanted.to_owned()),
            "{script}"
        );
    }
    // Busybox goes first in /bin.
    assert_eq!(
        agent.shell_ok(id, "readlink /bin/sh; readlink /bin/ls"),
        "busybox\nbusybox"
    );
    assert_eq!(
        agent.shell_ok(id, "test -x /sbin/ldconfig && echo yes"),
        "yes"
    );
}

#[test]
fn scripts_start_with_the_interpreters_that_the_host_has() {
    assert_scripts_start(&TestAgent::start());
}

#[test]
fn scripts_start_where_bin_is_a_directory_of_its_own_on_the_host() {
    let root = SplitRoot::new();
    let mut agent = TestAgent::prepared(&Setup {
        before: Some(root.entered()),
        ..Setup::default()
    });
    agent.start_agent();
    let id = agent.create();
    assert_eq!(
        agent.shell_ok(id, "readlink /bin/bash"),
        "/run/host/bin/bash"
    );
    assert_scripts_start(&agent);
    // No way to change the host's programs.
    let (status, output) = agent.shell(id, "rm /run/host/bin/bash");
    assert_ne!(status, 0);
    assert!(output.contains("Read-only file system"), "{output}");
}

/// A root tree whose `/bin` and `/sbin` are directories of their own, as on hosts without merged
/// `/usr`; all else is the host's.
struct SplitRoot(tempfile::TempDir);

impl SplitRoot {
    fn new() -> Self {
        let dir = tempfile::TempDir::with_prefix("sc-test-split-").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for (name, programs) in [
            ("bin", &["bash", "busybox", "sed", "dash"][..]),
            ("sbin", &["ldconfig"]),
        ] {
            let own = dir.path().join(name);
            fs::create_dir(&own).unwrap();
            for program in programs {
                fs::copy(Path::new("/").join(name).join(program), own.join(program)).unwrap();
            }
        }
        symlink("dash", dir.path().join("bin/sh")).unwrap();
        for entry in fs::read_dir("/").unwrap() {
            let entry = entry.unwrap();
            let own = dir.path().join(entry.file_name());
            if own.exists() {
                continue;
            }
            if entry.file_type().unwrap().is_symlink() {
                symlink(fs::read_link(entry.path()).unwrap(), own).unwrap();
            } else if entry.file_type().unwrap().is_dir() {
                fs::create_dir(own).unwrap();
            }
        }
        Self(dir)
    }

    /// What makes it the root of a process, in a mount namespace of its own.
    fn entered(&self) -> crate::support::Before {
        let root = self.0.path().to_owned();
        let directories: Vec<PathBuf> = fs::read_dir("/")
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.path())
            .collect();
        let mounts: Vec<(PathBuf, PathBuf)> = directories
            .into_iter()
            .map(|host| (root.join(host.strip_prefix("/").unwrap()), host))
            .map(|(own, host)| (host, own))
            .collect();
        Arc::new(move || {
            let none = None::<&str>;
            let (bind, tree) = (MsFlags::MS_BIND, MsFlags::MS_BIND | MsFlags::MS_REC);
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none)?;
            mount(Some(&root), &root, none, bind, none)?;
            for (host, own) in &mounts {
                mount(Some(host), own, none, tree, none)?;
            }
            chdir(&root).map_err(io::Error::from)?;
            pivot_root(".", ".")?;
            nix::mount::umount2(".", nix::mount::MntFlags::MNT_DETACH)?;
            chdir("/").map_err(io::Error::from)
        })
    }
}

#[test]
fn a_missing_interpreter_is_named() {
    let agent = TestAgent::start();
    let id = agent.create();
    for (script, missing) in [
        ("#!/opt/vendor/shell -e\n", "/opt/vendor/shell"),
        ("#!/bin/sh\r\necho x\r\n", r"/bin/sh\r"),
    ] {
        let (status, output) = run_file(&agent, id, script);
        assert_eq!(status, 127 << 8, "{script}: {output}");
        let wanted = format!("softwarecontainer: {missing}: interpreter of /app/run not found\n");
        assert_eq!(output, wanted);
    }
    // The same for a program whose dynamic loader is missing.
    let program = fs::read("/usr/bin/env").unwrap();
    let at = program.windows(4).position(|it| it == b"/lib").unwrap();
    let mut changed = program.clone();
    changed[at..at + 4].copy_from_slice(b"/lab");
    fs::write(agent.path("app/run"), changed).unwrap();
    let (status, output) = execute(&agent, id, "/app/run");
    assert_eq!(status, 127 << 8, "{output}");
    assert!(
        output.starts_with("softwarecontainer: /lab")
            && output.ends_with(": interpreter of /app/run not found\n"),
        "{output}"
    );
}

#[test]
fn a_program_that_only_the_host_has_is_told_of() {
    let agent = TestAgent::start();
    let id = agent.create();
    let program = agent.path("only-on-host");
    fs::copy("/usr/bin/env", &program).unwrap();
    let (status, output) = execute(&agent, id, program.to_str().unwrap());
    assert_eq!(status, 127 << 8);
    let path = program.display();
    let wanted = format!("{path}: No such file or directory (os error 2); the host has {path}");
    assert!(output.contains(&wanted), "{output}");
    let (status, output) = execute(&agent, id, "no-such-program");
    assert_eq!(status, 127 << 8);
    let wanted = "softwarecontainer: no-such-program: No such file or directory (os error 2)\n";
    assert_eq!(output, wanted);
    wait_until("everything has ended", || {
        agent.client().unclaimed().is_empty()
    });
}
