//! What `make install` brings, used from where it was put.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// What the programs of a development build look for below, as those of `make` do.
const PREFIX: &str = "/usr/local";

fn installed(prefix: &str) -> TempDir {
    let target = TempDir::with_prefix("sc-test-install-").unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_softwarecontainer-agent")).parent();
    let output = Command::new("make")
        .args(["-C", concat!(env!("CARGO_MANIFEST_DIR"), "/..")])
        .arg("install")
        .arg(format!("BINARIES={}", binaries.unwrap().display()))
        .arg(format!("DESTDIR={}", target.path().display()))
        .arg(format!("PREFIX={prefix}"))
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    target
}

#[test]
fn everything_is_below_destdir_with_the_prefix_in_what_names_it() {
    let target = installed("/usr");
    for path in [
        "usr/bin/softwarecontainer-agent",
        "usr/bin/softwarecontainer-validate",
        "usr/bin/softwarecontainerctl",
        "usr/bin/softwarecontainer-launcher",
        "usr/libexec/softwarecontainer/softwarecontainer-init",
        "usr/libexec/softwarecontainer/softwarecontainer-dbus-proxy",
        "usr/share/softwarecontainer/seccomp.profile",
        "usr/share/softwarecontainer/manifests/network.json",
        "usr/share/softwarecontainer/manifests/optional/wayland.json",
        "usr/share/bash-completion/completions/softwarecontainer-launcher",
        "usr/share/bash-completion/completions/softwarecontainerctl",
        "usr/share/zsh/site-functions/_softwarecontainerctl",
        "usr/share/fish/vendor_completions.d/softwarecontainerctl.fish",
        "usr/share/dbus-1/system.d/com.pelagicore.SoftwareContainerAgent.conf",
        "usr/lib/systemd/system/softwarecontainer-app@.service",
        "usr/lib/systemd/system/softwarecontainer-apparmor.service",
        "etc/apparmor.d/softwarecontainer-app",
        "etc/softwarecontainer/softwarecontainer-config",
        "etc/softwarecontainer/service-manifest.default.d/container.json",
        "etc/softwarecontainer/apps/clock.json",
    ] {
        assert!(target.path().join(path).exists(), "{path}");
    }
    let unit = target
        .path()
        .join("usr/lib/systemd/system/softwarecontainer-agent.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    assert!(unit.contains("=/usr/bin/softwarecontainer-agent"), "{unit}");
    assert!(!unit.contains("@PREFIX@"), "{unit}");
}

/// As a launcher's author tries it: the installation over what the machine has, in namespaces of
/// its own, with the installed policy of the bus.
const USE: &str = r#"
set -eu
mount --make-rprivate /
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir -p /var/lib/lxc /run/dbus
mount --bind "$TARGET/usr/local" /usr/local
mkdir -p /run/etc/upper /run/etc/work
mount -t overlay overlay -o "lowerdir=$TARGET/etc:/etc,upperdir=/run/etc/upper,workdir=/run/etc/work" /etc
cat > /run/bus.conf <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>
<policy context="default"><allow user="*"/><allow receive_type="method_call"/><allow receive_type="method_return"/>
<allow receive_type="error"/><allow receive_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/><allow send_destination="org.freedesktop.DBus"/></policy>
<include>/etc/dbus-1/system.d/com.pelagicore.SoftwareContainerAgent.conf</include></busconfig>
END
dbus-daemon --config-file=/run/bus.conf --nofork 2> /run/bus-log &
while [ ! -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
softwarecontainer-validate --strict /usr/local/share/softwarecontainer/manifests /usr/local/share/softwarecontainer/manifests/optional
bash -c '. /usr/local/share/bash-completion/completions/softwarecontainer-agent; complete -p softwarecontainer-launcher'
cp /usr/local/share/softwarecontainer/manifests/environment.json /usr/local/etc/softwarecontainer/service-manifest.d/
softwarecontainer-agent 2> /run/agent-log &
agent=$!
gdbus wait --system --timeout 60 com.pelagicore.SoftwareContainerAgent
softwarecontainer-launcher capabilities
softwarecontainerctl capabilities
echo '{"command": "sh -c \"id -u; echo $HOME\"", "user": 1000}' > /etc/softwarecontainer/apps/who.json
mkdir /run/state /run/homes
STATE_DIRECTORY=/run/homes softwarecontainer-launcher --state /run/state run who
kill $agent
wait $agent
cat /run/agent-log
"#;

#[test]
fn the_installed_agent_serves_the_installed_launcher() {
    let target = installed(PREFIX);
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child"])
        .args(["--mount-proc", "bash", "-c", USE])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("TARGET", target.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("com.pelagicore.env.qt-wayland"), "{text}");
    assert!(text.contains("1000\n/home/who\n"), "{text}{errors}");
    assert!(!text.contains("WARN"), "{text}");
}
