SUMMARY = "Makes the Qt Application Manager run apps in containers"
DESCRIPTION = "Configuration fragment for the container plugin of the application manager, the plugin, and the capability that it asks for. \
               Give the file to appman beside its own: --config-file ${sysconfdir}/appman/softwarecontainer.yaml"
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "file://softwarecontainer.yaml"

# Yocto 5.0 has no UNPACKDIR.
S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit features_check qt6-paths

REQUIRED_DISTRO_FEATURES = "process-containment virtualization"

do_install() {
    install -D -m 0644 ${S}/softwarecontainer.yaml ${D}${sysconfdir}/appman/softwarecontainer.yaml
    sed -i 's|@PLUGINSDIR@|${QT6_INSTALL_PLUGINSDIR}|' ${D}${sysconfdir}/appman/softwarecontainer.yaml
}

FILES:${PN} += "${sysconfdir}/appman"
RDEPENDS:${PN} = "\
    packagegroup-softwarecontainer \
    qtapplicationmanager-softwarecontainer \
    softwarecontainer-manifests-qt-application-manager \
"
