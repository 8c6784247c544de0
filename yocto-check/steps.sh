# shellcheck shell=bash
# The steps of yocto-check/run, which sources this file.
: "${here:?}" "${top:?}" "${layer:?}" "${dir:?}"

shell_scripts() {
    command -v shellcheck >/dev/null || { echo "shellcheck is not installed"; return 77; }
    local files=()
    mapfile -t files < <(find "$layer" "$here" -type f -exec awk '/^#!\/bin\/(ba)?sh/ { print FILENAME } { nextfile }' {} +; ls "$here"/*.sh)
    shellcheck --exclude=SC1091 "${files[@]}"
}

python_syntax() {
    # Compiled in memory: nothing is left beside the sources.
    find "$layer" "$here" -name '*.py' -print0 |
        xargs -0 -r python3 -c 'import sys
for path in sys.argv[1:]:
    compile(open(path, encoding="utf-8").read(), path, "exec")'
}

# The script finds what is missing, and accepts what has everything.
kernel_config() {
    local fragments=$layer/recipes-kernel/linux/files check=$layer/scripts/check-kernel-config
    { echo "# Linux/arm64 6.18.1 Kernel Configuration"; grep -h '^CONFIG_' "$fragments"/*.cfg; } > "$dir/kernel.config"
    "$check" "$dir/kernel.config" || return 1
    sed -i 's/^CONFIG_USER_NS=y$/# CONFIG_USER_NS is not set/; /^CONFIG_NFT_COMPAT=/d; /^CONFIG_IP_NF_FILTER=/d' "$dir/kernel.config"
    local output status=0
    output=$("$check" "$dir/kernel.config") || status=$?
    printf '%s\n' "$output"
    [ "$status" -eq 1 ] && [[ $output = *"CONFIG_USER_NS is n, needs y"*"CONFIG_NFT_COMPAT is n, needs m"* ]] &&
        ! "$check" -v 5.10 "$dir/kernel.config" | grep -q "all that" &&
        "$check" -v 5.10 "$dir/kernel.config" | grep -q "Linux 5.10 has no id-mapped mounts"
}

# Runs a command in the build directory (or in the one that $build names). bitbake refuses root: for root, it runs as the
# user that YOCTO_CHECK_USER names.
as_builder() {
    local become=() home=$dir/home
    if [ "$(id -u)" -eq 0 ]; then
        local user=${YOCTO_CHECK_USER:-nobody}
        become=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
    fi
    local place=$dir/${build:-build}
    (cd "$place" &&
        "${become[@]}" env -i HOME="$home" USER=builder LOGNAME=builder LANG=en_US.UTF-8 LC_ALL=en_US.UTF-8 \
            PATH="$dir/hosttools/bin:$BITBAKE/bin:$OE_CORE/scripts:/usr/sbin:/usr/bin:/sbin:/bin" \
            BUILDDIR="$place" BBPATH="$place" nice -n "${YOCTO_CHECK_NICE:-10}" "$@")
}

# A checkout of the commit under test that the builder can read, whatever the modes and the owner of this one are.
check_out() {
    local git=(git -c safe.directory='*')
    [ -z "$("${git[@]}" -C "$top" status --porcelain)" ] || echo "what is not committed is not checked"
    if [ -d "$dir/source/.git" ]; then
        # What did not change keeps its time, so bitbake parses it no second time.
        "${git[@]}" -C "$dir/source" fetch --quiet --no-tags "$top" HEAD
        "${git[@]}" -C "$dir/source" reset --quiet --hard FETCH_HEAD
        "${git[@]}" -C "$dir/source" clean -dffxq
    else
        "${git[@]}" clone --quiet --no-hardlinks "$top" "$dir/source"
    fi
    printf '[safe]\n\tdirectory = *\n' > "$dir/home/.gitconfig"
}

# The tools, and a build directory that uses them
host_tools() {
    "$here/prepare-host-tools" "$dir/hosttools" || return
    # oe-core wants a UTF-8 locale of this name.
    locale -a | grep -qi '^en_US\.utf-\?8$' || localedef -i en_US -f UTF-8 en_US.UTF-8
    mkdir -p "$dir/build/conf" "$dir/home" "$dir/downloads" && check_out || return
    cat > "$dir/build/conf/local.conf" <<END
MACHINE = "qemuarm64"
DISTRO = "sc-hosttools"
SC_HOSTTOOLS_DIR = "$dir/hosttools"
DL_DIR = "$dir/downloads"
SSTATE_DIR = "$dir/build/sstate"
BB_NUMBER_THREADS = "${YOCTO_CHECK_JOBS:-2}"
BB_NUMBER_PARSE_THREADS = "${YOCTO_CHECK_JOBS:-2}"
PARALLEL_MAKE = "-j ${YOCTO_CHECK_JOBS:-2}"
BB_SERVER_TIMEOUT = "0"
CONNECTIVITY_CHECK_URIS = ""
INHERIT:remove = "uninative"
require \${TOPDIR}/conf/mask.conf
END
    mask_for_build > "$dir/build/conf/mask.conf"
    layers build "$dir/source/yocto-check/meta-sc-hosttools"
    give_to_builder build home downloads source
}

# layers BUILD [LAYER…]: those of every build, and more
layers() {
    local build=$1
    shift
    # shellcheck disable=SC2016 # for bitbake to expand
    printf '%s\n' 'POKY_BBLAYERS_CONF_VERSION = "2"' 'BBPATH = "${TOPDIR}"' 'BBFILES ?= ""' "BBLAYERS = \"\
$OE_CORE/meta $META_OE/meta-oe $META_OE/meta-python $META_OE/meta-networking $META_OE/meta-filesystems \
$META_VIRTUALIZATION $dir/source/meta-softwarecontainer $*\"" > "$dir/$build/conf/bblayers.conf"
}

# give_to_builder DIRECTORY…
give_to_builder() {
    local place
    [ "$(id -u)" -eq 0 ] || return 0
    for place in "$@"; do
        chown -R "${YOCTO_CHECK_USER:-nobody}" "$dir/$place"
    done
}

# bitbake without a warning or an error.
quiet_bitbake() {
    local output status=0
    output=$(as_builder bitbake "$@" 2>&1) || status=$?
    printf '%s\n' "$output"
    if [ "$status" -ne 0 ] || printf '%s\n' "$output" | grep -qE '^(WARNING|ERROR):'; then
        return 1
    fi
}

parse() {
    quiet_bitbake -p
}

# A distribution that lacks what containers need is told so, and may say that this is as wanted.
sanity() {
    local output
    echo 'DISTRO_FEATURES:remove = "seccomp"' > "$dir/build/conf/sanity.conf"
    output=$(as_builder bitbake -R conf/sanity.conf -p 2>&1) || { printf '%s\n' "$output"; return 1; }
    printf '%s\n' "$output"
    [[ $output = *"WARNING: meta-softwarecontainer is in bblayers.conf, but DISTRO_FEATURES lacks: seccomp"* ]] || return 1
    echo 'SKIP_SOFTWARECONTAINER_SANITY_CHECK = "1"' >> "$dir/build/conf/sanity.conf"
    quiet_bitbake -R conf/sanity.conf -p
}

# other_build NAME: a build directory with openembedded-core's own distribution defaults and no test layer.
other_build() {
    mkdir -p "$dir/$1/conf"
    sed -e '/^DISTRO = /d' -e '/^SC_HOSTTOOLS_DIR/d' -e "s,^SSTATE_DIR = .*,SSTATE_DIR = \"$dir/$1/sstate\"," \
        "$dir/build/conf/local.conf" > "$dir/$1/conf/local.conf"
    cat >> "$dir/$1/conf/local.conf" <<'END'
INIT_MANAGER = "systemd"
DISTRO_FEATURES:append = " virtualization seccomp ptest"
END
    mask_for_graph > "$dir/$1/conf/mask.conf"
    layers "$1"
    give_to_builder "$1"
}

# All that the images need exists in the real layers.
graph() {
    other_build graph
    local output status=0
    output=$(build=graph as_builder bitbake -g core-image-softwarecontainer core-image-softwarecontainer-dev 2>&1) || status=$?
    printf '%s\n' "$output"
    if [ "$status" -ne 0 ] || printf '%s\n' "$output" | grep -E '^(ERROR|WARNING).*softwarecontainer'; then
        return 1
    fi
    local task
    for task in softwarecontainer.do_package_write linux-yocto.do_kernel_configme lxc.do_compile rust-native.do_compile; do
        grep -q "\"$task" "$dir/graph/task-depends.dot" || { echo "$task is not in the graph"; return 1; }
    done
    echo "$(grep -oE '^"[^"]+' "$dir/graph/task-depends.dot" | sort -u | wc -l) tasks"
}

fetch() {
    quiet_bitbake softwarecontainer -c fetch
}

# The class of openembedded-core reads the same crates out of Cargo.lock as the file in the layer names.
crates_inc() {
    local recipes=$dir/source/meta-softwarecontainer/recipes-containers/softwarecontainer
    cp "$recipes/softwarecontainer-crates.inc" "$dir/crates.before"
    as_builder bitbake softwarecontainer -c update_crates || return 1
    grep -oE 'crate://[^ ]+|^SRC_URI\[.*' "$dir/crates.before" | sort > "$dir/crates.before.sorted"
    grep -oE 'crate://[^ ]+|^SRC_URI\[.*' "$recipes/softwarecontainer-crates.inc" | sort > "$dir/crates.after.sorted"
    git -C "$dir/source" -c safe.directory='*' checkout --quiet .
    diff "$dir/crates.before.sorted" "$dir/crates.after.sorted"
}

broken_manifest() {
    local output status=0
    output=$(as_builder bitbake sc-broken-manifest 2>&1) || status=$?
    printf '%s\n' "$output"
    if [ "$status" -eq 0 ]; then
        echo "built, but should have failed"
        return 1
    fi
    [[ $output = *"com.example.broken.json:7:54: error: "*'mode: "888" is not three octal digits'* ]]
}

packages="softwarecontainer softwarecontainer-manifests softwarecontainer-config sc-sample-app
    softwarecontainer-config-networkd softwarecontainer-boot-test packagegroup-softwarecontainer"

# From an empty TMPDIR, without results of earlier runs
build() {
    if [ "${YOCTO_CHECK_KEEP-}" != 1 ]; then
        rm -rf "$dir/build/tmp" "$dir/build/sstate"
    fi
    # shellcheck disable=SC2086 # a list of words
    quiet_bitbake $packages
}

# What the packages hold and depend on is what expected/packages says.
contents() {
    "$here/list-packages" "$dir/build/tmp/deploy/deb" > "$dir/packages"
    diff -u "$here/expected/packages" "$dir/packages"
}

# The packages are installed by apt, their maintainer scripts run, units are enabled, users and groups are there.
image() {
    quiet_bitbake sc-check-image || return
    local image=$dir/build/tmp/deploy/images/qemuarm64/sc-check-image-qemuarm64.rootfs.tar
    tar tf "$image" > "$dir/image-files"
    tar xOf "$image" ./etc/passwd ./etc/group > "$dir/image-users"
    local line status=0
    while read -r line; do
        cat "$dir/image-files" "$dir/image-users" | grep -qxE -e "$line" || { echo "not in the image: $line"; status=1; }
    done <<'END'
\./etc/systemd/system/multi-user\.target\.wants/softwarecontainer-agent\.service
\./usr/lib/systemd/system/multi-user\.target\.wants/softwarecontainer-app@softwarecontainer-sample\.service
\./etc/softwarecontainer/softwarecontainer-config
softwarecontainer-dbus:[^:]*:[0-9]+:[0-9]+::/:/usr/sbin/nologin
softwarecontainer-launcher:[^:]*:[0-9]+:[0-9]+::/:/usr/sbin/nologin
softwarecontainer:x:[0-9]+:.*softwarecontainer-launcher.*
softwarecontainer:x:[0-9]+:.*sample.*
sample:[^:]*:[0-9]+:[0-9]+::/:/usr/sbin/nologin
END
    return $status
}

# The tests, as a package for the target
ptest() {
    if [ "${YOCTO_CHECK_PTEST-}" != 1 ]; then
        echo "builds everything a second time; YOCTO_CHECK_PTEST=1 asks for it"
        return 77
    fi
    echo 'SC_CHECK_PTEST = "1"' > "$dir/build/conf/ptest.conf"
    quiet_bitbake -R conf/ptest.conf softwarecontainer || return
    local package
    package=$(find "$dir/build/tmp/deploy/deb" -name 'softwarecontainer-ptest_*.deb')
    dpkg-deb -c "$package" | grep run-ptest || return
    [ "${YOCTO_CHECK_BOOT-}" = 1 ] || return 0
    # On the target, as ptest-runner runs them
    rm -rf "$dir/ptest"
    mkdir -p "$dir/ptest/root"
    dpkg-deb -x "$package" "$dir/ptest/root"
    printf '#!/bin/sh\ncd /usr/lib/softwarecontainer/ptest && exec ./run-ptest\n' > "$dir/ptest/run-ptest"
    chmod 0755 "$dir/ptest/run-ptest"
    EXTRA_TESTS=$dir/ptest boot_packages --report "$dir/ptest-report" --timeout 3600
}

# boot_packages ARGUMENT…: boots an image with the packages that bitbake built; qemu-test/boot's arguments
boot_packages() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "needs root, to assemble an image"
        return 77
    fi
    make -s -C "$top" setup && PACKAGES=$dir/build/tmp/deploy/deb "$top/qemu-test/boot" "$@"
}

# The boot test of the repository, on an image with the packages that bitbake built
boot() {
    if [ "${YOCTO_CHECK_BOOT-}" != 1 ]; then
        echo "takes ten minutes under emulation; YOCTO_CHECK_BOOT=1 asks for it"
        return 77
    fi
    boot_packages --report "$dir/boot-report"
}

check_layer() {
    other_build layer
    # yocto-check-layer wants the distribution's defaults, and adds the layers itself.
    sed -i -e '/^INIT_MANAGER/d' -e '/^DISTRO_FEATURES/d' "$dir/layer/conf/local.conf"
    # shellcheck disable=SC2016 # for bitbake to expand
    printf '%s\n' 'BBPATH = "${TOPDIR}"' 'BBFILES ?= ""' "BBLAYERS = \"$OE_CORE/meta\"" > "$dir/layer/conf/bblayers.conf"
    build=layer as_builder yocto-check-layer --no-auto --no-auto-dependency --dependency \
        "$META_OE/meta-oe" "$META_OE/meta-python" "$META_OE/meta-networking" "$META_OE/meta-filesystems" "$META_VIRTUALIZATION" \
        -- "$dir/source/meta-softwarecontainer"
}
