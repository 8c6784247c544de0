SUMMARY = "Debian's cargo"
LICENSE = "CLOSED"

PN = "cargo-bin-cross-${TARGET_ARCH}"
DEPENDS = "rust-bin-cross-${TARGET_ARCH}"
PROVIDES += "cargo-bin-native"

INHIBIT_DEFAULT_DEPS = "1"

inherit cross

do_install() {
    install -d ${D}${bindir}
    printf '#!/bin/sh\nexec /usr/bin/cargo "$@"\n' > ${D}${bindir}/cargo
    chmod 0755 ${D}${bindir}/cargo
}

SYSROOT_DIRS_NATIVE += "${prefix}"
