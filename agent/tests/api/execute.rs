//! Execute and the signal of an end.

use std::{collections::HashSet, fs, os::unix::fs::MetadataExt as _, time::Duration};

use crate::{
    fails_with,
    support::{Arrival, Setup, TestAgent, wait_until},
    unable,
};

/// Runs a command that must end; its wait status and its output.
fn run(agent: &TestAgent, id: i32, command: &str, directory: &str) -> (u32, String) {
    let output = agent.path("run-output");
    let client = agent.client();
    let pid = client
        .execute(id, command, directory, output.to_str().unwrap(), &[])
        .unwrap();
    let ended = client.wait_ended(id, pid);
    (ended.exit_code, fs::read_to_string(output).unwrap())
}

#[test]
fn the_process_id_is_the_hosts() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let pid = client.execute(id, "sleep 4321", "", "", &[]).unwrap();
    wait_until("the program runs", || {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"sleep\x004321\0")
    });
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    assert_eq!(namespace(pid), namespace(agent.init_pid(id)));
    assert_ne!(namespace(pid), namespace(std::process::id()));
}

#[test]
fn the_exit_code_is_the_wait_status() {
    let agent = TestAgent::start();
    let id = agent.create();
    for (command, status) in [
        ("true", 0),
        ("false", 1 << 8),
        ("sh -c 'exit 255'", 255 << 8),
        ("sh -c 'kill -9 $$'", 9),
        ("sh -c 'kill -TERM $$'", 15),
    ] {
        assert_eq!(run(&agent, id, command, "").0, status, "{command}");
    }
    // Core dumps are a matter of the host.
    assert_eq!(run(&agent, id, "sh -c 'kill -SEGV $$'", "").0 & 0x7f, 11);
    std::thread::sleep(Duration::from_millis(50));
    assert!(agent.client().unclaimed().is_empty());
}

#[test]
fn the_end_is_never_told_before_the_reply() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    for _ in 0..100 {
        let pid = client.execute(id, "true", "", "", &[]).unwrap();
        let ended = client.wait_ended(id, pid);
        assert!(!ended.is_running);
    }
    let mut known = HashSet::new();
    let mut told = 0;
    for arrival in client.arrivals() {
        match arrival {
            Arrival::Reply(Some(pid)) => {
                known.insert(u32::try_from(pid).unwrap());
            }
            Arrival::Ended(ended) => {
                assert!(known.contains(&ended.pid), "{ended:?}");
                told += 1;
            }
            Arrival::Reply(None) => {}
        }
    }
    assert_eq!(told, 100);
}

#[test]
fn a_command_that_cannot_run_ends_like_in_a_shell_and_says_why() {
    let agent = TestAgent::start();
    let id = agent.create();
    let (status, text) = run(&agent, id, "no-such-command -x", "");
    assert_eq!(status, 127 << 8);
    assert!(
        text.contains("no-such-command: No such file or directory"),
        "{text}"
    );
    let (status, text) = run(&agent, id, "/no/such/command", "");
    assert_eq!(status, 127 << 8);
    assert!(
        text.contains("/no/such/command: No such file or directory"),
        "{text}"
    );
    for path in ["/etc/passwd", "/etc", "/gateways"] {
        let (status, text) = run(&agent, id, path, "");
        assert_eq!(status, 126 << 8, "{path}");
        assert!(
            text.contains(&format!("{path}: Permission denied")),
            "{text}"
        );
    }
    let program = "printf '\\177ELF\\0garbage' > /tmp/garbage; chmod 755 /tmp/garbage";
    agent.shell_ok(id, program);
    let (status, text) = run(&agent, id, "/tmp/garbage", "");
    assert_eq!(status, 126 << 8);
    assert!(text.contains("/tmp/garbage: Exec format error"), "{text}");
}

#[test]
fn a_script_whose_first_line_names_no_interpreter_is_the_shells() {
    let agent = TestAgent::start();
    let id = agent.create();
    let script = "mkdir /tmp/bin; cd /tmp/bin; echo 'echo \"$0 $1 $V\"' > plain; : > empty; \
                  chmod 755 *";
    agent.shell_ok(id, script);
    let (status, text) = run(&agent, id, "/tmp/bin/plain 'a b'", "");
    assert_eq!((status, text.trim_end()), (0, "/tmp/bin/plain a b"));
    // Looked up like any other program, and with the call's variables.
    let output = agent.path("by-name");
    let variables = [("PATH", "/tmp/bin"), ("V", "v")];
    let started = agent
        .client()
        .execute(id, "plain x", "", output.to_str().unwrap(), &variables);
    let ended = agent.client().wait_ended(id, started.unwrap());
    let text = fs::read_to_string(output).unwrap();
    assert_eq!(
        (ended.exit_code, text.as_str()),
        (0, "/tmp/bin/plain x v\n")
    );
    // Nothing is to be done in it.
    assert_eq!(run(&agent, id, "/tmp/bin/empty", "").0, 0);
}

