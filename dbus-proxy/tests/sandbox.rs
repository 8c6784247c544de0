//! What the proxy process is left with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs::read_to_string;

use support::{
    Bus, Setup,
    raw::{Raw, driver_call},
    rules,
};

fn status(pid: u32, key: &str) -> String {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line[key.len()..]
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn it_holds_no_capability_and_can_gain_none() {
    let bus = Bus::open();
    let setup = Setup::new(&bus, rules(&[]));
    let pid = setup.pid();
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(u64::from_str_radix(&status(pid, set), 16), Ok(0), "{set}");
    }
    assert_eq!(status(pid, "NoNewPrivs:"), "1");
    assert_eq!(status(pid, "Seccomp:"), "2");
    assert_eq!(status(pid, "Seccomp_filters:"), "1");
    assert_eq!(status(pid, "Threads:"), "1");
}

#[test]
fn it_has_the_users_of_its_buses_and_no_group_of_others() {
    let (session, system) = (Bus::session_of(1), Bus::system());
    let setup = Setup::without_rules(&session, &system);
    setup
        .proxy
        .serve([
            Some(setup.session.service(rules(&[]))),
            Some(setup.system.service(rules(&[]))),
        ])
        .unwrap();
    let pid = setup.pid();
    assert_eq!(status(pid, "Uid:"), "65534 65534 1 65534");
    assert_eq!(status(pid, "Gid:"), "65534 65534 65534 65534");
    assert_eq!(status(pid, "Groups:"), "");
    for (path, uid) in [
        (&setup.session.path, 1),
        (&setup.system.path, 65534),
        (&setup.session.path, 1),
    ] {
        let mut client = Raw::hello(path);
        let name = client.name.clone();
        client.send(&driver_call(5, "GetConnectionUnixUser", Some(&name)));
        assert_eq!(client.reply_to(5).body, u32::to_le_bytes(uid));
    }
}

#[test]
fn it_sees_nothing_of_the_file_system_but_the_sockets_of_the_buses() {
    let bus = Bus::open();
    let setup = Setup::new(&bus, rules(&[]));
    let pid = setup.pid();
    let mounts = read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let mut places: Vec<_> = mounts
        .lines()
        .map(|line| line.split(' ').nth(4).unwrap())
        .collect();
    places.sort_unstable();
    assert_eq!(places, ["/", "/session", "/system"]);
    assert!(
        mounts
            .lines()
            .any(|line| line.contains(" / / ro,nosuid,nodev,noexec")),
        "{mounts}"
    );
    let mut entries: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/root/"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    entries.sort();
    assert_eq!(entries, ["session", "system"]);
}

#[test]
fn nothing_of_its_mounts_is_seen_outside() {
    let count = || {
        read_to_string("/proc/self/mountinfo")
            .unwrap()
            .matches("/session ")
            .count()
    };
    let before = count();
    let bus = Bus::open();
    let _setup = Setup::new(&bus, rules(&[]));
    assert_eq!(count(), before);
}

#[test]
fn it_has_no_descriptor_but_its_own_and_tight_limits() {
    let bus = Bus::open();
    let setup = Setup::new(&bus, rules(&[]));
    let pid = setup.pid();
    let mut targets: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| {
            std::fs::read_link(entry.unwrap().path())
                .unwrap()
                .display()
                .to_string()
        })
        .map(|target| target.split(':').next().unwrap().to_owned())
        .collect();
    targets.sort();
    targets.retain(|target| target == "socket" || target == "anon_inode");
    // Standard input and its copies for the event loop, and a listening socket; epoll.
    assert!(targets.len() <= 5, "{targets:?}");
    let limits = read_to_string(format!("/proc/{pid}/limits")).unwrap();
    for line in [
        "Max core file size        0 ",
        "Max processes             0 ",
        "Max file size             0 ",
        "Max open files            2048 ",
    ] {
        assert!(limits.contains(line), "{line}\n{limits}");
    }
}
