//! Files of the host's `/etc`, as they are there and as they change.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Setup, TestAgent, mounted_for_the_agent, wait_until};

/// An agent that sees a copy of this machine's `/etc`, which a test may change.
struct Host {
    agent: TestAgent,
    etc: tempfile::TempDir,
}

impl Host {
    fn start(config: &str) -> Self {
        let etc = tempfile::TempDir::with_prefix("sc-test-etc-").unwrap();
        fs::set_permissions(etc.path(), Permissions::from_mode(0o755)).unwrap();
        let copied = Command::new("cp")
            .args(["-a", "/etc/."])
            .arg(etc.path())
            .status();
        assert!(copied.unwrap().success());
        let mut host = Self {
            agent: TestAgent::prepared(&Setup {
                config: config.to_owned(),
                before: Some(mounted_for_the_agent(etc.path(), Path::new("/etc"))),
                ..Setup::default()
            }),
            etc,
        };
        host.set_zone("Asia/Tokyo");
        host.agent.start_agent();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.etc.path().join(name)
    }

    /// Replaces a file as editors and package managers do.
    fn put(&self, name: &str, content: &str) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    /// As timedatectl(1) does.
    fn set_zone(&self, zone: &str) {
        let new = self.path("localtime.new");
        symlink(format!("../usr/share/zoneinfo/{zone}"), &new).unwrap();
        fs::rename(new, self.path("localtime")).unwrap();
        self.put("timezone", &format!("{zone}\n"));
    }

    /// Waits until a command in the container prints `wanted`.
    fn expect(&self, id: i32, script: &str, wanted: &str) {
        wait_until(&format!("{script} prints {wanted}"), || {
            self.agent.shell(id, script) == (0, format!("{wanted}\n"))
        });
    }
}

#[test]
fn the_time_zone_is_the_hosts_and_follows_it_in_running_containers() {
    let host = Host::start("");
    let (first, second) = (host.agent.create(), host.agent.create());
    for id in [first, second] {
        assert_eq!(
            host.agent.shell_ok(id, "date +%Z; cat /etc/timezone"),
            "JST\nAsia/Tokyo"
        );
    }
    host.set_zone("Europe/Berlin");
    for id in [first, second] {
        host.expect(id, "date -d @1700000000 +%Z", "CET");
        host.expect(id, "cat /etc/timezone", "Europe/Berlin");
        // Libraries find the zone's name so.
        host.expect(
            id,
            "readlink -f /etc/localtime",
            "/usr/share/zoneinfo/Europe/Berlin",
        );
    }
    // A plain file in its place, and none at all.
    fs::remove_file(host.path("localtime")).unwrap();
    fs::copy("/usr/share/zoneinfo/Asia/Kolkata", host.path("localtime")).unwrap();
    host.expect(first, "date +%Z", "IST");
    fs::remove_file(host.path("localtime")).unwrap();
    host.expect(first, "date +%Z", "UTC");
    host.set_zone("Asia/Tokyo");
    host.expect(first, "date +%Z", "JST");
}

#[test]
fn a_process_that_runs_sees_the_change() {
    let host = Host::start("");
    let id = host.agent.create();
    let script = "import time\nwhile time.tzname[0] != 'IST': time.sleep(0.02); time.tzset()";
    let client = host.agent.client();
    let command = format!("python3 -c \"{script}\"");
    let pid = client.execute(id, &command, "", "", &[]).unwrap();
    host.set_zone("Asia/Kolkata");
    assert_eq!(client.wait_ended(id, pid).exit_code, 0);
}

#[test]
fn name_servers_that_come_later_are_followed_each_time() {
    let host = Host::start("");
    let _ = fs::remove_file(host.path("resolv.conf"));
    fs::write(host.path("resolv.conf"), "").unwrap();
    let id = host.agent.create();
    host.expect(id, "wc -c < /etc/resolv.conf", "0");
    for server in ["192.0.2.2", "192.0.2.3"] {
        let text = format!("nameserver {server}");
        fs::write(host.path("resolv.conf"), &text).unwrap();
        host.expect(id, "cat /etc/resolv.conf && echo", &text);
    }
    // As resolvconf and systemd-resolved have it: a link, replaced.
    host.put("real.conf", "nameserver 192.0.2.4");
    fs::remove_file(host.path("resolv.conf")).unwrap();
    symlink("real.conf", host.path("resolv.conf")).unwrap();
    host.expect(id, "cat /etc/resolv.conf && echo", "nameserver 192.0.2.4");
    host.put("real.conf", "nameserver 192.0.2.5");
    host.expect(id, "cat /etc/resolv.conf && echo", "nameserver 192.0.2.5");
}

#[test]
fn names_of_hosts_are_the_hosts_but_for_its_own() {
    let host = Host::start("");
    host.put(
        "hosts",
        "127.0.0.1 localhost\n127.0.1.1 unit-7\n192.0.2.7 maps.example\n",
    );
    let id = host.agent.create();
    host.expect(
        id,
        "cat /etc/hosts",
        "127.0.0.1 localhost contained\n::1 localhost\n192.0.2.7 maps.example",
    );
    let lookup = "python3 -c \"import socket; print(socket.gethostbyname('maps.example'))\"";
    host.expect(id, lookup, "192.0.2.7");
    host.expect(
        id,
        &lookup.replace("maps.example", "contained"),
        "127.0.0.1",
    );
    host.put("hosts", "192.0.2.8 maps.example\n");
    host.expect(id, lookup, "192.0.2.8");
}

