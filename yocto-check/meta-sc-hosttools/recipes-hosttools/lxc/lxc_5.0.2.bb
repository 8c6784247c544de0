SUMMARY = "Debian's liblxc for the target"
LICENSE = "CLOSED"

DEPENDS = "libseccomp"

INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_SYSROOT_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"

do_install() {
    install -d ${D}${libdir} ${D}${includedir}
    for deb in ${SC_HOSTTOOLS_DIR}/debs/lxc-dev_*.deb ${SC_HOSTTOOLS_DIR}/debs/lib*.deb; do
        # Those have recipes of their own.
        case "$deb" in *libstd-rust* | *libseccomp*) continue;; esac
        dpkg-deb -x "$deb" ${WORKDIR}/debs
    done
    cp -r --no-preserve=ownership ${WORKDIR}/debs/usr/include/lxc ${D}${includedir}/
    for dir in usr/lib lib; do
        if [ -d ${WORKDIR}/debs/$dir/aarch64-linux-gnu ]; then
            find ${WORKDIR}/debs/$dir/aarch64-linux-gnu -maxdepth 1 -name 'lib*.so*' -exec cp -a --no-preserve=ownership {} ${D}${libdir}/ ';'
        fi
    done
}
do_install[cleandirs] += "${WORKDIR}/debs"

PACKAGES = "${PN} ${PN}-dev"
FILES:${PN}-dev = "${includedir} ${libdir}/liblxc.so"
INSANE_SKIP:${PN} = "already-stripped ldflags"
