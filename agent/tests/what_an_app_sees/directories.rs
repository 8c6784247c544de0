//! Directories, limits and the environment.

use crate::support::TestAgent;

#[test]
fn the_usual_directories_are_there_with_the_usual_modes_and_are_the_apps() {
    let agent = TestAgent::start();
    let id = agent.create();
    for (path, mode) in [
        ("/home", "755"),
        ("/media", "755"),
        ("/mnt", "755"),
        ("/opt", "755"),
        ("/root", "700"),
        ("/run", "755"),
        ("/run/lock", "1777"),
        ("/srv", "755"),
        ("/tmp", "1777"),
        ("/var/cache", "755"),
        ("/var/lib", "755"),
        ("/var/log", "755"),
        ("/var/spool", "755"),
        ("/var/tmp", "1777"),
    ] {
        let script = format!("stat -c '%a %u %g' {path}; touch {path}/x");
        assert_eq!(agent.shell_ok(id, &script), format!("{mode} 0 0"), "{path}");
    }
    assert_eq!(
        agent.shell_ok(id, "cd /var/run/lock && pwd -P"),
        "/run/lock"
    );
    assert_eq!(agent.shell_ok(id, "cd /var/lock && pwd -P"), "/run/lock");
}

#[test]
fn what_an_app_writes_there_is_bounded() {
    let agent = TestAgent::start();
    let id = agent
        .client()
        .create(
            r#"[{"writeBufferEnabled": false, "temporaryFileSystemWriteBufferEnabled": true,
                 "temporaryFileSystemSize": 4194304}]"#,
        )
        .unwrap();
    for directory in ["/run", "/var/tmp", "/var/cache", "/var/lib", "/opt", "/srv"] {
        let script =
            format!("dd if=/dev/zero of={directory}/big bs=1M count=8; rm {directory}/big");
        let (_, output) = agent.shell(id, &script);
        assert!(
            output.contains("No space left on device"),
            "{directory}: {output}"
        );
    }
}

#[test]
fn the_environment_holds_what_manifests_and_the_launcher_give() {
    let agent = TestAgent::start();
    let id = agent.create();
    assert_eq!(
        agent.shell_ok(id, "cat /proc/$$/environ | tr '\\0' '\\n'"),
        "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\nXDG_RUNTIME_DIR=/gateways"
    );
    assert_eq!(agent.shell_ok(id, "locale charmap"), "ANSI_X3.4-1968");
    assert_eq!(agent.shell_ok(id, "LC_ALL=C.UTF-8 locale charmap"), "UTF-8");
    assert_eq!(
        agent.shell_ok(id, "hostname; pwd; id -u"),
        "contained\n/\n0"
    );
}

#[test]
fn new_files_are_readable_by_all_whatever_the_agent_makes_of_its_own() {
    let agent = TestAgent::with(&crate::support::Setup {
        before: Some(std::sync::Arc::new(|| {
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
            Ok(())
        })),
        ..crate::support::Setup::default()
    });
    let id = agent.create();
    assert_eq!(agent.shell_ok(id, "umask"), "0022");
    let script = "stat -L -c %a /run/host/etc /etc/hosts /var /bin /usr /etc/passwd";
    assert_eq!(agent.shell_ok(id, script), "755\n644\n755\n755\n755\n644");
}

#[test]
fn limits_are_those_that_the_book_tells() {
    let agent = TestAgent::start();
    let id = agent.create();
    let limits = agent.shell_ok(id, "cat /proc/self/limits");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let values = line.trim_start_matches(name).split_whitespace();
        values
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(limit("Max core file size"), "unlimited unlimited");
    assert_eq!(limit("Max open files"), "1024 4096");
    assert_eq!(
        agent.shell_ok(
            id,
            "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || echo 1024"
        ),
        "1024"
    );
}
