# shellcheck shell=bash
# The steps of yocto-check/run that work on OpenEmbedded trees; bitbake.sh has what they share.
# shellcheck disable=SC2154 # rust_bin is from there
: "${here:?}" "${top:?}" "${shared:?}" "${dir:?}" "${source:?}" "${rust_bin[@]}"

# What the layer builds, and an app of the test layer's
packages="softwarecontainer softwarecontainer-manifests softwarecontainer-config sc-sample-app
    softwarecontainer-config-networkd softwarecontainer-boot-test packagegroup-softwarecontainer"

# The tools, and the sources
step_host_tools() {
    "$here/prepare-host-tools" "$shared/hosttools" || return
    # oe-core wants a UTF-8 locale of this name.
    locale -a | grep -qi '^en_US\.utf-\?8$' || localedef -i en_US -f UTF-8 en_US.UTF-8
    mkdir -p "$shared/home" "$shared/downloads" "$dir/sstate"
    printf '[safe]\n\tdirectory = *\n' > "$shared/home/.gitconfig"
    check_out || return
    give_to_builder "$shared/home" "$shared/downloads" "$dir/sstate" "$source"
}

step_parse() {
    hosttools_build
    quiet_bitbake -p
}

# A distribution that lacks what containers need is told so, and may say that this is as wanted.
step_sanity() {
    local output
    hosttools_build 'DISTRO_FEATURES:remove = "seccomp"'
    output=$(as_builder bitbake -p 2>&1) || { printf '%s\n' "$output"; return 1; }
    printf '%s\n' "$output"
    [[ $output = *"WARNING: meta-softwarecontainer is in bblayers.conf, but DISTRO_FEATURES lacks: seccomp"* ]] || return 1
    echo 'SKIP_SOFTWARECONTAINER_SANITY_CHECK = "1"' >> "$dir/builds/${build:?}/conf/local.conf"
    quiet_bitbake -p
}

