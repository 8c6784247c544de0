//! Enters the sandbox and tries what a taken-over proxy would try. Without the test harness: the
//! sandbox is for a process with one thread.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    os::unix::process::ExitStatusExt,
    process::{Command, ExitCode},
};

use softwarecontainer_dbus_proxy::sandbox::{Identity, enter};

const KILLED: Option<i32> = Some(libc::SIGSYS);

/// Attempts, each as a system call with its arguments.
fn attempt(name: &str) -> [libc::c_long; 7] {
    let path = c"/etc/passwd".as_ptr() as libc::c_long;
    let call = |number: libc::c_long, arguments: &[libc::c_long]| {
        let mut all = [0; 7];
        all[0] = number;
        all[1..=arguments.len()].copy_from_slice(arguments);
        all
    };
    let page = 4096;
    let (read, write, exec) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    let private = libc::c_long::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    match name {
        "open a file" => call(libc::SYS_openat, &[libc::AT_FDCWD.into(), path, 0]),
        "execute a program" => call(libc::SYS_execve, &[path, 0, 0]),
        "make a process" => call(libc::SYS_clone, &[libc::SIGCHLD.into()]),
        "make an internet socket" => call(
            libc::SYS_socket,
            &[libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0],
        ),
        "make a netlink socket" => call(
            libc::SYS_socket,
            &[libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), 0],
        ),
        "trace a process" => call(libc::SYS_ptrace, &[libc::PTRACE_ATTACH.into(), 1]),
        "signal a process" => call(libc::SYS_kill, &[1, 0]),
        "become root" => call(libc::SYS_setresuid, &[-1, 0, -1]),
        "change the real user" => call(libc::SYS_setresuid, &[1, 1, 1]),
        "make code" => call(
            libc::SYS_mmap,
            &[0, page, (read | exec).into(), private, -1, 0],
        ),
        "make data code" => call(
            libc::SYS_mprotect,
            &[0x1000, page, (read | write | exec).into()],
        ),
        "map a file" => call(
            libc::SYS_mmap,
            &[0, page, read.into(), libc::MAP_PRIVATE.into(), 0, 0],
        ),
        "mount" => call(libc::SYS_mount, &[path, path, 0, 0, 0]),
        "enter a namespace" => call(libc::SYS_setns, &[0, 0]),
        "make a user namespace" => call(libc::SYS_unshare, &[libc::CLONE_NEWUSER.into()]),
        "listen" => call(libc::SYS_bind, &[0, 0, 0]),
        "load a BPF program" => call(libc::SYS_bpf, &[0, 0, 0]),
        "read another process" => call(libc::SYS_process_vm_readv, &[1, 0, 0, 0, 0, 0]),
        "switch to the other user" => call(libc::SYS_setresuid, &[-1, 1, -1]),
        other => panic!("no attempt {other}"),
    }
}

const ATTEMPTS: &[(&str, Option<i32>)] = &[
    ("open a file", KILLED),
    ("execute a program", KILLED),
    ("make a process", KILLED),
    ("make an internet socket", KILLED),
    ("make a netlink socket", KILLED),
    ("trace a process", KILLED),
    ("signal a process", KILLED),
    ("become root", KILLED),
    ("change the real user", KILLED),
    ("make code", KILLED),
    ("make data code", KILLED),
    ("map a file", KILLED),
    ("mount", KILLED),
    ("enter a namespace", KILLED),
    ("make a user namespace", KILLED),
    ("listen", KILLED),
    ("load a BPF program", KILLED),
    ("read another process", KILLED),
    ("switch to the other user", None),
];

fn try_it(name: &str) -> ExitCode {
    let identity = Identity {
        system_uid: 65534,
        session_uid: 1,
        gid: 65534,
    };
    let sandbox = enter([None, None], &identity).unwrap();
    assert_eq!(sandbox.missing, Vec::<String>::new());
    let [number, a, b, c, d, e, f] = attempt(name);
    // SAFETY: the call is not allowed or harmless; that is what is tested.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == 0 {
        ExitCode::from(7)
    } else {
        ExitCode::from(8)
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if let (Some(flag), Some(name)) = (arguments.next(), arguments.next())
        && flag == "--try"
    {
        return try_it(&name);
    }
    for (name, expected) in ATTEMPTS {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--try", name])
            .status()
            .unwrap();
        let right = match expected {
            Some(_) => status.signal() == *expected,
            None => status.code() == Some(7),
        };
        assert!(right, "{name}: {status}");
    }
    println!("{} attempts ended as they must", ATTEMPTS.len());
    ExitCode::SUCCESS
}
