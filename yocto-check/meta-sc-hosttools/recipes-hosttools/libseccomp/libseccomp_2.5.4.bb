SUMMARY = "Debian's libseccomp for the target"
LICENSE = "CLOSED"

INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_SYSROOT_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"

do_install() {
    for deb in ${SC_HOSTTOOLS_DIR}/debs/libseccomp2_*.deb ${SC_HOSTTOOLS_DIR}/debs/libseccomp-dev_*.deb; do
        dpkg-deb -x "$deb" ${WORKDIR}/debs
    done
    install -d ${D}${libdir}/pkgconfig ${D}${includedir}
    install -m 0644 ${WORKDIR}/debs/usr/include/seccomp*.h ${D}${includedir}
    cp -a --no-preserve=ownership ${WORKDIR}/debs/usr/lib/aarch64-linux-gnu/libseccomp.so* ${D}${libdir}/
    sed -e '/^libdir=/s,=.*,=${libdir},' ${WORKDIR}/debs/usr/lib/aarch64-linux-gnu/pkgconfig/libseccomp.pc > ${D}${libdir}/pkgconfig/libseccomp.pc
}
do_install[cleandirs] += "${WORKDIR}/debs"

PACKAGES = "${PN} ${PN}-dev"
FILES:${PN}-dev = "${includedir} ${libdir}/libseccomp.so ${libdir}/pkgconfig"
INSANE_SKIP:${PN} = "already-stripped ldflags"
