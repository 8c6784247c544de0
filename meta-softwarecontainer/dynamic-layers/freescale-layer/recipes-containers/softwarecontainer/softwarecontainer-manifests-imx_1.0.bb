SUMMARY = "Capabilities for the devices of i.MX boards"
DESCRIPTION = "Service manifest with the graphics and video device nodes of the BSP."
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "file://imx.json"

S = "${UNPACKDIR}"

inherit softwarecontainer-manifest

SOFTWARECONTAINER_MANIFESTS = "imx.json"

COMPATIBLE_MACHINE = "(imx-generic-bsp)"
