SUMMARY = "Makes the Qt Application Manager run apps in containers"
DESCRIPTION = "Configuration fragment for the container plugin of the application manager, the plugin, and the capability that it asks for. \
               Give the file to appman beside its own: --config-file ${sysconfdir}/appman/softwarecontainer.yaml"
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "file://appman.conf file://softwarecontainer-appman.conf file://softwarecontainer.yaml"

# Who runs appman, where its compositor makes its socket (XDG_RUNTIME_DIR), and what that is called.
APPMAN_USER ?= "root"
APPMAN_RUNTIME_DIR ?= "/run/user/0"
APPMAN_WAYLAND_SOCKET ?= "appman-wayland"

# Yocto 5.0 has no UNPACKDIR.
S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit features_check qt6-paths

REQUIRED_DISTRO_FEATURES = "process-containment virtualization"

do_install() {
    install -D -m 0644 ${S}/softwarecontainer.yaml ${D}${sysconfdir}/appman/softwarecontainer.yaml
    install -D -m 0644 ${S}/appman.conf ${D}${systemd_system_unitdir}/softwarecontainer-agent.service.d/appman.conf
    install -D -m 0644 ${S}/softwarecontainer-appman.conf ${D}${datadir}/dbus-1/system.d/softwarecontainer-appman.conf
    sed -i -e 's|@PLUGINSDIR@|${QT6_INSTALL_PLUGINSDIR}|' -e 's|@WAYLANDSOCKET@|${APPMAN_WAYLAND_SOCKET}|' \
        -e 's|@RUNTIMEDIR@|${APPMAN_RUNTIME_DIR}|' -e 's|@USER@|${APPMAN_USER}|' \
        ${D}${sysconfdir}/appman/softwarecontainer.yaml \
        ${D}${systemd_system_unitdir}/softwarecontainer-agent.service.d/appman.conf \
        ${D}${datadir}/dbus-1/system.d/softwarecontainer-appman.conf
}

FILES:${PN} += "\
    ${datadir}/dbus-1/system.d \
    ${sysconfdir}/appman \
    ${systemd_system_unitdir}/softwarecontainer-agent.service.d \
"
RDEPENDS:${PN} = "\
    packagegroup-softwarecontainer \
    qtapplicationmanager-softwarecontainer \
    softwarecontainer-manifests-qt-application-manager \
"
