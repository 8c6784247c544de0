SUMMARY = "Capability for the graphics of i.MX boards"
DESCRIPTION = "Service manifest with the device node of the machine's GPU driver: Vivante's or Arm's of NXP's BSP, else the kernel's own. \
               The nodes of cameras and codecs depend on the board; a manifest for those is the board's."
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "\
    file://imx-drm.json \
    file://imx-mali.json \
    file://imx-vivante.json \
"

# Yocto 5.0 has no UNPACKDIR.
S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit softwarecontainer-manifest

# One capability, whichever the driver is. The overrides are meta-freescale's.
SOFTWARECONTAINER_MANIFESTS = "imx-drm.json"
# nooelint: oelint.vars.specific
SOFTWARECONTAINER_MANIFESTS:imxmali = "imx-mali.json"
# nooelint: oelint.vars.specific
SOFTWARECONTAINER_MANIFESTS:imxviv = "imx-vivante.json"

PACKAGE_ARCH = "${MACHINE_ARCH}"

COMPATIBLE_MACHINE = "(imx-generic-bsp)"