#[test]
fn a_command_line_that_cannot_be_split_is_an_error() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    for (command, part) in [
        ("", "empty"),
        ("   \t\n", "empty"),
        ("''", "empty"),
        ("\"\" x", "empty"),
        ("echo 'a", "quote"),
        ("echo \"a", "quote"),
        ("echo \"a'", "quote"),
        ("echo a\\", "backslash"),
    ] {
        fails_with(client.execute(id, command, "", "", &[]), &[part]);
    }
    assert_eq!(agent.shell_ok(id, "echo still here"), "still here");
}

#[test]
fn words_are_split_like_a_shell_does_and_nothing_is_expanded() {
    let agent = TestAgent::start();
    let id = agent.create();
    let command =
        r#"printf '[%s]' a "b c" 'd  e' f\ g "" "h\"i" 'j'"k"l $HOME * ~ "$(id)" `id` ';' | >x # "#;
    let (status, text) = run(&agent, id, command, "");
    assert_eq!(status, 0, "{text}");
    assert_eq!(
        text,
        r#"[a][b c][d  e][f g][][h"i][jkl][$HOME][*][~][$(id)][`id`][;][|][>x][#]"#
    );
    // As the Qt Application Manager writes it.
    let (_, text) = run(&agent, id, r#""printf" "[%s]" "a b" "c""#, "");
    assert_eq!(text, "[a b][c]");
}

#[test]
fn the_working_directory_is_set() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    assert_eq!(run(&agent, id, "pwd", "").1, "/\n");
    assert_eq!(run(&agent, id, "pwd", "/usr/bin").1, "/usr/bin\n");
    for (directory, why) in [
        ("/no/such", "No such file or directory"),
        ("/etc/passwd", "Not a directory"),
    ] {
        let started = client.execute(id, "true", directory, "", &[]);
        fails_with(started, &["container 0", directory, why]);
    }
    std::thread::sleep(Duration::from_millis(50));
    assert!(
        client.unclaimed().is_empty(),
        "a process that did not start has no end"
    );
}

#[test]
fn an_app_gets_only_the_environment_that_is_meant_for_it() {
    let agent = TestAgent::with(&Setup {
        environment: vec![("AGENT_SECRET".to_owned(), "1".to_owned())],
        ..Setup::default()
    });
    let client = agent.client();
    let id = agent.create();
    let output = agent.path("env");
    let variables = [
        ("HOME", "/home/app"),
        ("EMPTY", ""),
        ("ODD", "a=b 'c'\n\"d\""),
    ];
    let pid = client
        .execute(id, "env -0", "", output.to_str().unwrap(), &variables)
        .unwrap();
    assert_eq!(client.wait_ended(id, pid).exit_code, 0);
    let text = fs::read_to_string(&output).unwrap();
    let mut found: Vec<&str> = text.split_terminator('\0').collect();
    found.sort_unstable();
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(
        &found[..3],
        ["EMPTY=", "HOME=/home/app", "ODD=a=b 'c'\n\"d\""]
    );
    assert!(found[3].starts_with("PATH="), "{found:?}");
    assert_eq!(found[4], "XDG_RUNTIME_DIR=/gateways");

    let pid = client
        .execute(
            id,
            "/usr/bin/env",
            "",
            output.to_str().unwrap(),
            &[("PATH", "/x")],
        )
        .unwrap();
    client.wait_ended(id, pid);
    assert_eq!(
        fs::read_to_string(&output).unwrap(),
        "PATH=/x\nXDG_RUNTIME_DIR=/gateways\n"
    );
    for name in ["", "A=B"] {
        let started = client.execute(id, "true", "", "", &[(name, "x")]);
        fails_with(started, &["environment variable", name]);
    }
}

