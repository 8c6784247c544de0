# shellcheck shell=sh
# What is set here is used by the steps.
# shellcheck disable=SC2034
# The agent as a launcher reaches it, and its traces on the host. Sourced after tap.sh.

service=com.pelagicore.SoftwareContainerAgent
object=/com/pelagicore/SoftwareContainerAgent
unit=softwarecontainer-agent.service
config_file=${SOFTWARECONTAINER_CONFIG:-/etc/softwarecontainer/softwarecontainer-config}

# setting KEY DEFAULT: a value of the agent's configuration.
setting() {
	agent_value=$(sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" "$config_file" 2>/dev/null | tail -n 1)
	echo "${agent_value:-$2}"
}

bridge=$(setting bridge-device lxcbr0)
bridge_ip=$(setting bridge-ip 10.0.3.1)
bridge_bits=$(setting bridge-netmask-bitlength 24)
bridge_net=$(setting bridge-netaddr 10.0.3.0)
shared=$(setting shared-mounts-dir /tmp/container/)
shared=${shared%/}

# agent METHOD SIGNATURE ARGUMENT…
agent() {
	agent_method=$1
	shift
	busctl --timeout=120 call "$service" "$object" "$service" "$agent_method" "$@"
}

# create [WRITE-BUFFER]: prints the new container's ID.
create() {
	agent_reply=$(agent Create s "[{\"writeBufferEnabled\": ${1:-false}}]") && echo "${agent_reply#i }"
}

destroy() {
	agent Destroy i "$1" >/dev/null
}

# capabilities ID NAME…
capabilities() {
	agent_id=$1
	shift
	agent SetCapabilities ias "$agent_id" "$#" "$@"
}

# mount_into ID HOST CONTAINER READ-ONLY
mount_into() {
	agent BindMount issb "$1" "$2" "$3" "$4"
}

# start ID COMMAND [OUTPUT]: prints the process ID.
start() {
	agent_reply=$(agent Execute 'isssa{ss}' "$1" "$2" '' "${3-}" 0) && echo "${agent_reply#i }"
}

# inside ID COMMAND: runs it in the container, waits for its end, and prints its output.
inside() {
	agent_output=$(mktemp)
	agent_pid=$(start "$1" "$2" "$agent_output") || return 1
	[ -n "$agent_pid" ] || return 1
	eventually 20 gone "$agent_pid" || return 1
	cat "$agent_output"
	rm -f "$agent_output"
}

gone() {
	not test -e "/proc/$1" >/dev/null
}

# containers: IDs, blank-separated, as `List` tells them.
containers() {
	agent List | cut -d' ' -f3-
}

# init_of ID: PID of the container's init, as LXC tells it.
init_of() {
	lxc-info -n "SC-$1" -p -H
}

# in_network ID COMMAND…: runs a tool of the host in the container's network namespace.
in_network() {
	agent_init=$(init_of "$1") || return 1
	shift
	nsenter -t "$agent_init" -n "$@"
}

# address ID: the address a container is due, bridge-ip + id + 1. Good for the last of the four numbers only.
address() {
	echo "${bridge_ip%.*}.$((${bridge_ip##*.} + $1 + 1))"
}

main_pid() {
	systemctl show -P MainPID "$unit"
}

# seconds_of UNIT PROPERTY: a time stamp of systemd's in seconds since kernel start.
seconds_of() {
	systemctl show -P "$2" "$1" | awk '$1 > 0 { printf "%.6f\n", $1 / 1000000 }'
}

# Whatever containers leave on the host, one line each: nothing when none runs.
leftovers() {
	lxc-ls -1 2>/dev/null | grep '^SC-[0-9]' | sed 's/^/LXC container /'
	ip -o link show master "$bridge" 2>/dev/null | sed 's/^/on the bridge: /'
	ip -o link show type veth | grep -v -e ': uplink@' -e ': world0@' | sed 's/^/veth /'
	ip -o link show type ifb | grep ': sc[0-9]' | sed 's/^/way round /'
	grep '/SC-[0-9]' /proc/self/mountinfo | sed 's/^/mount /'
	find /sys/fs/cgroup -type d -name '*SC-[0-9]*' | sed 's/^/cgroup /'
	find "$shared" /tmp/container -maxdepth 1 -name 'SC-[0-9]*' 2>/dev/null | sed 's/^/directory /'
	pgrep -a -f 'softwarecontainer-(init|dbus-proxy)|lxc monitor' | sed 's/^/process /'
}

clean() {
	equal '' "$(leftovers)"
}
