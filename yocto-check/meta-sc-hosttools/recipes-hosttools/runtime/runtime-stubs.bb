SUMMARY = "Empty packages with the names that the checked recipes depend on at run time"
LICENSE = "CLOSED"

INHIBIT_DEFAULT_DEPS = "1"
PROVIDES = "bash busybox dbus iptables iptables-modules ptest-runner"
PACKAGES = "bash busybox dbus iptables iptables-modules ptest-runner"

ALLOW_EMPTY:bash = "1"
ALLOW_EMPTY:busybox = "1"
ALLOW_EMPTY:dbus = "1"
ALLOW_EMPTY:iptables = "1"
ALLOW_EMPTY:iptables-modules = "1"
ALLOW_EMPTY:ptest-runner = "1"