#[test]
fn certificates_fonts_and_names_are_there_and_no_secrets() {
    let host = Host::start("");
    let (directory, file) = (host.path("ssl/private"), host.path("ssl/private/unit.key"));
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o710)).unwrap();
    fs::write(file, "secret").unwrap();
    fs::create_dir_all(host.path("ssl/certs")).unwrap();
    fs::write(host.path("ssl/open.key"), "secret").unwrap();
    fs::set_permissions(host.path("ssl/open.key"), Permissions::from_mode(0o600)).unwrap();
    host.put("ssl/certs/vendor.pem", "certificate");
    let id = host.agent.create();
    host.expect(id, "cat /etc/ssl/certs/vendor.pem && echo", "certificate");
    assert_eq!(
        host.agent.shell_ok(
            id,
            "ls -d /etc/ssl/private /etc/ssl/open.key 2>/dev/null; true"
        ),
        ""
    );
    for (script, wanted) in [
        ("test -r /etc/fonts/fonts.conf && echo yes", "yes"),
        ("test -r /etc/ld.so.cache && echo yes", "yes"),
        ("test -r /etc/nsswitch.conf && echo yes", "yes"),
        (
            "readlink -f /etc/alternatives/awk",
            &*real("/etc/alternatives/awk"),
        ),
        (
            "python3 -c \"import socket; print(socket.getservbyname('https'))\"",
            "443",
        ),
        (
            "python3 -c \"import socket; print(socket.getprotobyname('udp'))\"",
            "17",
        ),
        (
            "python3 -c \"import pwd, grp; print(pwd.getpwuid(0).pw_dir, \
             pwd.getpwuid(65534).pw_name, grp.getgrgid(65534).gr_name)\"",
            "/root nobody nogroup",
        ),
    ] {
        assert_eq!(host.agent.shell_ok(id, script), wanted, "{script}");
    }
    // No user and no secret of the host.
    assert_eq!(
        host.agent.shell_ok(
            id,
            "cat /etc/passwd | wc -l; ls /run/host/etc/shadow 2>&1 | wc -l"
        ),
        "2\n1"
    );
    // A certificate that is withdrawn is gone.
    fs::remove_file(host.path("ssl/certs/vendor.pem")).unwrap();
    host.expect(id, "ls /etc/ssl/certs/vendor.pem 2>/dev/null | wc -l", "0");
}

fn real(path: &str) -> String {
    fs::canonicalize(path).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn an_app_can_change_none_of_them_for_others() {
    let host = Host::start("");
    let (first, second) = (host.agent.create(), host.agent.create());
    for script in [
        "echo x > /etc/localtime",
        "echo x > /run/host/etc/hosts",
        "rm /run/host/etc/hosts",
        "mkdir /etc/ssl/x",
        "mount -o remount,rw /run/host/etc",
    ] {
        assert_ne!(host.agent.shell(first, script).0, 0, "{script}");
    }
    // Its own links are its own matter.
    host.agent
        .shell_ok(first, "rm /etc/hosts; echo own > /etc/hosts");
    assert_eq!(host.agent.shell_ok(first, "cat /etc/hosts"), "own");
    assert!(
        host.agent
            .shell_ok(second, "cat /etc/hosts")
            .contains("contained")
    );
}

#[test]
fn a_mount_on_or_among_them_is_the_launchers_and_stays() {
    let host = Host::start("");
    host.put("ssl/certs/vendor.pem", "one");
    let id = host.agent.create();
    let client = host.agent.client();
    let file = host.agent.path("file");
    fs::write(&file, "mounted\n").unwrap();
    let file = file.to_str().unwrap();
    for path in [
        "/etc/timezone",
        "/etc/ssl/certs/own.pem",
        "/etc/asound.conf",
    ] {
        client.bind_mount(id, file, path, true).unwrap();
        assert_eq!(host.agent.shell_ok(id, &format!("cat {path}")), "mounted");
    }
    // What is beside it is followed still.
    host.expect(id, "cat /etc/ssl/certs/vendor.pem && echo", "one");
    host.put("ssl/certs/vendor.pem", "two");
    host.set_zone("Europe/Berlin");
    host.expect(id, "cat /etc/ssl/certs/vendor.pem && echo", "two");
    host.expect(id, "date -d @1700000000 +%Z", "CET");
    assert_eq!(
        host.agent
            .shell_ok(id, "cat /etc/timezone /etc/ssl/certs/own.pem"),
        "mounted\nmounted"
    );
    // A directory on a directory.
    let fonts = host.agent.path("fonts");
    fs::create_dir(&fonts).unwrap();
    fs::write(fonts.join("fonts.conf"), "own").unwrap();
    client
        .bind_mount(id, fonts.to_str().unwrap(), "/etc/fonts", true)
        .unwrap();
    assert_eq!(host.agent.shell_ok(id, "ls /etc/fonts"), "fonts.conf");
}

#[test]
fn which_files_there_are_is_configured() {
    let host = Host::start("host-files = /etc/motd;/etc/vendor/app.conf");
    fs::create_dir(host.path("vendor")).unwrap();
    host.put("vendor/app.conf", "setting\n");
    host.put("hosts", "192.0.2.7 maps.example\n");
    let id = host.agent.create();
    host.expect(id, "cat /etc/vendor/app.conf", "setting");
    // The rest is gone, but every container has these.
    host.expect(
        id,
        "ls -A /etc",
        "group\nhosts\nmachine-id\nmotd\npasswd\npulse\nresolv.conf\nvendor",
    );
    host.expect(
        id,
        "cat /etc/hosts",
        "127.0.0.1 localhost contained\n::1 localhost",
    );
}
