SUMMARY = "Debian's rustc, with the standard libraries of the machine and of the target"
LICENSE = "CLOSED"

PN = "rust-bin-cross-${TARGET_ARCH}"

INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_SYSROOT_STRIP = "1"

inherit cross

# The real one has all in this directory, too: rustc finds the libraries by its own place.
do_install() {
    for deb in ${SC_HOSTTOOLS_DIR}/debs/libstd-rust-web*.deb; do
        dpkg-deb -x "$deb" ${WORKDIR}/debs
    done
    install -d ${D}${prefix}/bin ${D}${prefix}/lib/rustlib
    cp -rL --no-preserve=ownership ${WORKDIR}/debs/usr/lib/rustlib/aarch64-unknown-linux-gnu ${D}${prefix}/lib/rustlib/
    cp -rL --no-preserve=ownership /usr/lib/rustlib/x86_64-unknown-linux-gnu ${D}${prefix}/lib/rustlib/
    printf '#!/bin/sh\nexec /usr/bin/rustc --sysroot "$(dirname "$0")/.." "$@"\n' > ${D}${prefix}/bin/rustc
    chmod 0755 ${D}${prefix}/bin/rustc
}
do_install[cleandirs] += "${WORKDIR}/debs"

SYSROOT_DIRS_NATIVE += "${prefix}"
