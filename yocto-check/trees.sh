# shellcheck shell=bash
# Which OpenEmbedded trees the check works with, and which release they are.

# TREES is a directory that has them by the names that kas and bitbake-setup give them.
if [ -n "${TREES-}" ]; then
    OE_CORE=${OE_CORE:-$TREES/openembedded-core}
    BITBAKE=${BITBAKE:-$TREES/bitbake}
    META_OE=${META_OE:-$TREES/meta-openembedded}
    META_VIRTUALIZATION=${META_VIRTUALIZATION:-$TREES/meta-virtualization}
    META_RUST_BIN=${META_RUST_BIN:-$TREES/meta-rust-bin}
fi

if [ -n "${OE_CORE-}" ] && [ -n "${BITBAKE-}" ] && [ -n "${META_OE-}" ] && [ -n "${META_VIRTUALIZATION-}" ]; then
    for tree in OE_CORE BITBAKE META_OE META_VIRTUALIZATION; do
        [ -d "${!tree}" ] || { echo "yocto-check: no directory ${!tree}" >&2; exit 2; }
        printf -v "$tree" %s "$(realpath "${!tree}")"
    done
    series=$(sed -n 's/^LAYERSERIES_CORENAMES *= *"\([a-z]*\).*/\1/p' "$OE_CORE/meta/conf/layer.conf")
    [ -n "$series" ] || { echo "yocto-check: $OE_CORE/meta/conf/layer.conf names no release" >&2; exit 2; }
    # Its own Rust is too old for softwarecontainer.
    if [ "$series" = scarthgap ] && [ ! -d "${META_RUST_BIN-}" ]; then
        echo "yocto-check: for scarthgap META_RUST_BIN has to name a checkout of meta-rust-bin" >&2
        exit 2
    fi
else
    series=none
fi
