SUMMARY = "Capabilities for the devices of Raspberry Pi boards"
DESCRIPTION = "Service manifests with the device nodes of the GPU, and of the video decoder and encoder where the board has them."
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "\
    file://raspberrypi-graphics.json \
    file://raspberrypi-video.json \
"

# Yocto 5.0 has no UNPACKDIR.
S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit softwarecontainer-manifest

SOFTWARECONTAINER_MANIFESTS = "raspberrypi-graphics.json raspberrypi-video.json"
# Its codec is another one.
# nooelint: oelint.vars.specific
SOFTWARECONTAINER_MANIFESTS:raspberrypi5 = "raspberrypi-graphics.json"

PACKAGE_ARCH = "${MACHINE_ARCH}"

COMPATIBLE_MACHINE = "^rpi$"
