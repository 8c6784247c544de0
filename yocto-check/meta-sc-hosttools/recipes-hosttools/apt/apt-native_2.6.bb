SUMMARY = "Configuration template for Debian's apt, as OE's rootfs code reads it"
LICENSE = "CLOSED"

SRC_URI = "file://apt.conf"

S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit native

do_install() {
    install -d ${D}${sysconfdir}/apt
    sed -e 's,@HOSTTOOLS@,${SC_HOSTTOOLS_DIR},g' ${S}/apt.conf > ${D}${sysconfdir}/apt/apt.conf.sample
}
