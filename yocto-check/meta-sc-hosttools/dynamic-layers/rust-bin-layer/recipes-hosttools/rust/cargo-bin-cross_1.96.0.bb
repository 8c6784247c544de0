SUMMARY = "Debian's cargo"
LICENSE = "CLOSED"

PN = "cargo-bin-cross-${TARGET_ARCH}"
DEPENDS = "rust-bin-cross-${TARGET_ARCH}"
PROVIDES += "cargo-bin-native"

INHIBIT_DEFAULT_DEPS = "1"

inherit cross

do_install() {
    install -d ${D}${prefix}/bin
    printf '#!/bin/sh\nexec /usr/bin/cargo "$@"\n' > ${D}${prefix}/bin/cargo
    chmod 0755 ${D}${prefix}/bin/cargo
}

SYSROOT_DIRS_NATIVE += "${prefix}"
