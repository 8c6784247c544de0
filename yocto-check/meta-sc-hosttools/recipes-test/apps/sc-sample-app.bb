SUMMARY = "An app packaged with softwarecontainer-app.bbclass"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit allarch softwarecontainer-app

SOFTWARECONTAINER_APP = "softwarecontainer-sample"
SOFTWARECONTAINER_APP_COMMAND = "/app/hello world"
SOFTWARECONTAINER_APP_CAPABILITIES = "com.pelagicore.network.ping"
SOFTWARECONTAINER_APP_ENVIRONMENT = "LANG=C.UTF-8"
SOFTWARECONTAINER_APP_HOME = "/var/lib/softwarecontainer-sample"
SOFTWARECONTAINER_APP_USER = "sample"
SOFTWARECONTAINER_APP_AUTOSTART = "1"

do_install() {
    install -d ${D}${SOFTWARECONTAINER_APP_DIR}
    printf '#!/bin/sh\necho "Hello, $1"\n' > ${D}${SOFTWARECONTAINER_APP_DIR}/hello
    chmod 0755 ${D}${SOFTWARECONTAINER_APP_DIR}/hello
}
