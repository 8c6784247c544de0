SUMMARY = "Debian's cross libc and libgcc"
LICENSE = "CLOSED"
PV = "2.36"
PROVIDES = "virtual/libc glibc libgcc"

INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_SYSROOT_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"

do_install() {
    install -d ${D}${includedir} ${D}${libdir} ${D}${base_libdir}
    cp -rL --no-preserve=ownership /usr/aarch64-linux-gnu/include/. ${D}${includedir}/
    cp -a --no-preserve=ownership /usr/aarch64-linux-gnu/lib/*.so.* ${D}${base_libdir}/
    # Debian keeps the C++ and sanitizer libraries in the same directory
    rm -f ${D}${base_libdir}/lib[^cmgprdnut]*.so.* ${D}${base_libdir}/libgcc_s.so
}

PACKAGES = "libgcc-s1 libc6 ${PN}-dev ${PN}"
FILES:libc6 = "${base_libdir}/ld-*.so.* ${base_libdir}/lib*.so.*"
FILES:libgcc-s1 = "${base_libdir}/libgcc_s.so.1"
RPROVIDES:libc6 = "glibc glibc-utils libc6-utils"
RDEPENDS:${PN}-dev = ""
ALLOW_EMPTY:${PN} = "1"
INSANE_SKIP:libc6 = "already-stripped dev-so file-rdeps ldflags libdir textrel"
INSANE_SKIP:libgcc-s1 = "already-stripped file-rdeps ldflags"
INSANE_SKIP:${PN}-dev = "buildpaths"
