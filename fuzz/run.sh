#!/bin/sh
# Runs every fuzz target, or those named, for some seconds each. Usage: fuzz/run.sh SECONDS [TARGET…]
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
    echo "$target:"
    # shellcheck disable=SC2086 # Several directories, and an option that may be absent.
    cargo fuzz run -s none "$target" "$corpus" $seeds -- -max_total_time="$seconds" $dictionary -print_final_stats=1
done
