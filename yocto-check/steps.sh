# shellcheck shell=bash
# The steps of yocto-check/run that need no OpenEmbedded trees.
: "${here:?}" "${layer:?}" "${shared:?}" "${dir:?}"

step_crates() {
    "$layer/scripts/update-crates" --check && {
        command -v cargo >/dev/null || { echo "licences are not compared: there is no cargo"; return; }
        "$here/licences"
    }
}

step_shell() {
    command -v shellcheck >/dev/null || { echo "shellcheck is not installed"; return 77; }
    local files=()
    mapfile -t files < <(find "$layer" "$here" -type f -exec awk '/^#!\/bin\/(ba)?sh/ { print FILENAME } { nextfile }' {} +; ls "$here"/*.sh)
    shellcheck --exclude=SC1091 "${files[@]}"
}

step_python() {
    # Compiled in memory: nothing is left beside the sources.
    find "$layer" "$here" -name '*.py' -print0 |
        xargs -0 -r python3 -c 'import sys
for path in sys.argv[1:]:
    compile(open(path, encoding="utf-8").read(), path, "exec")' &&
        "$here/oeqa-cases"
}

# The script finds what is missing, and accepts what has everything.
step_kernel_config() {
    local fragments=$layer/recipes-kernel/linux/files check=$layer/scripts/check-kernel-config place=$dir/builds/${build:?}
    mkdir -p "$place"
    { echo "# Linux/arm64 6.18.1 Kernel Configuration"; grep -h '^CONFIG_' "$fragments"/*.cfg; } > "$place/config"
    "$check" "$place/config" || return 1
    sed -i 's/^CONFIG_USER_NS=y$/# CONFIG_USER_NS is not set/; /^CONFIG_NFT_COMPAT=/d; /^CONFIG_IP_NF_FILTER=/d' "$place/config"
    local output status=0
    output=$("$check" "$place/config") || status=$?
    printf '%s\n' "$output"
    [ "$status" -eq 1 ] && [[ $output = *"CONFIG_USER_NS is n, needs y"*"CONFIG_NFT_COMPAT is n, needs m"* ]] &&
        ! "$check" -v 5.10 "$place/config" | grep -q "all that" &&
        "$check" -v 5.10 "$place/config" | grep -q "Linux 5.10 has no id-mapped mounts"
}

step_oelint() {
    "$here/oelint" "$shared"
}

step_kas() {
    "$here/kas-files" "$shared" "$dir/builds/${build:?}"
}