# All that the images need exists in the real layers.
step_graph() {
    local output status=0 graph=$dir/builds/${build:?}/task-depends.dot task rust=rust-native.do_compile
    [ ${#rust_bin[@]} -eq 0 ] || rust=cargo-bin-cross
    real_build
    output=$(as_builder bitbake -g core-image-softwarecontainer core-image-softwarecontainer-dev 2>&1) || status=$?
    printf '%s\n' "$output"
    if [ "$status" -ne 0 ] || printf '%s\n' "$output" | grep -E '^(ERROR|WARNING).*softwarecontainer'; then
        return 1
    fi
    for task in softwarecontainer.do_package_write linux-yocto.do_kernel_configme lxc.do_compile "$rust"; do
        grep -q "\"$task" "$graph" || { echo "$task is not in the graph"; return 1; }
    done
    echo "$(grep -oE '^"[^"]+' "$graph" | sort -u | wc -l) tasks"
}

step_fetch() {
    hosttools_build
    quiet_bitbake softwarecontainer -c fetch
}

# The class of openembedded-core reads the same crates out of Cargo.lock as the file in the layer names. It writes into the
# layer, so it gets a copy.
step_crates_inc() {
    local place=$dir/builds/${build:?} file=meta-softwarecontainer/recipes-containers/softwarecontainer/softwarecontainer-crates.inc
    hosttools_build
    cp -a "$source" "$place/source"
    bblayers "$place/source/meta-softwarecontainer" "$source/yocto-check/meta-sc-hosttools"
    give_to_builder "$place"
    as_builder bitbake softwarecontainer -c update_crates || return 1
    diff <(crates_of "$source/$file") <(crates_of "$place/source/$file")
}

# crates_of FILE: what it names, sorted
crates_of() {
    grep -oE 'crate://[^ ]+|^SRC_URI\[.*' "$1" | sort
}

step_broken_manifest() {
    local output status=0
    hosttools_build
    output=$(as_builder bitbake sc-broken-manifest 2>&1) || status=$?
    printf '%s\n' "$output"
    if [ "$status" -eq 0 ]; then
        echo "built, but should have failed"
        return 1
    fi
    [[ $output = *"com.example.broken.json:7:54: error: "*'mode: "888" is not three octal digits'* ]]
}

# From an empty TMPDIR, without results of earlier runs
step_build() {
    [ "${YOCTO_CHECK_KEEP-}" = 1 ] || find "$dir/sstate" -mindepth 1 -delete
    hosttools_build
    # shellcheck disable=SC2086 # a list of words
    quiet_bitbake $packages
}

# The same commit, built in a directory of another name and without shared state, gives the same packages to the last byte.
step_reproducible() {
    # shellcheck disable=SC2016 # for bitbake to expand
    hosttools_build 'SSTATE_DIR = "${TOPDIR}/sstate"'
    # shellcheck disable=SC2086 # a list of words
    quiet_bitbake $packages || return
    sums build > "$dir/sums-1"
    sums "${build:?}" > "$dir/sums-2"
    cat "$dir/sums-2"
    diff "$dir/sums-1" "$dir/sums-2"
}

# sums BUILD: checksums of its packages
sums() {
    (cd "$dir/builds/$1/tmp/deploy/deb" && find . -name '*.deb' -print0 | sort -z | xargs -0 sha256sum)
}

# What the packages hold and depend on is what expected/packages says.
step_contents() {
    "$here/list-packages" "$dir/builds/build/tmp/deploy/deb" > "$dir/packages"
    diff -u "$here/expected/packages" "$dir/packages"
}

# The packages are installed by apt, their maintainer scripts run, units are enabled, users and groups are there.
step_image() {
    hosttools_build
    quiet_bitbake sc-check-image || return
    local place=$dir/builds/${build:?} line status=0
    tar tf "$place"/tmp/deploy/images/*/sc-check-image-*.rootfs.tar > "$place/image-files"
    tar xOf "$place"/tmp/deploy/images/*/sc-check-image-*.rootfs.tar ./etc/passwd ./etc/group > "$place/image-users"
    while read -r line; do
        cat "$place/image-files" "$place/image-users" | grep -qxE -e "$line" || { echo "not in the image: $line"; status=1; }
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
step_ptest() {
    hosttools_build 'SC_CHECK_PTEST = "1"'
    quiet_bitbake softwarecontainer || return
    dpkg-deb -c "$(ptest_package)" | grep run-ptest
}

ptest_package() {
    find "$dir/builds/ptest/tmp/deploy/deb" -name 'softwarecontainer-ptest_*.deb'
}

# On the target, as ptest-runner runs them
step_ptest_boot() {
    local place=$dir/builds/${build:?}
    mkdir -p "$place/ptest/root"
    dpkg-deb -x "$(ptest_package)" "$place/ptest/root"
    printf '#!/bin/sh\ncd /usr/lib/softwarecontainer/ptest && exec ./run-ptest\n' > "$place/ptest/run-ptest"
    chmod 0755 "$place/ptest/run-ptest"
    EXTRA_TESTS=$place/ptest boot_packages --report "$dir/ptest-report" --timeout 3600
}

# boot_packages ARGUMENT…: boots an image with the packages that bitbake built; qemu-test/boot's arguments
boot_packages() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "needs root, to assemble an image"
        return 77
    fi
    local quick=
    [ "${YOCTO_CHECK_FAST-}" != 1 ] || quick=1
    make -s -C "$top" setup && PACKAGES=$dir/builds/build/tmp/deploy/deb QUICK_BUILD=$quick "$top/qemu-test/boot" "$@"
}

# The boot test of the repository, on an image with the packages that bitbake built
step_boot() {
    boot_packages --report "$dir/boot-report"
}

step_check_layer() {
    # yocto-check-layer wants the distribution's defaults, and adds the layers itself.
    build_directory "$(mask_for_graph)"
    # shellcheck disable=SC2016 # for bitbake to expand
    printf '%s\n' 'BBPATH = "${TOPDIR}"' 'BBFILES ?= ""' "BBLAYERS = \"$OE_CORE/meta\"" > "$dir/builds/${build:?}/conf/bblayers.conf"
    as_builder yocto-check-layer --no-auto --no-auto-dependency --dependency \
        "$META_OE/meta-oe" "$META_OE/meta-python" "$META_OE/meta-networking" "$META_OE/meta-filesystems" "$META_VIRTUALIZATION" \
        "${rust_bin[@]}" -- "$source/meta-softwarecontainer"
}
