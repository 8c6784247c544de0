# shellcheck shell=sh
# TAP for the guest's scripts: an assertion is a command that must succeed.

tap_count=0
tap_failed=0

# check DESCRIPTION COMMAND…: one assertion; what the command printed is shown if it fails.
check() {
	tap_text=$1
	shift
	tap_count=$((tap_count + 1))
	if tap_output=$("$@" 2>&1); then
		echo "ok $tap_count - $tap_text"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $tap_text"
		printf '%s\n' "command: $*" "$tap_output" | tail -n "${tap_lines:-12}" | sed 's/^/#   /'
	fi
}

# require DESCRIPTION COMMAND…: a check without which the rest makes no sense.
require() {
	tap_before=$tap_failed
	check "$@"
	[ "$tap_failed" -eq "$tap_before" ] || {
		echo "Bail out! $1"
		bail
		exit 1
	}
}

# What else is done before `require` ends the test.
bail() {
	:
}

# refute DESCRIPTION COMMAND…: an assertion that the command fails.
refute() {
	tap_text=$1
	shift
	check "$tap_text" not "$@"
}

not() {
	if "$@"; then
		echo "succeeded, but should have failed: $*"
		return 1
	fi
}

# equal EXPECTED ACTUAL
equal() {
	[ "$1" = "$2" ] || {
		echo "expected '$1', found '$2'"
		return 1
	}
}

# contains TEXT PATTERN: an extended regular expression matches some line of the text.
contains() {
	printf '%s\n' "$1" | grep -Eq -- "$2" || {
		echo "no line matches '$2' in:"
		printf '%s\n' "$1"
		return 1
	}
}

# less VALUE LIMIT: numbers, decimals allowed.
less() {
	awk -v value="$1" -v limit="$2" 'BEGIN { exit !(value != "" && value + 0 < limit + 0) }' || {
		echo "$1 is not less than $2"
		return 1
	}
}

# An emulated CPU that shares its host's with a build takes its time: a limit says when to give up on what does not come, and nothing
# else, so it is stretched by this factor.
tap_patience=${BOOT_TEST_PATIENCE:-4}

# eventually SECONDS COMMAND…: succeeds as soon as the command does, tried every 0.1 s.
eventually() {
	tap_until=$(uptime_now)
	tap_until=$((${tap_until%.*} + $1 * tap_patience + 1))
	shift
	until tap_last=$("$@" 2>&1); do
		tap_now=$(uptime_now)
		[ "${tap_now%.*}" -lt "$tap_until" ] || {
			printf '%s\n' "$tap_last"
			return 1
		}
		sleep 0.1
	done
}

measure() {
	echo "# measure $1 $2 $3"
}

# Seconds since kernel start.
uptime_now() {
	read -r tap_uptime _ </proc/uptime
	echo "$tap_uptime"
}

plan() {
	echo "1..$tap_count"
}
