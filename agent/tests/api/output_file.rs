//! Where the output of a process goes.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    process::Command,
    time::{Duration, Instant},
};

use crate::{fails_with, support::TestAgent};

#[test]
fn a_file_is_made_or_truncated_and_gets_both_streams() {
    let agent = TestAgent::start();
    let id = agent.create();
    let file = agent.path("out");
    let path = file.to_str().unwrap();
    let client = agent.client();
    let run = |script: &str| {
        let command = format!("sh -c '{script}'");
        let pid = client.execute(id, &command, "", path, &[]).unwrap();
        client.wait_ended(id, pid);
        fs::read_to_string(&file).unwrap()
    };
    assert_eq!(run("echo one; echo two >&2"), "one\ntwo\n");
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o644);
    assert_eq!((metadata.uid(), metadata.gid()), (0, 0));
    assert_eq!(run("echo 3"), "3\n");
}

#[test]
fn a_relative_path_is_in_the_agents_working_directory() {
    let agent = TestAgent::start();
    let id = agent.create();
    let client = agent.client();
    let pid = client
        .execute(id, "echo here", "", "relative-output", &[])
        .unwrap();
    client.wait_ended(id, pid);
    assert_eq!(
        fs::read_to_string(agent.path("relative-output")).unwrap(),
        "here\n"
    );
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_and_nothing_starts() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let missing = agent.path("no/such/file");
    let directory = agent.path("directory");
    fs::create_dir(&directory).unwrap();
    let target = agent.path("precious");
    fs::write(&target, "precious").unwrap();
    let link = agent.path("link");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    for path in [missing, directory, link, "/dev/zero".into()] {
        let path = path.to_str().unwrap();
        fails_with(client.execute(id, "true", "", path, &[]), &[path]);
    }
    assert_eq!(fs::read_to_string(target).unwrap(), "precious");
    assert!(client.unclaimed().is_empty());
}

fn fifo(agent: &TestAgent) -> std::path::PathBuf {
    let path = agent.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    path
}

#[test]
fn a_fifo_with_a_reader_gets_the_output() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let path = fifo(&agent);
    let mut reader = fs::File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .unwrap();
    // More than a pipe holds: a writer that does not block would lose some.
    let command = "sh -c 'sleep 0.1; yes | head -c 300000; echo; echo end >&2'";
    let pid = client
        .execute(id, command, "", path.to_str().unwrap(), &[])
        .unwrap();
    let mut text = Vec::new();
    let end = Instant::now() + Duration::from_secs(10);
    let mut buffer = [0; 65536];
    while Instant::now() < end {
        match reader.read(&mut buffer) {
            Ok(0) if !text.is_empty() => break,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(_) => {}
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(text.len(), 300_000 + 5);
    assert!(text.ends_with(b"\nend\n"));
    assert_eq!(client.wait_ended(id, pid).exit_code, 0);
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
}

#[test]
fn a_fifo_without_a_reader_is_an_error_at_once() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let path = fifo(&agent);
    let path = path.to_str().unwrap();
    fails_with(
        client.execute(id, "true", "", path, &[]),
        &[path, "FIFO", "nobody reads"],
    );
    assert_eq!(client.list().unwrap(), [id]);
}

#[test]
fn the_agent_keeps_no_descriptor_of_it() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let file = agent.path("kept");
    let pid = client
        .execute(id, "true", "", file.to_str().unwrap(), &[])
        .unwrap();
    client.wait_ended(id, pid);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    for process in [agent.pid(), agent.init_pid(id)] {
        for entry in fs::read_dir(format!("/proc/{process}/fd")).unwrap() {
            let target = fs::read_link(entry.unwrap().path()).unwrap_or_default();
            assert_ne!(target, file, "process {process}");
        }
    }
}
