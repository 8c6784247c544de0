# shellcheck shell=bash
# Build directories for the steps, and bitbake in them. Each step has one of its own in builds/, made anew: its own
# configuration, TMPDIR and caches. Steps have in common what is found by its content: downloads and shared state, without
# the equivalences that a build of its own directory has seen.
: "${top:?}" "${shared:?}" "${dir:?}" "${series:?}"

# Beside the layers that every release needs
rust_bin=()
[ "$series" != scarthgap ] || rust_bin=("$META_RUST_BIN")

# The commit under test, where the builder can read it
source=$dir/source

# Runs a command in the build directory that $build names. bitbake refuses root: for root, it runs as the user that
# YOCTO_CHECK_USER names.
as_builder() {
    local become=() place=$dir/builds/${build:?}
    if [ "$(id -u)" -eq 0 ]; then
        local user=${YOCTO_CHECK_USER:-nobody}
        become=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
    fi
    (cd "$place" &&
        "${become[@]}" env -i HOME="$shared/home" USER=builder LOGNAME=builder LANG=en_US.UTF-8 LC_ALL=en_US.UTF-8 \
            PATH="$shared/hosttools/bin:$BITBAKE/bin:$OE_CORE/scripts:/usr/sbin:/usr/bin:/sbin:/bin" \
            BUILDDIR="$place" BBPATH="$place" nice -n "${YOCTO_CHECK_NICE:-10}" "$@")
}

# give_to_builder DIRECTORY…
give_to_builder() {
    [ "$(id -u)" -eq 0 ] || return 0
    chown -R "${YOCTO_CHECK_USER:-nobody}" "$@"
}

# A checkout of the commit under test that the builder can read, whatever the modes and the owner of this one are.
check_out() {
    # -c safe.directory does not reach the process that git clones from.
    local git=(env "GIT_CONFIG_GLOBAL=$shared/home/.gitconfig" git)
    [ -z "$("${git[@]}" -C "$top" status --porcelain)" ] || echo "what is not committed is not checked"
    if [ -d "$source/.git" ]; then
        # What did not change keeps its time.
        "${git[@]}" -C "$source" fetch --quiet --no-tags "$top" HEAD
        "${git[@]}" -C "$source" reset --quiet --hard FETCH_HEAD
        "${git[@]}" -C "$source" clean -dffxq
    else
        "${git[@]}" clone --quiet --no-hardlinks "$top" "$source"
    fi
}

# build_directory [LINE…]: the step's, with openembedded-core's own distribution defaults and more lines for local.conf
build_directory() {
    local conf=$dir/builds/${build:?}/conf
    mkdir -p "$conf"
    cat > "$conf/local.conf" <<END
MACHINE = "${YOCTO_CHECK_MACHINE:-qemuarm64}"
TMPDIR = "\${TOPDIR}/tmp"
$([ "$series" != scarthgap ] || echo 'TCLIBCAPPEND = ""')
DL_DIR = "$shared/downloads"
SSTATE_DIR = "$dir/sstate"
BB_SIGNATURE_HANDLER = "OEBasicHash"
BB_HASHSERVE = ""
BB_NUMBER_THREADS = "${YOCTO_CHECK_JOBS:-2}"
BB_NUMBER_PARSE_THREADS = "${YOCTO_CHECK_JOBS:-2}"
PARALLEL_MAKE = "-j ${YOCTO_CHECK_JOBS:-2}"
BB_SERVER_TIMEOUT = "0"
CONNECTIVITY_CHECK_URIS = ""
INHERIT:remove = "uninative"
END
    [ $# -eq 0 ] || printf '%s\n' "$@" >> "$conf/local.conf"
    bblayers "$source/meta-softwarecontainer"
    give_to_builder "$dir/builds/$build"
}

# bblayers LAYER…: those of every build, and these
bblayers() {
    # shellcheck disable=SC2016 # for bitbake to expand
    printf '%s\n' 'POKY_BBLAYERS_CONF_VERSION = "2"' 'BBPATH = "${TOPDIR}"' 'BBFILES ?= ""' "BBLAYERS = \"\
$OE_CORE/meta $META_OE/meta-oe $META_OE/meta-python $META_OE/meta-networking $META_OE/meta-filesystems \
$META_VIRTUALIZATION ${rust_bin[*]} $*\"" > "$dir/builds/${build:?}/conf/bblayers.conf"
}

# hosttools_build [LINE…]: the step's build directory, with the test-only distribution
hosttools_build() {
    build_directory 'DISTRO = "sc-hosttools"' "SC_HOSTTOOLS_DIR = \"$shared/hosttools\"" "$(mask_for_build)" "$(fast)" "$@"
    bblayers "$source/meta-softwarecontainer" "$source/yocto-check/meta-sc-hosttools"
}

# With YOCTO_CHECK_FAST=1, what takes longest is left out: optimising across crates.
fast() {
    [ "${YOCTO_CHECK_FAST-}" != 1 ] || printf '%s\n' 'export CARGO_PROFILE_RELEASE_LTO = "off"' 'export CARGO_PROFILE_RELEASE_CODEGEN_UNITS = "16"'
}

# real_build [LINE…]: the step's build directory, as a product has it
real_build() {
    build_directory 'INIT_MANAGER = "systemd"' 'DISTRO_FEATURES:append = " virtualization seccomp ptest"' "$(mask_for_graph)" "$@"
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

# Which recipes bitbake need not parse: seconds instead of minutes. What is masked by mistake makes a step fail, for nothing
# provides it then.

# Layers of which nothing may be left
without_recipes() {
    printf 'BBFILE_PATTERN_IGNORE_EMPTY_%s = "1"\n' filesystems-layer meta-python networking-layer openembedded-layer rust-bin-layer virtualization-layer
}

# A recipe says the same whichever others are parsed: another mask is no reason to parse it again.
without_masks_in_hash() {
    echo 'BB_HASHCONFIG_IGNORE_VARS:append = " BBMASK"'
}

# For builds through meta-sc-hosttools: what the layer's recipes reach that is not Debian's
mask_for_build() {
    local keep="core/(base-files|base-passwd|images|netbase|packagegroups|systemd|volatile)|devtools/(python/python3_|rust)"
    keep="$keep|extended/shadow/shadow-sysroot|kernel/linux/linux-yocto(-rt)?_"
    printf 'BBMASK += "%s"\n' "$META_OE/ $META_VIRTUALIZATION/recipes-" "$OE_CORE/meta/recipes-(?!$keep)"
    [ ${#rust_bin[@]} -eq 0 ] || printf 'BBMASK += "%s"\n' "${rust_bin[0]}/recipes-"
    without_recipes
    without_masks_in_hash
}

# For the images' graph: all of openembedded-core, and of the other layers what the images reach
mask_for_graph() {
    printf 'BBMASK += "%s"\n' "$META_OE/meta-(?!networking/recipes-(filter/(nftables|libnftnl)|support/(bridge-utils|dnsmasq))|oe/recipes-extended/(jansson|libidn))" \
        "$META_VIRTUALIZATION/(dynamic-layers|recipes-(?!containers/lxc/))"
    without_recipes
    without_masks_in_hash
}
