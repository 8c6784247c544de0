//! The list of system calls that apps may make.

use crate::{
    support::{Setup, TestAgent, wait_until},
    world::Attack,
};

/// fanotify_init(2), on no list and in no profile; x86_64, then the generic table.
const FANOTIFY_INIT: i32 = if cfg!(target_arch = "x86_64") {
    300
} else {
    262
};
/// quotactl(2), which the profile refuses with EPERM.
const QUOTACTL: i32 = if cfg!(target_arch = "x86_64") {
    179
} else {
    60
};
/// kcmp(2), which is on the list.
const KCMP: i32 = if cfg!(target_arch = "x86_64") {
    312
} else {
    272
};
/// A number that no kernel has.
const NONE: i32 = 5000;

/// How often the agent has logged that the call was made in the attacker's container, or in one
/// that had its ID before.
fn told(attack: &Attack, call: &str) -> usize {
    let container = format!("container {}: process", attack.id);
    let text = format!("made the system call {call}, which apps may not make");
    let log = attack.agent.log();
    let lines = log.lines().filter(|line| line.contains(&container));
    lines.filter(|line| line.contains(&text)).count()
}

#[test]
fn a_call_that_is_on_no_list_is_answered_and_told_once_for_each_app() {
    let attack = Attack::new();
    let before = told(&attack, "fanotify_init");
    for app in 1..=2 {
        attack.refused(&format!("any_call {FANOTIFY_INIT} 100"), &["ENOSYS"]);
        wait_until("the call is told", || {
            told(&attack, "fanotify_init") >= before + app
        });
        assert_eq!(told(&attack, "fanotify_init"), before + app);
    }
    attack.refused(&format!("any_call {NONE} 1"), &["ENOSYS"]);
    attack.refused(&format!("any_call {QUOTACTL} 1"), &["EPERM"]);
    attack.refused("ptrace_self_child", &["EPERM"]);
    for call in [&format!("system call {NONE}"), "quotactl", "ptrace"] {
        wait_until("the call is told", || told(&attack, call) > 0);
    }
}

/// Every answer costs the container time, and nobody else: starts and ends go on, and so does the
/// log.
#[test]
fn a_flood_of_denied_calls_holds_up_nothing() {
    let attack = Attack::new();
    let client = attack.agent.client();
    let output = attack.agent.path("flood");
    let command = format!("python3 -I -B /attacker.py flood_of_denials {FANOTIFY_INIT}");
    let before = told(&attack, "fanotify_init");
    client
        .execute(attack.id, &command, "", output.to_str().unwrap(), &[])
        .unwrap();
    wait_until("the flood has begun", || {
        std::fs::read_to_string(&output).is_ok_and(|text| text.contains("flooding"))
    });
    for _ in 0..5 {
        assert_eq!(attack.agent.shell_ok(attack.id, "echo works"), "works");
        client.suspend(attack.id).unwrap();
        client.resume(attack.id).unwrap();
    }
    assert_eq!(told(&attack, "fanotify_init"), before + 1);
    attack.check_health();
}

/// Programs of x86_64 reach the calls of i386 as well, with other numbers, and those of x32 where
/// the kernel has them.
#[cfg(target_arch = "x86_64")]
#[test]
fn other_ways_into_the_kernel_are_no_wider() {
    const CLONE_NEWUSER: u32 = 0x1000_0000;
    const CLONE_NEWNS: u32 = 0x2_0000;
    let attack = Attack::new();
    let old = [
        ("21", "EPERM"),     // mount
        ("52", "EPERM"),     // umount2
        ("26 16", "EPERM"),  // ptrace
        ("338", "ENOSYS"),   // fanotify_init
        ("374 1", "EPERM"),  // userfaultfd
        ("425 1", "EPERM"),  // io_uring_setup
        ("288", "ENOSYS"),   // keyctl
        ("346", "EPERM"),    // setns
        ("435", "ENOSYS"),   // clone3
        ("437", "ENOSYS"),   // openat2
        ("102 1", "ENOSYS"), // socketcall
        ("61", "EPERM"),     // chroot
        ("123", "EPERM"),    // modify_ldt
        ("110 3", "EPERM"),  // iopl
    ];
    for (call, error) in old {
        attack.refused(&format!("old_entry {call}"), &[error]);
    }
    for flag in [CLONE_NEWUSER, CLONE_NEWNS] {
        attack.refused(&format!("old_entry 310 {flag}"), &["EPERM"]);
        attack.refused(&format!("old_entry 120 {flag}"), &["EPERM"]);
    }
    // getpid, which apps may call.
    assert!(attack.attempt("old_entry 20").ends_with("done"));
    wait_until("the call is told", || told(&attack, "fanotify_init") > 0);
    // getpid and fanotify_init of x32.
    for number in [39, FANOTIFY_INIT] {
        attack.refused(&format!("any_call {} 1", 0x4000_0000 + number), &["ENOSYS"]);
    }
}

/// How the call ends that is made with the agent configured so.
fn errno(config: String, number: i32) -> String {
    let agent = TestAgent::with(&Setup {
        config,
        ..Setup::default()
    });
    let id = agent.create();
    let script = format!(
        "python3 -I -c 'import ctypes; libc = ctypes.CDLL(None, use_errno=True); \
         print(libc.syscall({number}, -1, -1, -1, 0, 0), ctypes.get_errno())'"
    );
    let errno = agent.shell_ok(id, &script);
    assert_ne!(agent.shell(id, "mount -t tmpfs none /tmp").0, 0);
    errno
}

#[test]
fn a_list_of_ones_own_counts_and_without_one_the_profile_alone_does() {
    let absent = format!("-1 {}", libc::ENOSYS);
    assert_ne!(errno("seccomp-calls =".to_owned(), FANOTIFY_INIT), absent);
    let list = tempfile::NamedTempFile::with_prefix("sc-test-").unwrap();
    let ours = include_str!("../../seccomp/softwarecontainer.calls");
    std::fs::write(list.path(), ours.replace(" kcmp", " fanotify_init")).unwrap();
    let own = format!("seccomp-calls = {}", list.path().display());
    assert_ne!(errno(own.clone(), FANOTIFY_INIT), absent);
    assert_eq!(errno(own, KCMP), absent);
    assert_ne!(errno(String::new(), KCMP), absent);
}
