SUMMARY = "Configuration of the agent: systemd-networkd makes the bridge of the containers"

require softwarecontainer-config.inc

inherit features_check

REQUIRED_DISTRO_FEATURES = "systemd"

SOFTWARECONTAINER_CREATE_BRIDGE = "false"

SRC_URI += "file://30-bridge.conf.in"

do_install:append() {
    install -d ${D}${systemd_unitdir}/network ${D}${systemd_system_unitdir}/softwarecontainer-agent.service.d
    for kind in netdev network; do
        sed -e '/^Name=/s,=.*,=${SOFTWARECONTAINER_BRIDGE_DEVICE},' \
            -e '/^Address=/s,=.*,=${SOFTWARECONTAINER_BRIDGE_IP}/${SOFTWARECONTAINER_BRIDGE_BITS},' \
            -e '/^RequiredForOnline=/s,=.*,=no-carrier,' \
            ${S}/systemd/softwarecontainer-bridge.$kind > ${D}${systemd_unitdir}/network/30-softwarecontainer-bridge.$kind
    done
    sed -e 's,@DEVICE@,${SOFTWARECONTAINER_BRIDGE_DEVICE},' \
        ${UNPACKDIR}/30-bridge.conf.in > ${D}${systemd_system_unitdir}/softwarecontainer-agent.service.d/30-bridge.conf
    chmod 0644 ${D}${systemd_unitdir}/network/* ${D}${systemd_system_unitdir}/softwarecontainer-agent.service.d/*
}

FILES:${PN} += "${systemd_unitdir}/network"
RCONFLICTS:${PN} = "softwarecontainer-config"
