# shellcheck shell=bash
# Which recipes bitbake need not parse: seconds instead of minutes. What is masked by mistake makes a step fail, for nothing provides it then.
: "${OE_CORE:?}" "${META_OE:?}" "${META_VIRTUALIZATION:?}"

# Layers of which nothing may be left
without_recipes() {
    printf 'BBFILE_PATTERN_IGNORE_EMPTY_%s = "1"\n' filesystems-layer meta-python networking-layer openembedded-layer virtualization-layer
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
