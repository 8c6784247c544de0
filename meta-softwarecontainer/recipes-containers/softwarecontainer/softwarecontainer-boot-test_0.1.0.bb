SUMMARY = "Boot test: from the agent's start to an app in its container and back"
DESCRIPTION = "What qemu-test installs in its guest. It runs when the harness of the repository, or testimage, asks for it, and \
               changes nothing before."
SECTION = "devel"

require softwarecontainer-source.inc

inherit allarch features_check

# Those of the agent
REQUIRED_DISTRO_FEATURES = "systemd virtualization seccomp"

# The Makefile that is there builds everything.
do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    oe_runmake -C ${S}/qemu-test/guest install DESTDIR=${D} PREFIX=${prefix} SYSCONFDIR=${sysconfdir}
}

FILES:${PN} += "${systemd_unitdir}"

RDEPENDS:${PN} = "\
    busybox \
    iproute2 \
    iproute2-ip \
    iproute2-tc \
    iptables \
    lxc \
    nftables \
    procps \
    softwarecontainer \
    softwarecontainer-launcher \
    util-linux-setpriv \
"
