#!/bin/sh
# Runs every fuzz target, or those named, for some seconds each, or RUNS times each. Usage: [RUNS=N] fuzz/run.sh SECONDS [TARGET…]
# With MERGE=1 what was found before is reduced to the few inputs that reach all of the code, and these become seeds.
# Needs cargo-fuzz. The stable toolchain is enough: without a sanitizer (-s none), coverage needs no unstable option, and the code under
# test has no unsafe blocks that a sanitizer could watch.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift
[ $# -gt 0 ] || set -- manifest configuration container_options command_line dbus_message dbus_rules dbus_auth

for target; do
    corpus=fuzz/corpus/$target
    mkdir -p "$corpus"
    case $target in
        manifest) seeds='fuzz/seeds/manifest manifests/default manifests/examples' ;;
        *) seeds=fuzz/seeds/$target ;;
    esac
    dictionary=
    [ ! -e "fuzz/dictionaries/$target.dict" ] || dictionary=-dict=fuzz/dictionaries/$target.dict
    if [ -n "${MERGE-}" ]; then
        # Beside those that have names of their own.
        cargo fuzz run -s none "$target" "fuzz/seeds/$target" "$corpus" -- -set_cover_merge=1 -use_counters=0
        continue
    fi
    echo "$target:"
    # shellcheck disable=SC2086 # Several directories, and an option that may be absent.
    cargo fuzz run -s none "$target" "$corpus" $seeds -- -max_total_time="$seconds" ${RUNS:+-runs=$RUNS} $dictionary -print_final_stats=1
done
