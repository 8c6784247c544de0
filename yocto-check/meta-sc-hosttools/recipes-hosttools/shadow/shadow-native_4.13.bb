SUMMARY = "Debian's shadow, for openembedded-core's useradd.bbclass"
LICENSE = "CLOSED"

SRC_URI = "file://open.c"

S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit native

do_compile() {
    ${CC} -shared -fPIC -o open.so ${S}/open.c
}

do_install() {
    install -d ${D}${sbindir} ${D}${libexecdir}/shadow
    install -m 0755 open.so ${D}${libexecdir}/shadow
    for tool in groupadd groupmems useradd; do
        install -m 0755 /usr/sbin/$tool ${D}${libexecdir}/shadow
        cat > ${D}${sbindir}/$tool <<'END'
#!/bin/sh
dir=$(dirname "$(readlink -f "$0")")/../libexec/shadow
export LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}$dir/open.so"
exec "$dir/$(basename "$0")" "$@"
END
        chmod 0755 ${D}${sbindir}/$tool
    done
}
INHIBIT_SYSROOT_STRIP = "1"
