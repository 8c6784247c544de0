#!/bin/bash
# Runs the attack suite (agent/tests/attacks.rs) with each protection switched off, and alone with all others switched off, and prints as
# Markdown tables what each one answers for; with the argument "media" only the table of the attacks on sound, cameras and screen. Needs root,
# like the suite itself. The switches are those of the configuration: an agent that is not configured so is not weakened by any of this.
set -eu
cd "$(dirname "$0")/.."
all=(user-namespace seccomp landlock capabilities no-new-privileges read-only masked-paths devices limits tmpfs-limits)
# Of the attacks on sound, cameras and screen, which have a table of their own: PROTECTIONS in agent/tests/attacks/media.rs, and what keeps users apart.
media=(security-contexts pipewire-permissions pipewire-streams pipewire-links pulse-modules user-namespace)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
program=$(cargo test -p softwarecontainer-agent --test attacks --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*attacks-[^"]*\)".*/\1/p' | tail -n 1)
[ -x "$program" ] || { echo "the attack suite is not built" >&2; exit 1; }

# run NAME WITHOUT [again]: the attacks that went through are in $logs/NAME. With "again", what fails is run once more alone, so that only what fails
# both times counts: on a busy machine containers of other agents can get in the way.
run() {
    attacks "$2" >"$logs/$1.log"
    grep -q '^test result:' "$logs/$1.log" || { echo "the run without $2 has no result" >&2; tail "$logs/$1.log" >&2; exit 1; }
    : >"$logs/$1"
    # shellcheck disable=SC2013 # names of tests have no blanks
    for test in $(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$logs/$1.log" | sort); do
        if [ $# -gt 2 ]; then
            attacks "$2" --exact "$test" >"$logs/again"
            if grep -q '^test result: ok' "$logs/again"; then continue; fi
        fi
        echo "$test" >>"$logs/$1"
    done
    # A container that does not even start proves nothing.
    if [ "$(grep -c 'LXC call start failed' "$logs/$1.log")" -gt 5 ]; then
        echo "without $2 containers do not start" >&2
        grep -m 1 'LXC call start failed' "$logs/$1.log" >&2
        exit 1
    fi
}
# attacks WITHOUT ARGUMENT...: tests fail on purpose here, so the exit status tells nothing.
attacks() {
    without=$1
    shift
    (cd agent && SOFTWARECONTAINER_ATTACKS_WITHOUT=$without timeout 600 "$program" --test-threads=3 "${part[@]}" "$@") 2>&1 || true
}
names() { if [ -s "$1" ]; then sed 's/.*:://; s/_/ /g' "$1" | paste -sd';' - | sed 's/;/; /g'; else echo "–"; fi; }

# table PROTECTION...: the part of the suite that is chosen, without each of these and with each of these alone.
table() {
    local protection others
    run none "" again
    [ ! -s "$logs/none" ] || { echo "attacks go through with every protection on:" >&2; cat "$logs/none" >&2; exit 1; }
    run everything "$(printf '%s\n' "$@" | paste -sd,)"
    echo "With every protection on, none of $(sed -n 's/^running \([0-9]*\) tests$/\1/p' "$logs/none.log") tests fails; with all of these off, $(wc -l <"$logs/everything")."
    echo
    echo "| protection | tests that fail when it alone is off | of those that fail with all off, how many pass when it alone is on |"
    echo "|---|---|---|"
    for protection in "$@"; do
        run off "$protection" again
        others=$(printf '%s\n' "$@" | grep -vx "$protection" | paste -sd,)
        run only "$others"
        saved=$(comm -23 "$logs/everything" "$logs/only" | wc -l)
        echo "| $protection | $(names "$logs/off") | $saved |"
    done
}

if [ "${1-all}" != media ]; then
    part=(--skip media::)
    table "${all[@]}"
    echo
fi
part=(media::)
table "${media[@]}"
