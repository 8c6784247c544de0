# The lists of users and groups come from Debian's package, whose sources the recipe builds; update-passwd is not built.
# What the recipe makes of the lists (in sysroots, and when the package is installed) is its own.
SRC_URI = ""
LICENSE = "CLOSED"
LIC_FILES_CHKSUM = ""

INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_AUTOTOOLS_DEPS = "1"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -d ${D}${datadir}/base-passwd
    for list in passwd group; do
        dpkg-deb --fsys-tarfile ${SC_HOSTTOOLS_DIR}/debs/base-passwd_*.deb |
            tar -xO ./usr/share/base-passwd/$list.master > ${D}${datadir}/base-passwd/$list.master
    done
    # What the recipe's patches change
    sed -i -e 's,^root:[^:]*:,root::,' -e 's,/bin/bash$,/bin/sh,' -e 's,/usr/sbin/nologin$,${NOLOGIN},' ${D}${datadir}/base-passwd/passwd.master
}
