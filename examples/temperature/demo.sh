#!/bin/sh
# Plays the temperature example of the integration guidelines: buses of its own, the service, an agent, and an app in a container.
# Usage: demo.sh DIRECTORY, where the programs have been built. Needs root, dbus-daemon and gdbus. Ends with status 0 if everything went as it must.
set -eu

programs=$(cd "$1" && pwd)
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
chmod 711 "$work"
pids=
cleanup() {
    for pid in $pids; do
        kill "$pid" 2>/dev/null || continue
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

say() { printf '%s\n' "- $*"; }
fail() {
    printf '%s\n' "FAILED: $*" >&2
    cat "$work/log" >&2
    exit 1
}
# Waits until a command succeeds.
until_ok() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || fail "waited in vain for: $*"
        sleep 0.05
    done
}

# The system bus of this demonstration lets everybody own names; an integrator installs com.pelagicore.TemperatureService.conf instead.
cat >"$work/system.conf" <<EOF
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=$work/system-bus</listen><policy context="default"><allow user="*"/><allow own="*"/>
<allow send_type="method_call"/><allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/><allow receive_type="method_return"/>
<allow receive_type="error"/><allow receive_type="signal"/></policy></busconfig>
EOF
dbus-daemon --config-file="$work/system.conf" --nofork 2>>"$work/log" &
pids="$! $pids"
export DBUS_SYSTEM_BUS_ADDRESS="unix:path=$work/system-bus"
until_ok test -S "$work/system-bus"
"$programs/temperature-service" >"$work/service" 2>>"$work/log" &
pids="$! $pids"
until_ok grep -q ready "$work/service"
say "the service is on the system bus"

mkdir "$work/none" "$work/lxc"
cat >"$work/config" <<EOF
[SoftwareContainer]
shared-mounts-dir = $work/mounts
lxc-path = $work/lxc
service-manifest-dir = $source/manifests/examples/temperature-service.json
default-service-manifest-dir = $work/none
bridge-device = scdemo$$
bridge-ip = 10.99.77.1
bridge-netaddr = 10.99.77.0
EOF
"$programs/softwarecontainer-agent" --config "$work/config" 2>>"$work/log" &
pids="$! $pids"

agent() {
    method=$1
    shift
    gdbus call --system --dest com.pelagicore.SoftwareContainerAgent --object-path /com/pelagicore/SoftwareContainerAgent \
        --method "com.pelagicore.SoftwareContainerAgent.$method" "$@"
}
until_ok agent List
id=$(agent Create '[{"writeBufferEnabled": false}]' | tr -dc 0-9)
agent BindMount "$id" "$programs/temperature-client" /opt/temperature-client true >/dev/null
say "container $id runs"

# Runs the app in the container; what it prints is in $work/out-NAME.
start() {
    name=$1
    shift
    agent Execute "$id" "/opt/temperature-client $*" / "$work/out-$name" '@a{ss} {}' >/dev/null
}
# Runs the app and waits for a text in its output.
expect() {
    wanted=$1
    shift
    name=$(printf '%s' "$*" | tr -c '[:alnum:]' _)
    start "$name" "$@"
    until_ok grep -q "$wanted" "$work/out-$name"
    say "app: $* → $(cat "$work/out-$name")"
    rm "$work/out-$name"
}

prefix=com.pelagicore.temperatureservice
agent SetCapabilities "$id" "['$prefix.gettemperature']" >/dev/null
say "capability $prefix.gettemperature is set"
expect '^hello$' echo hello
expect '^21.5$' get
expect AccessDenied set 25
start watch watch
until_ok grep -q watching "$work/out-watch"

agent SetCapabilities "$id" "['$prefix.settemperature']" >/dev/null
say "capability $prefix.settemperature is set, too"
expect '^set to 25$' set 25
expect '^25$' get
until_ok grep -q '^changed to 25$' "$work/out-watch"
say "app: the signal TemperatureChanged has arrived"
agent Destroy "$id" >/dev/null
say "container $id is gone"
