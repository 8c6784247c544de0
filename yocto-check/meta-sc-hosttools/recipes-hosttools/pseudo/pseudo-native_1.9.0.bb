SUMMARY = "Debian's pseudo"
LICENSE = "CLOSED"

PROVIDES += "virtual/fakeroot-native"

inherit native

do_install() {
    install -d ${D}${bindir} ${D}${prefix}/lib/pseudo/lib
    install -m 0755 /usr/bin/pseudo /usr/bin/pseudolog /usr/bin/pseudodb ${D}${bindir}/
    install -m 0644 /usr/lib/x86_64-linux-gnu/pseudo/libpseudo.so ${D}${prefix}/lib/pseudo/lib/
}
INHIBIT_SYSROOT_STRIP = "1"