#[test]
fn an_app_starts_with_standard_streams_only_and_default_signals() {
    let agent = TestAgent::start();
    let id = agent.create();
    let text = agent.shell_ok(
        id,
        "ls -l /proc/self/fd | sed 's/.*[0-9] \\([0-9]* ->\\)/\\1/'",
    );
    let streams: Vec<&str> = text.lines().filter(|line| line.contains("->")).collect();
    assert_eq!(streams.len(), 3, "{text}");
    assert!(streams[0].ends_with("/dev/null"), "{text}");
    let (_, status) = run(&agent, id, "cat /proc/self/status", "");
    for name in ["SigBlk:\t", "SigIgn:\t"] {
        let mask = status.lines().find_map(|line| line.strip_prefix(name));
        let mask = u64::from_str_radix(mask.unwrap(), 16).unwrap();
        // Signals 1 to 31; the C library keeps some of the others to itself.
        assert_eq!(mask & 0x7fff_ffff, 0, "{name}{mask:x}");
    }
    assert_eq!(
        agent.shell_ok(id, "ulimit -c"),
        "unlimited",
        "core dumps are a matter of the host"
    );
}

#[test]
fn a_crash_is_told_and_its_core_is_where_the_hosts_pattern_says() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let Some(name) = pattern.split('%').next().filter(|name| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric()) && !name.contains('/')
    }) else {
        unable::note(&format!(
            "the host's core_pattern is no file in the working directory: {pattern}"
        ));
        return;
    };
    let agent = TestAgent::start();
    let id = agent.create();
    let client = agent.client();
    let crashes = agent.path("crashes");
    fs::create_dir(&crashes).unwrap();
    client
        .bind_mount(id, crashes.to_str().unwrap(), "/var/crash", false)
        .unwrap();
    let pid = client
        .execute(id, "sh -c 'kill -SEGV $$'", "/var/crash", "", &[])
        .unwrap();
    let status = client.wait_ended(id, pid).exit_code;
    // WCOREDUMP of waitpid(2)
    assert_eq!(status, u32::try_from(libc::SIGSEGV).unwrap() | 0x80);
    let cores: Vec<_> = fs::read_dir(&crashes)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let [core] = &cores[..] else {
        panic!("not one core: {cores:?}");
    };
    let file_name = core.file_name();
    assert!(file_name.to_str().unwrap().starts_with(name.trim_end()));
    assert!(fs::read(core.path()).unwrap().starts_with(b"\x7fELF"));
    assert_eq!(core.metadata().unwrap().uid(), 0);
}

#[test]
fn many_processes_run_at_the_same_time() {
    let agent = TestAgent::start();
    let id = agent.create();
    std::thread::scope(|scope| {
        for thread in 0..5 {
            let agent = &agent;
            scope.spawn(move || {
                let client = agent.new_client();
                let started: Vec<(u32, u32)> = (0..10)
                    .map(|number| {
                        let status = thread * 10 + number;
                        let command = format!("sh -c 'sleep 0.1; exit {status}'");
                        (client.execute(id, &command, "", "", &[]).unwrap(), status)
                    })
                    .collect();
                for (pid, status) in started {
                    assert_eq!(client.wait_ended(id, pid).exit_code, status << 8);
                }
            });
        }
    });
}

#[test]
fn orphans_are_reaped() {
    let agent = TestAgent::start();
    let id = agent.create();
    agent.shell_ok(id, "for i in 1 2 3 4 5; do (sleep 0.05 &) ; done");
    let init = agent.init_pid(id);
    let children = format!("/proc/{init}/task/{init}/children");
    wait_until("all are reaped", || {
        fs::read_to_string(&children).unwrap().trim().is_empty()
    });
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(
        agent.client().unclaimed(),
        [],
        "only processes of Execute are told of"
    );
}

#[test]
fn a_process_may_live_on_in_the_background_while_its_starter_has_ended() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let pid = client
        .execute(id, "sh -c 'sleep 100 & exit 4'", "", "", &[])
        .unwrap();
    assert_eq!(client.wait_ended(id, pid).exit_code, 4 << 8);
    assert!(agent.shell_ok(id, "ps").contains("sleep 100"));
}

#[test]
fn a_command_line_longer_than_a_packet_arrives_whole() {
    let agent = TestAgent::start();
    let id = agent.create();
    let long = "x".repeat(60_000);
    let (status, text) = run(&agent, id, &format!("printf %s {long}"), "");
    assert_eq!((status, text.len()), (0, long.len()));
    let too_long = "x ".repeat(3_000_000);
    let client = agent.client();
    fails_with(
        client.execute(id, &format!("true {too_long}"), "", "", &[]),
        &["command line"],
    );
    assert_eq!(agent.shell_ok(id, "echo alive"), "alive");
}
