SUMMARY = "Debian's Rust standard library for the target"
LICENSE = "CLOSED"

INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_SYSROOT_STRIP = "1"

inherit rust-common nopackages

DEPENDS:remove = "python3-native"

do_install() {
    for deb in ${SC_HOSTTOOLS_DIR}/debs/libstd-rust-web*.deb; do
        dpkg-deb -x "$deb" ${WORKDIR}/debs
    done
    install -d ${D}${rustlibdir}
    cp -rL --no-preserve=ownership ${WORKDIR}/debs/usr/lib/rustlib/aarch64-unknown-linux-gnu/lib/. ${D}${rustlibdir}/
}
do_install[cleandirs] += "${WORKDIR}/debs"
